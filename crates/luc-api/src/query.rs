//! The query string of a request: decoded pairs, in order, with typed access and clear refusals.

use crate::fault::ApiError;
use crate::value::parse_bool;

/// A decoded query string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Decodes `application/x-www-form-urlencoded` text; what is no valid UTF-8 is a 400.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The last value of `name`: what Nova takes where a parameter is repeated.
    pub fn last(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of `name`, in order.
    pub fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether `name` is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(key, _)| key == name)
    }

    /// Every pair, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of `name` as a boolean; any of OpenStack's words for one.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.get(name)
            .map(|text| {
                parse_bool(text).ok_or_else(|| {
                    ApiError::invalid(
                        name,
                        format!("'{text}' is not a boolean: use true or false"),
                    )
                })
            })
            .transpose()
    }

    /// The value of `name` as a non-negative integer.
    pub fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        self.get(name)
            .map(|text| {
                text.parse::<u64>().map_err(|_| {
                    ApiError::invalid(name, format!("'{text}' is not a non-negative integer"))
                })
            })
            .transpose()
    }

    /// The query with `name` set to `value` and otherwise unchanged, encoded: for `next` links.
    pub fn with(&self, name: &str, value: &str) -> String {
        let kept = self.iter().filter(|(key, _)| *key != name);
        kept.chain([(name, value)])
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
            .collect::<Vec<_>>()
            .join("&")
    }
}

/// Percent-decodes one part of a form-encoded query.
pub fn decode(text: &str) -> Result<String, ApiError> {
    percent_decode(text, true)
}

/// Percent-decodes one path segment, where `+` is itself.
pub fn decode_segment(text: &str) -> Result<String, ApiError> {
    percent_decode(text, false)
}

fn percent_decode(text: &str, plus_is_space: bool) -> Result<String, ApiError> {
    let bad = || ApiError::bad_request(format!("'{text}' is not valid percent-encoded UTF-8"));
    let raw = text.as_bytes();
    let mut bytes = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        match raw[at] {
            b'%' => {
                let digits = text.get(at + 1..at + 3).ok_or_else(bad)?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
                at += 3;
            }
            b'+' if plus_is_space => {
                bytes.push(b' ');
                at += 1;
            }
            byte => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut encoded, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                encoded.push(byte as char);
            } else {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
            encoded
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_keep_their_order_and_may_repeat() {
        let query = Query::parse("a=1&b=x+y&a=2&flag").unwrap();
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.last("a"), Some("2"));
        assert_eq!(query.get("b"), Some("x y"));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert!(query.has("flag") && !query.has("other"));
    }

    #[test]
    fn a_marker_replaces_the_one_before() {
        let query = Query::parse("limit=2&marker=a&name=x%26y").unwrap();
        assert_eq!(query.with("marker", "b"), "limit=2&name=x%26y&marker=b");
    }

    #[test]
    fn broken_encoding_is_refused() {
        for bad in ["a=%", "a=%g0", "a=%ff", "%c3=1", "a=%é"] {
            assert!(Query::parse(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_name() {
        let query = Query::parse("limit=-1&deleted=maybe").unwrap();
        assert!(
            query
                .number("limit")
                .unwrap_err()
                .to_string()
                .contains("limit")
        );
        assert!(
            query
                .bool("deleted")
                .unwrap_err()
                .to_string()
                .contains("deleted")
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(text: String) {
            prop_assert_eq!(decode(&encode(&text)).unwrap(), text.clone());
            prop_assert_eq!(decode_segment(&encode(&text)).unwrap(), text);
        }
    }
}
