//! Copies that are kept aside: two sites have made a record with one id, or with one unique name,
//! while they could not ask each other.
//!
//! Which of the two others show is the same everywhere, whatever came first ([`Rank`]). The other
//! one stays in its home's own tables, and at every other site here, in its stored form, so that it
//! takes its place without a question to anybody once the first is gone or has another name.
//! `follower::aside` moves copies in and out; `docs/decisions/0033` says why.

use std::cmp::Reverse;

use luc_core::{SitePrefix, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::key;
use crate::kinds::Kind;
use crate::record::{Envelope, Index, Record};
use crate::scope::Scope;

/// A copy that is kept aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// Home, kind and id of the record.
    pub id: String,
    /// Its home.
    pub home: SitePrefix,
    /// The name of its kind.
    pub kind: String,
    /// Its id.
    pub record: String,
    /// What stands in its way.
    pub against: Against,
    /// Its stored form.
    pub stored: Value,
}

/// The record that is shown in place of one that is withheld.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    /// The name of its kind; that of a domain where the domain of the withheld one is withheld.
    pub kind: String,
    /// Its id.
    pub record: String,
    /// Its home.
    pub home: SitePrefix,
    /// The unique index of which both have one key; `None` if it is the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
}

impl Withheld {
    /// The id under which a record is kept aside.
    pub(super) fn id_of(home: SitePrefix, kind: Kind, id: &str) -> std::sync::Arc<str> {
        key(&[&home.to_string(), kind.name(), id]).as_str().into()
    }

    /// The name of the record, if its kind has one.
    pub fn name(&self) -> Option<&str> {
        self.stored.get("value")?.get("name")?.as_str()
    }
}

impl Record for Withheld {
    const KIND: Kind = Kind::Withheld;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}

/// How far a record gives way to others with its id or name: the least is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    standing: Standing,
    /// Whether its id says that another site made it, and it has not moved.
    strange: bool,
    /// Who has moved is newer.
    epoch: Reverse<u32>,
    home: SitePrefix,
}

/// What a home is to the site that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// The site itself: what it owns is always in its tables.
    Own,
    /// A trusted site.
    Trusted,
    /// Any other, and one that is not followed any more.
    Edge,
}

impl Rank {
    /// Of the record `id` with this envelope, whose home has this standing.
    pub(super) fn of(standing: Standing, id: &str, envelope: &Envelope) -> Self {
        let birth = Uuid::parse(id).ok().and_then(|uuid| uuid.birth_site());
        let elsewhere = birth.is_some_and(|birth| birth != envelope.home);
        Self {
            standing,
            strange: elsewhere && envelope.epoch == 0,
            epoch: Reverse(envelope.epoch),
            home: envelope.home,
        }
    }
}
