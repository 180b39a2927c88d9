//! Members of Nova's requests that may take more than one JSON form.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::server_create::{NetworkRequest, Networks};
use crate::body::InvalidField;

/// A flavor: its id as a string or a number, or the address of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlavorRef(String);

impl FlavorRef {
    /// The id: what follows the last slash.
    pub fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Refuses what is empty.
    pub(super) fn check(&self, field: &str) -> Result<(), InvalidField> {
        if self.0.is_empty() {
            return Err(InvalidField::new(field, "'' is too short"));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for FlavorRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RefVisitor;

        impl Visitor<'_> for RefVisitor {
            type Value = FlavorRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a flavor id as a string or an integer")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<FlavorRef, E> {
                Ok(FlavorRef(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<FlavorRef, E> {
                Ok(FlavorRef(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<FlavorRef, E> {
                Ok(FlavorRef(number.to_string()))
            }
        }

        deserializer.deserialize_any(RefVisitor)
    }
}

/// One text, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneOrMany(Vec<String>);

impl OneOrMany {
    /// The texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;

        impl<'de> Visitor<'de> for ListVisitor {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }

        deserializer.deserialize_any(ListVisitor)
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NetworksVisitor;

        impl<'de> Visitor<'de> for NetworksVisitor {
            type Value = Networks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of networks, or one of 'none' and 'auto'")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Networks, E> {
                Ok(Networks::Word(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Networks, A::Error> {
                let mut networks = Vec::new();
                while let Some(network) = list.next_element::<NetworkRequest>()? {
                    networks.push(network);
                }
                Ok(Networks::List(networks))
            }
        }

        deserializer.deserialize_any(NetworksVisitor)
    }
}

/// Reads a member that may be absent but not null.
pub(super) fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flavor_may_be_named_by_a_number_or_an_address() {
        let id = |json: &str| serde_json::from_str::<FlavorRef>(json).map(|f| f.id().to_owned());
        assert_eq!(id("1").unwrap(), "1");
        assert_eq!(id("\"m1.tiny\"").unwrap(), "m1.tiny");
        assert_eq!(id("\"http://h/flavors/7\"").unwrap(), "7");
        assert!(id("null").is_err());
        assert!(id("[1]").is_err());
    }

    #[test]
    fn one_text_counts_as_a_list_of_it() {
        let texts = |json: &str| {
            let parsed = serde_json::from_str::<OneOrMany>(json).unwrap();
            parsed.iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(texts("\"a\""), ["a"]);
        assert_eq!(texts("[\"a\", \"b\"]"), ["a", "b"]);
    }
}
