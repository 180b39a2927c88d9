//! The scope of one record: who may hold a copy of it.
//!
//! Which scopes a kind may have is a rule of the table of kinds
//! ([`ScopeRule`](crate::kinds::ScopeRule)); this is the value that stands in the record.

use std::fmt;

use luc_core::id::{DomainId, ProjectId};
use serde::{Deserialize, Serialize};

/// Who may hold a copy of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The home site alone.
    Site,
    /// The sites where this project lives.
    Project(ProjectId),
    /// The sites where this domain lives.
    Domain(DomainId),
    /// Every site.
    Cloud,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site => f.write_str("site"),
            Self::Project(id) => write!(f, "project {id}"),
            Self::Domain(id) => write!(f, "domain {id}"),
            Self::Cloud => f.write_str("cloud"),
        }
    }
}
