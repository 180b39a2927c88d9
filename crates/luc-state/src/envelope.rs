//! The stored form of a record: a JSON object that an operator can read.
//!
//! ```json
//! {"format":1,"kind":"server","schema":1,"home":"a1b2c3d4e5f6","epoch":0,
//!  "scope":{"project":"…"},"value":{…}}
//! ```
//!
//! `format` is the version of this envelope. It is raised only by a change that older releases
//! must not touch; they refuse such a record by name. Fields may be added without raising it: what
//! is unknown, here or in `value`, is kept and written back ([`Unknown`]).

use std::any::Any;
use std::io;
use std::sync::Arc;

use luc_core::SitePrefix;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::key::IndexKey;
use crate::kinds::Kind;
use crate::record::{Envelope, Record, Stored};
use crate::revision::Stamp;
use crate::scope::Scope;
use crate::unknown::Unknown;

/// The version of the envelope that this release writes.
const FORMAT: u32 = 1;

/// Why stored bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or without a field that every record has.
    #[error("the stored bytes are not a record")]
    Form(#[source] serde_json::Error),
    /// Written in a form that this release does not know.
    #[error("the record has format {found}; this release reads up to {FORMAT}: upgrade it")]
    Format {
        /// The format that was found.
        found: u32,
    },
    /// Of another kind than its key says.
    #[error("the record is of kind '{found}', its key says '{expected}'")]
    Kind {
        /// The kind in the record.
        found: String,
        /// The kind in its key.
        expected: Kind,
    },
    /// With another id than its key says.
    #[error("the record has the id '{found}', its key says '{expected}'")]
    Id {
        /// The id in the record.
        found: String,
        /// The id in its key.
        expected: String,
    },
    /// The home is not a site prefix.
    #[error("the record has no valid home")]
    Home(#[source] luc_core::IdError),
    /// The value does not fit the type of its kind.
    #[error("the value is not a valid {kind}")]
    Value {
        /// The kind it should be.
        kind: Kind,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Two records claim one key of a unique index.
    #[error("it has the key '{key}' of the unique index '{index}', which belongs to '{holder}'")]
    Duplicate {
        /// The index.
        index: String,
        /// The key.
        key: IndexKey,
        /// The id of the record that has the key already.
        holder: String,
    },
}

#[derive(Serialize)]
struct Written<'a, R> {
    format: u32,
    kind: Kind,
    schema: u32,
    home: String,
    epoch: u32,
    scope: &'a Scope,
    value: &'a R,
}

#[derive(Deserialize)]
struct Read {
    format: u32,
    kind: String,
    schema: u32,
    home: String,
    epoch: u32,
    scope: Scope,
    value: Value,
}

/// The parts of a record in the form that this release writes. The others are compared.
#[derive(Deserialize)]
#[serde(bound = "R: Record")]
struct Own<R> {
    schema: u32,
    home: String,
    epoch: u32,
    scope: Scope,
    value: R,
}

/// What is left of bytes from which the same is taken that is written to it.
struct Left<'a>(&'a [u8]);

impl io::Write for Left<'_> {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        let left = self.0.strip_prefix(written);
        self.0 = left.ok_or(io::ErrorKind::InvalidData)?;
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The format alone, so that a newer form is refused by its number and not by what it lacks.
#[derive(Deserialize)]
struct Marker {
    format: u32,
}

/// A stored record whose type is not named: what tables hold.
pub(crate) trait AnyStored: Any + Send + Sync {
    fn id(&self) -> &str;
    fn stamp(&self) -> &Stamp;
    fn envelope(&self) -> &Envelope;
    fn encode(&self) -> Result<Box<RawValue>, serde_json::Error>;
    fn index_keys(&self) -> Vec<Vec<IndexKey>>;
}

/// A stored record whose type is not named.
pub(crate) type Erased = Arc<dyn AnyStored>;

/// The record with its type, which the schema has made sure of.
pub(crate) fn typed<R: Record>(record: &Erased) -> Option<Arc<Stored<R>>> {
    let any: Arc<dyn Any + Send + Sync> = Arc::clone(record) as _;
    any.downcast().ok()
}

impl<R: Record> Stored<R> {
    fn written(&self) -> Written<'_, R> {
        Written {
            format: FORMAT,
            kind: R::KIND,
            schema: self.envelope.schema,
            home: self.envelope.home.to_string(),
            epoch: self.envelope.epoch,
            scope: &self.envelope.scope,
            value: &self.value,
        }
    }
}

impl<R: Record> AnyStored for Stored<R> {
    fn id(&self) -> &str {
        self.value.id()
    }

    fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    fn encode(&self) -> Result<Box<RawValue>, serde_json::Error> {
        let Some(unknown) = &self.unknown else {
            return to_raw_value(&self.written());
        };
        let mut whole = serde_json::to_value(self.written())?;
        unknown.lay_over(&mut whole);
        to_raw_value(&whole)
    }

    fn index_keys(&self) -> Vec<Vec<IndexKey>> {
        R::INDEXES
            .iter()
            .map(|index| index.keys_of(&self.value))
            .collect()
    }
}

/// Reads the record that is stored under `id`.
pub(crate) fn decode<R: Record>(
    id: &str,
    bytes: &[u8],
    stamp: Stamp,
) -> Result<Erased, DecodeError> {
    match decode_own::<R>(id, bytes, &stamp) {
        Some(stored) => Ok(Arc::new(stored)),
        None => decode_any::<R>(id, bytes, stamp),
    }
}

