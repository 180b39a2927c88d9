//! Values as OpenStack's JSON schemas take them: numbers and booleans that may be strings, names
//! with their rules.
//!
//! Source: the `parameter_types` module of Nova's request schemas (shapes only).

use std::fmt;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

/// An integer that may be written as a string of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct LooseInt(pub i64);

struct LooseIntVisitor;

impl Visitor<'_> for LooseIntVisitor {
    type Value = LooseInt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer, or a string of digits")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<LooseInt, E> {
        Ok(LooseInt(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<LooseInt, E> {
        i64::try_from(value)
            .map(LooseInt)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LooseInt, E> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain
            .then(|| text.parse().ok())
            .flatten()
            .map(LooseInt)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for LooseInt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseIntVisitor)
    }
}

/// A boolean that may be written as a string, as Nova's `boolean` parameter type takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct LooseBool(pub bool);

/// Reads the texts that OpenStack takes for a boolean.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" | "t" | "y" => Some(true),
        "false" | "0" | "off" | "no" | "f" | "n" => Some(false),
        _ => None,
    }
}

struct LooseBoolVisitor;

impl Visitor<'_> for LooseBoolVisitor {
    type Value = LooseBool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, or a string such as 'true' or 'no'")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<LooseBool, E> {
        Ok(LooseBool(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LooseBool, E> {
        parse_bool(text)
            .map(LooseBool)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for LooseBool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseBoolVisitor)
    }
}

/// A member whose absence and whose `null` mean different things: use with
/// `#[serde(default, deserialize_with = "value::nullable")]` on an `Option<Option<T>>`.
pub fn nullable<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A text that must not appear in logs or debug output.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; named so that every use is seen in review.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_be_a_string_of_digits() {
        for text in ["512", "\"512\""] {
            assert_eq!(
                serde_json::from_str::<LooseInt>(text).unwrap(),
                LooseInt(512)
            );
        }
        assert_eq!(
            serde_json::from_str::<LooseInt>("\"-1\"").unwrap(),
            LooseInt(-1)
        );
        for bad in [
            "\"\"",
            "\"1.5\"",
            "1.5",
            "true",
            "null",
            "\"+1\"",
            "18446744073709551615",
        ] {
            assert!(
                serde_json::from_str::<LooseInt>(bad).is_err(),
                "{bad} was accepted"
            );
        }
    }

    #[test]
    fn a_boolean_may_be_a_word() {
        for text in ["true", "\"True\"", "\"yes\"", "\"1\""] {
            assert_eq!(
                serde_json::from_str::<LooseBool>(text).unwrap(),
                LooseBool(true)
            );
        }
        for bad in ["1", "\"maybe\"", "null", "\"\""] {
            assert!(
                serde_json::from_str::<LooseBool>(bad).is_err(),
                "{bad} was accepted"
            );
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.reveal(), "hunter2");
    }
}
