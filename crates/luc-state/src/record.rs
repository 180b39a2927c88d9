//! Records: what a service stores, and how it is found again.
//!
//! A service writes one Rust type per kind and implements [`Record`] for it. The type is the
//! stored form, not the wire form and not the domain form: its field names are what an operator
//! reads in the engine, and they live as long as any release that wrote them. Change it by adding
//! optional fields (`#[serde(default)]`); fields that a newer release added survive a rewrite by
//! an older one, so never use `deny_unknown_fields`.

use std::fmt;
use std::ops::Deref;

use luc_core::SitePrefix;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::key::IndexKey;
use crate::kinds::Kind;
use crate::revision::{Revision, Stamp};
use crate::scope::Scope;
use crate::unknown::Unknown;

/// A type that is stored.
pub trait Record: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its line in the table of kinds. One type per kind.
    const KIND: Kind;

    /// The indexes over it. Names are unique in the list; a unique index may be added in a later
    /// release only if the stored records already satisfy it.
    const INDEXES: &'static [Index<Self>];

    /// The version of the stored form. Raise it with an additive change that readers should know
    /// of; a record that a newer release wrote keeps the newer number when it is rewritten.
    const SCHEMA: u32 = 1;

    /// Its id: never empty, at most 255 characters, and the same for the whole life of the record.
    fn id(&self) -> &str;

    /// Who may hold a copy of it. Must fit the scope rule of its kind.
    fn scope(&self) -> Scope;
}

/// An index over the records of one type: a name and the keys under which a record is found.
pub struct Index<R> {
    name: &'static str,
    unique: bool,
    keys: fn(&R) -> Vec<IndexKey>,
}

impl<R> Index<R> {
    /// An index in which each key belongs to at most one record.
    pub const fn unique(name: &'static str, keys: fn(&R) -> Vec<IndexKey>) -> Self {
        Self {
            name,
            unique: true,
            keys,
        }
    }

    /// An index in which a key may belong to any number of records.
    pub const fn plain(name: &'static str, keys: fn(&R) -> Vec<IndexKey>) -> Self {
        Self {
            name,
            unique: false,
            keys,
        }
    }

    /// Its name: lower-case letters and `_`, for it is part of engine keys.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether each key belongs to at most one record.
    pub const fn is_unique(&self) -> bool {
        self.unique
    }

    /// The keys of `record`, sorted, each once.
    pub fn keys_of(&self, record: &R) -> Vec<IndexKey> {
        let mut keys = (self.keys)(record);
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

impl<R> Clone for Index<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Index<R> {}

impl<R> fmt::Debug for Index<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = if self.unique { "unique" } else { "plain" };
        write!(f, "Index({}, {form})", self.name)
    }
}

/// A record as the store keeps it. Derefs to the record.
///
/// What stands in the envelope is read by methods, so that a record may have fields of these
/// names.
pub struct Stored<R> {
    pub(crate) value: R,
    pub(crate) envelope: Envelope,
    pub(crate) stamp: Stamp,
    pub(crate) unknown: Option<Box<Unknown>>,
}

/// What the store adds to each record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) home: SitePrefix,
    pub(crate) epoch: u32,
    pub(crate) scope: Scope,
    pub(crate) schema: u32,
}

impl<R> Stored<R> {
    /// The record.
    pub const fn value(&self) -> &R {
        &self.value
    }

    /// The only site that may write it.
    pub const fn home(&self) -> SitePrefix {
        self.envelope.home
    }

    /// How often its home has changed.
    pub const fn epoch(&self) -> u32 {
        self.envelope.epoch
    }

    /// Who may hold a copy.
    pub const fn scope(&self) -> &Scope {
        &self.envelope.scope
    }

    /// The revision that wrote it; `None` only inside a transaction, for what is not durable yet.
    pub fn revision(&self) -> Option<Revision> {
        self.stamp.revision()
    }
}

impl<R> Deref for Stored<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.value
    }
}

impl<R: fmt::Debug> fmt::Debug for Stored<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("value", &self.value)
            .field("home", &self.envelope.home)
            .field("epoch", &self.envelope.epoch)
            .field("scope", &self.envelope.scope)
            .field("revision", &self.stamp)
            .finish_non_exhaustive()
    }
}