/// Reads a record whose bytes are just those that this release would write, as nearly all are:
/// there is nothing in it that is not known. `None` for any other, and for what is no record.
fn decode_own<R: Record>(id: &str, bytes: &[u8], stamp: &Stamp) -> Option<Stored<R>> {
    let read: Own<R> = serde_json::from_slice(bytes).ok()?;
    let stored = Stored {
        value: read.value,
        envelope: Envelope {
            home: read.home.parse().ok()?,
            epoch: read.epoch,
            scope: read.scope,
            schema: read.schema,
        },
        stamp: stamp.clone(),
        unknown: None,
    };
    let mut left = Left(bytes);
    let compared = serde_json::to_writer(&mut left, &stored.written());
    let same = compared.is_ok() && left.0.is_empty() && stored.value.id() == id;
    same.then_some(stored)
}

/// Reads a record of any release, and keeps what this one does not know.
fn decode_any<R: Record>(id: &str, bytes: &[u8], stamp: Stamp) -> Result<Erased, DecodeError> {
    let whole: Value = serde_json::from_slice(bytes).map_err(DecodeError::Form)?;
    let marker = Marker::deserialize(&whole).map_err(DecodeError::Form)?;
    if marker.format > FORMAT {
        return Err(DecodeError::Format {
            found: marker.format,
        });
    }
    let read = Read::deserialize(&whole).map_err(DecodeError::Form)?;
    if read.kind != R::KIND.name() {
        return Err(DecodeError::Kind {
            found: read.kind,
            expected: R::KIND,
        });
    }
    let home: SitePrefix = read.home.parse().map_err(DecodeError::Home)?;
    let value: R = serde_json::from_value(read.value).map_err(|source| DecodeError::Value {
        kind: R::KIND,
        source,
    })?;
    if value.id() != id {
        let found = value.id().to_owned();
        return Err(DecodeError::Id {
            found,
            expected: id.to_owned(),
        });
    }
    let envelope = Envelope {
        home,
        epoch: read.epoch,
        scope: read.scope,
        schema: read.schema,
    };
    debug_assert_eq!(read.format, marker.format, "one object, one format");
    let mut stored = Stored {
        value,
        envelope,
        stamp,
        unknown: None,
    };
    let known = serde_json::to_value(stored.written()).map_err(|source| DecodeError::Value {
        kind: R::KIND,
        source,
    })?;
    stored.unknown = Unknown::between(&whole, &known).map(Box::new);
    Ok(Arc::new(stored))
}

/// What stands under a claim of a unique index.
#[derive(Serialize, Deserialize)]
struct Claim {
    format: u32,
    id: String,
}

/// The stored form of a claim by the record `id`.
pub(crate) fn encode_claim(id: &str) -> Vec<u8> {
    // Two plain fields: this cannot fail.
    serde_json::to_vec(&Claim {
        format: FORMAT,
        id: id.to_owned(),
    })
    .unwrap_or_default()
}

/// The id of the record that holds the claim.
pub(crate) fn decode_claim(bytes: &[u8]) -> Result<String, DecodeError> {
    let claim: Claim = serde_json::from_slice(bytes).map_err(DecodeError::Form)?;
    Ok(claim.id)
}

/// What stands under a fence: only its revision matters.
pub(crate) const FENCE: &[u8] = br#"{"format":1}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Note;

    /// A note in the form of this release.
    fn own() -> String {
        let stored = Stored {
            value: Note::new("a", &["hello"]),
            envelope: Envelope {
                home: SitePrefix::from_bytes([7; 6]),
                epoch: 3,
                scope: Note::new("a", &[]).scope(),
                schema: 1,
            },
            stamp: Stamp::pending(),
            unknown: None,
        };
        let written = serde_json::to_string(&stored.written());
        written.expect("a record can be written")
    }

    #[test]
    fn a_record_of_this_release_is_read_as_that_of_any_other() {
        let own = own();
        let stamp = Stamp::pending;
        let quick = decode_own::<Note>("a", own.as_bytes(), &stamp()).expect("it is our own");
        let careful = decode_any::<Note>("a", own.as_bytes(), stamp()).expect("it is a record");
        let careful = typed::<Note>(&careful).expect("it is a note");
        assert_eq!(quick.value, careful.value);
        assert_eq!(quick.envelope, careful.envelope);
        assert!(careful.unknown.is_none());
        assert_eq!(quick.encode().expect("JSON").get(), own);
    }

    #[test]
    fn whatever_differs_from_the_own_form_is_read_with_care() {
        let own = own();
        let others = [
            own.replace(r#""epoch":3"#, r#""epoch": 3"#),
            own.replace(r#""epoch":3"#, r#""epoch":3,"new":1"#),
            own.replace(r#""value":{"#, r#""value":{"new":1,"#),
            own.replace(r#""format":1"#, r#""format":2"#),
            own.replace("hello", "hell\\u006f"),
            format!("{own} "),
        ];
        for other in others {
            assert_ne!(other, own);
            let read = decode_own::<Note>("a", other.as_bytes(), &Stamp::pending());
            assert!(read.is_none(), "{other}");
        }
        let misplaced = decode_own::<Note>("b", own.as_bytes(), &Stamp::pending());
        assert!(misplaced.is_none(), "its key names another");
    }
}
