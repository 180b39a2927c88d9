//! Keys: of index entries, and of what stands in the engine.
//!
//! An [`IndexKey`] is one or more parts joined so that no two lists of parts give the same text:
//! `%`, `/` and control characters are written as `%xx`, an empty part as `%`, and `/` separates.
//! An engine key is such a text behind the name of its keyspace:
//!
//! ```text
//! r/<kind>/<id>                    a record
//! u/<kind>/<index>/<key>           who holds a key of a unique index
//! f/<kind>/<index>/<bucket>        fence of a plain index: which keys have changed members
//! f/<kind>                         fence of the kind: records came or went
//! ```
//!
//! Not here: what the values look like (`envelope`).

use std::fmt;
use std::sync::Arc;

use crate::kinds::Kind;

/// The key of an index entry, made by [`key`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexKey(Arc<str>);

impl IndexKey {
    /// The joined text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexKey({})", self.0)
    }
}

/// Joins `parts` into the key of an index entry. Different lists of parts give different keys.
pub fn key(parts: &[&str]) -> IndexKey {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            text.push('/');
        }
        escape_into(&mut text, part);
    }
    IndexKey(text.into())
}

fn escape_into(text: &mut String, part: &str) {
    if part.is_empty() {
        text.push('%');
    }
    for character in part.chars() {
        if matches!(character, '%' | '/') || character.is_control() {
            let mut bytes = [0u8; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                text.push('%');
                push_hex(text, byte);
            }
        } else {
            text.push(character);
        }
    }
}

fn push_hex(text: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 0xf] {
        text.push(char::from_digit(u32::from(digit), 16).unwrap_or_default());
    }
}

/// Undoes [`escape_into`]; `None` if the text was not made by it.
fn unescape(text: &str) -> Option<String> {
    if text == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The number of fences per index. More fences mean fewer conflicts between controllers whose
/// transactions look at different keys; every one that has been used is one small engine record.
const FENCES: u64 = 64;

/// What an engine key stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EngineKey {
    /// A record.
    Record(Kind, Arc<str>),
    /// Who holds a key of a unique index.
    Claim(Kind, Arc<str>, IndexKey),
    /// That the members of some keys of a plain index have changed.
    Fence(Kind, Arc<str>, u8),
    /// That records of the kind came or went.
    Census(Kind),
}

impl EngineKey {
    /// The fence that guards `key` of the plain index `index`.
    pub(crate) fn fence(kind: Kind, index: &Arc<str>, key: &IndexKey) -> Self {
        // FNV-1a (Fowler, Noll, Vo 1991): the same on every controller and in every release.
        let hash = key.0.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self::Fence(kind, Arc::clone(index), (hash % FENCES) as u8)
    }

    /// The text under which the engine keeps it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(64);
        match self {
            Self::Record(kind, id) => {
                text.extend(["r/", kind.name(), "/"]);
                escape_into(&mut text, id);
            }
            Self::Claim(kind, index, key) => {
                text.extend(["u/", kind.name(), "/", index, "/", key.as_str()]);
            }
            Self::Fence(kind, index, bucket) => {
                text.extend(["f/", kind.name(), "/", index, "/"]);
                push_hex(&mut text, *bucket);
            }
            Self::Census(kind) => text.extend(["f/", kind.name()]),
        }
        text
    }

    /// What the text `text` stands for; `None` if it is of a kind or keyspace that this release
    /// does not know, which a newer one may have written.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (space, rest) = text.split_once('/')?;
        let (kind, rest) = match rest.split_once('/') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (rest, None),
        };
        let kind = Kind::named(kind)?;
        match (space, rest) {
            ("r", Some(id)) => Some(Self::Record(kind, unescape(id)?.into())),
            ("u", Some(rest)) => {
                let (index, key) = rest.split_once('/')?;
                Some(Self::Claim(kind, index.into(), IndexKey(key.into())))
            }
            ("f", Some(rest)) => {
                let (index, bucket) = rest.split_once('/')?;
                Some(Self::Fence(
                    kind,
                    index.into(),
                    u8::from_str_radix(bucket, 16).ok()?,
                ))
            }
            ("f", None) => Some(Self::Census(kind)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_list_and_an_empty_part_differ() {
        let keys = [
            key(&[]),
            key(&[""]),
            key(&["", ""]),
            key(&["/"]),
            key(&["%"]),
            key(&["a/"]),
        ];
        for (position, left) in keys.iter().enumerate() {
            for right in &keys[position + 1..] {
                assert_ne!(left, right);
            }
        }
        assert_eq!(key(&["default", "admin"]).as_str(), "default/admin");
    }

    #[test]
    fn a_key_of_a_newer_release_is_not_understood_and_not_an_error() {
        for text in [
            "r/spaceship/1",
            "z/server/1",
            "r",
            "r/server",
            "f/server/host/zz",
            "",
        ] {
            assert_eq!(EngineKey::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn different_parts_give_different_keys(
            left in proptest::collection::vec("[a%/\u{0}é]{0,3}", 0..4),
            right in proptest::collection::vec("[a%/\u{0}é]{0,3}", 0..4),
        ) {
            let joined = |parts: &[String]| {
                key(&parts.iter().map(String::as_str).collect::<Vec<_>>())
            };
            prop_assert_eq!(joined(&left) == joined(&right), left == right);
        }

        #[test]
        fn engine_keys_are_read_back_as_they_were_written(id in ".{1,20}", index in "[a-z_]{1,8}") {
            let index: Arc<str> = index.into();
            let entry = key(&[&id, "x"]);
            for written in [
                EngineKey::Record(Kind::Keypair, id.as_str().into()),
                EngineKey::Claim(Kind::User, Arc::clone(&index), entry.clone()),
                EngineKey::fence(Kind::Server, &index, &entry),
                EngineKey::Census(Kind::Host),
            ] {
                let text = written.text();
                prop_assert!(!text.chars().any(char::is_control));
                prop_assert_eq!(EngineKey::parse(&text), Some(written));
            }
        }
    }
}
