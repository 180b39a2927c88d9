//! JSON values as a source for serde that never takes an array for an object.
//!
//! A derived struct also reads itself from an array of its members in order, which no OpenStack
//! schema allows. Here an array is refused wherever a struct is wanted. Only [`super::parse`] uses
//! it.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value};

/// A value to read from.
#[derive(Clone, Copy)]
pub(super) struct Strict<'de>(pub(super) &'de Value);

impl<'de> IntoDeserializer<'de, Error> for Strict<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Strict<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(elements) => {
                let mut elements = SeqDeserializer::new(elements.iter().map(Strict));
                let value = visitor.visit_seq(&mut elements)?;
                elements.end().map(|()| value)
            }
            Value::Object(members) => {
                let pairs = members
                    .iter()
                    .map(|(name, member)| (name.as_str(), Strict(member)));
                let mut pairs = MapDeserializer::new(pairs);
                let value = visitor.visit_map(&mut pairs)?;
                pairs.end().map(|()| value)
            }
            simple => simple.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.0.is_array() {
            return Err(de::Error::invalid_type(Unexpected::Seq, &"an object"));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        inner: Inner,
        list: Vec<Inner>,
        word: Option<Word>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        number: u8,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Auto,
    }

    #[test]
    fn objects_lists_and_words_are_read_as_ever() {
        let value = json!({"inner": {"number": 1}, "list": [{"number": 2}], "word": "auto"});
        let read = Outer::deserialize(Strict(&value)).unwrap();
        assert_eq!(
            (read.inner.number, read.list.len(), read.word),
            (1, 1, Some(Word::Auto))
        );
        let value = json!({"inner": {"number": 1}, "list": [], "word": null});
        assert_eq!(Outer::deserialize(Strict(&value)).unwrap().word, None);
    }

    #[test]
    fn an_array_is_never_taken_for_an_object() {
        for value in [
            json!([{"number": 1}, [], null]),
            json!({"inner": [1], "list": []}),
            json!({"inner": {"number": 1}, "list": [[2]]}),
        ] {
            let error = Outer::deserialize(Strict(&value)).unwrap_err().to_string();
            assert!(error.contains("expected an object"), "{value}: {error}");
        }
    }
}
