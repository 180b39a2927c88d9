//! What the feed keeps in the store: tombstones, and how far a site has come with each other one.

use luc_core::SitePrefix;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use super::{Filter, Token};
use crate::key::key;
use crate::kinds::Kind;
use crate::record::{Index, Record};
use crate::revision::Revision;
use crate::scope::Scope;

/// That a record is gone from here, or out of the sight of some sites.
///
/// Made in the commit that removes the record, taken away by the one that makes it again, and
/// collected once every follower has heard of it (`collect`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Kind and id of the record.
    pub id: String,
    /// The name of its kind, which a release that reads this need not know.
    pub kind: String,
    /// Its id.
    pub record: String,
    /// The scopes it had and has no more.
    pub scopes: Vec<Scope>,
}

impl Tombstone {
    /// The id of the tombstone of a record.
    pub(crate) fn id_of(kind: Kind, id: &str) -> std::sync::Arc<str> {
        key(&[kind.name(), id]).as_str().into()
    }

    pub(crate) fn new(kind: Kind, id: &str, scopes: Vec<Scope>) -> Self {
        Self {
            id: Self::id_of(kind, id).to_string(),
            kind: kind.name().to_owned(),
            record: id.to_owned(),
            scopes,
        }
    }
}

impl Record for Tombstone {
    const KIND: Kind = Kind::Tombstone;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}

/// How far this site has followed another; written in the commit that applies a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedCursor {
    /// The prefix of the other site, as text.
    pub site: String,
    /// The state of which copies are held.
    pub at: Token,
    /// False while the parts of a step are being applied: then some copies are newer.
    pub whole: bool,
    /// Kinds of which records were sent that the release that applied them did not know. A release
    /// that knows one starts again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub skipped: BTreeSet<String>,
    /// Whether the other site is not a trusted one: what it made gives way to what others made.
    #[serde(default, skip_serializing_if = "is_false")]
    pub edge: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Record for FeedCursor {
    const KIND: Kind = Kind::FeedCursor;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.site
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}

/// The filter under which copies of a site are held. Beside the cursor because it can be long and
/// changes seldom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedFilter {
    /// The prefix of the other site, as text.
    pub site: String,
    /// What is held.
    pub filter: Filter,
}

impl Record for FeedFilter {
    const KIND: Kind = Kind::FeedFilter;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.site
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}

/// What this site's feed can still tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedHorizon {
    /// The prefix of this site, as text.
    pub site: String,
    /// How often this site has been brought back from a copy.
    pub epoch: u32,
    /// Tombstones up to this revision may be gone: who has not come as far starts again.
    pub revision: Revision,
}

impl FeedHorizon {
    /// Of a site that has never collected anything.
    pub(super) fn first(site: SitePrefix) -> Self {
        Self {
            site: site.to_string(),
            epoch: 0,
            revision: Revision::ZERO,
        }
    }
}

impl Record for FeedHorizon {
    const KIND: Kind = Kind::FeedHorizon;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.site
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}
