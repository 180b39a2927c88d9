//! The stored host aggregate: hosts with something in common, which flavors can ask for and which
//! may form an availability zone.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::SitePrefix;
use luc_core::id::AggregateId;
use luc_core::time::Timestamp;
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

/// A host aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// The number under which the API knows it.
    pub id: String,
    /// Its UUID.
    pub uuid: AggregateId,
    /// Its name.
    pub name: String,
    /// The availability zone that its hosts form.
    #[serde(default)]
    pub zone: Option<String>,
    /// Its hosts, by name.
    #[serde(default)]
    pub hosts: BTreeSet<String>,
    /// What flavors' extra specs are compared with. The zone is not in it.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// Where it is now, if it has moved: then this record only says so.
    #[serde(default)]
    pub moved: Option<Moved>,
}

/// Where an aggregate has moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The site.
    pub site: SitePrefix,
    /// Its number there.
    pub number: u64,
}

impl Aggregate {
    /// The id as the number that it is.
    pub fn number(&self) -> u64 {
        self.id.parse().unwrap_or_default()
    }

    /// Finds an aggregate by its name.
    pub const BY_NAME: Index<Self> = Index::unique("name", |aggregate| match aggregate.moved {
        None => vec![key(&[aggregate.name.as_str()])],
        Some(_) => Vec::new(),
    });

    /// Finds the aggregates of a host.
    pub const BY_HOST: Index<Self> = Index::plain("host", |aggregate| {
        aggregate
            .hosts
            .iter()
            .map(|host| key(&[host.as_str()]))
            .collect()
    });
}

impl Record for Aggregate {
    const KIND: Kind = Kind::Aggregate;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_NAME, Self::BY_HOST];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}
