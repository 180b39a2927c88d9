//! The wire form of a feed: JSON objects with a version, in which records stand as they are stored.
//!
//! Fields may be added without raising the version; what is not known is ignored. A kind of record
//! that a release does not know is skipped and remembered (`FeedCursor::skipped`).

use luc_core::SitePrefix;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Filter;
use crate::revision::Revision;

/// The version of [`Batch`] and [`Hello`] that this release writes.
pub const BATCH_VERSION: u32 = 1;

/// A place in the history of a home, as a follower with a filter sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token {
    /// How often the home has been brought back from a copy.
    pub epoch: u32,
    /// The home's revision; zero for one who has nothing yet.
    pub revision: Revision,
    /// The number of the follower's filter.
    pub filter: u32,
}

/// What a follower says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The newest version it understands.
    pub version: u32,
    /// What it holds.
    pub held: Token,
    /// The filter under which it holds that.
    pub filter: Filter,
    /// The filter it wants from now on; the same if it is content.
    pub wanted: Filter,
}

/// One step from a state to a later one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// The version of this form.
    pub version: u32,
    /// Whose state.
    pub home: SitePrefix,
    /// The state before; of all parts of one step the same.
    pub from: Token,
    /// The state after the last part.
    pub to: Token,
    /// Whether everything that was held before is to be forgotten.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reset: bool,
    /// Which part of the step this is, from zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: u32,
    /// Whether more parts follow.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
    /// What has changed, each record at most once in all parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
}

/// What became of one record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// It is this now.
    Put {
        /// The name of its kind.
        kind: String,
        /// Its id.
        id: String,
        /// Its stored form.
        record: Box<RawValue>,
    },
    /// It is gone, or out of the follower's sight.
    Gone {
        /// The name of its kind.
        kind: String,
        /// Its id.
        id: String,
    },
}

impl Entry {
    /// About how many bytes it has on the wire before compression.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Put { kind, id, record } => 48 + kind.len() + id.len() + record.get().len(),
            Self::Gone { kind, id } => 32 + kind.len() + id.len(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// Why bytes are no batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Not the JSON of one.
    #[error("the bytes are not a batch")]
    Form(#[from] serde_json::Error),
    /// Of a form that this release does not know.
    #[error("the batch has version {found}; this release reads up to {BATCH_VERSION}: upgrade it")]
    Version {
        /// The version that was found.
        found: u32,
    },
}

#[derive(Deserialize)]
struct Marker {
    version: u32,
}

impl Batch {
    /// Its bytes.
    pub fn encode(&self) -> Result<Vec<u8>, BatchError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// The batch that `bytes` are.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let Marker { version } = serde_json::from_slice(bytes)?;
        if version > BATCH_VERSION {
            return Err(BatchError::Version { found: version });
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}
