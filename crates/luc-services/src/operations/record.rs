//! The stored operation: that a write of another site was carried out here, and its answer.

use luc_core::SitePrefix;
use luc_core::id::OpId;
use luc_core::time::Timestamp;
use luc_state::{Index, Kind, Record, Schema, Scope};
use serde::{Deserialize, Serialize};

/// The tables of operations.
pub fn schema() -> Schema {
    Schema::new().table::<Operation>()
}

/// A write that another site has handed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The id that the other site gave it.
    pub id: OpId,
    /// The site that handed it on.
    pub from: SitePrefix,
    /// What was asked, as method and path.
    #[serde(default)]
    pub request: String,
    /// A digest of the whole request, token and body among it.
    pub fingerprint: String,
    /// When it arrived first, by this site's clock.
    pub began: Timestamp,
    /// Whether it was given up before it arrived: it was not carried out and never will be.
    #[serde(default)]
    pub given_up: bool,
    /// The records it wrote or removed.
    #[serde(default)]
    pub wrote: Vec<Wrote>,
    /// The answer, once it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
}

/// A record that an operation wrote or removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wrote {
    /// Its kind, by name: a newer release may know more.
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// The answer to an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

impl Record for Operation {
    const KIND: Kind = Kind::Operation;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}
