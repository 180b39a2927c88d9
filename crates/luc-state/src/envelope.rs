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
use std::sync::Arc;

use luc_core::SitePrefix;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    fn encode(&self) -> Result<Vec<u8>, serde_json::Error>;
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

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let Some(unknown) = &self.unknown else {
            return serde_json::to_vec(&self.written());
        };
        let mut whole = serde_json::to_value(self.written())?;
        unknown.lay_over(&mut whole);
        serde_json::to_vec(&whole)
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
