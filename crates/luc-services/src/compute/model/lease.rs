//! The stored leases of quotas: what a site may use of the limits of a project.
//!
//! [`QuotaLease`] stands at the home of the project's domain and travels with the domain;
//! [`LeaseHeld`] is the site's own side and never leaves it. How the two move is told in
//! [`crate::compute::quota::protocol`] and `docs/decisions/0030`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use luc_core::SitePrefix;
use luc_core::id::{DomainId, ProjectId, UserId};
use luc_core::time::Timestamp;
use luc_state::{Index, Kind, Record, Scope, Tx, key};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::quota::Resource;

/// What a share counts: a resource of a project, or of one user inside it who has a limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// The resource.
    pub resource: Resource,
    /// The user; none means the whole project.
    pub user: Option<UserId>,
}

/// A text that names no item.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither a resource nor a resource of a user")]
pub struct ItemError(String);

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource.name())?;
        match &self.user {
            Some(user) => write!(f, "@{user}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Item {
    type Err = ItemError;

    fn from_str(text: &str) -> Result<Self, ItemError> {
        let error = || ItemError(text.chars().take(300).collect());
        let (resource, user) = match text.split_once('@') {
            Some((resource, user)) => (resource, Some(user)),
            None => (text, None),
        };
        let user = user.map(UserId::parse).transpose().map_err(|_| error())?;
        let resource = Resource::named(resource).ok_or_else(error)?;
        Ok(Self { resource, user })
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How much of each item; what is missing is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(pub BTreeMap<Item, u64>);

impl Share {
    /// How much of `item`.
    pub fn of(&self, item: &Item) -> u64 {
        self.0.get(item).copied().unwrap_or_default()
    }

    /// Whether there is nothing of anything.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|count| *count == 0)
    }

    /// Both together, item by item.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        for (item, count) in &other.0 {
            let mine = sum.0.entry(item.clone()).or_default();
            *mine = mine.saturating_add(*count);
        }
        sum
    }

    /// What is left without `other`, item by item.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let left = self.0.iter().filter_map(|(item, count)| {
            let left = count.saturating_sub(other.of(item));
            (left > 0).then(|| (item.clone(), left))
        });
        Self(left.collect())
    }

    /// The greater of both, item by item.
    #[must_use]
    pub fn joined(mut self, other: &Self) -> Self {
        for (item, count) in &other.0 {
            let mine = self.0.entry(item.clone()).or_default();
            *mine = (*mine).max(*count);
        }
        self
    }
}

/// An amount as of one epoch. An epoch ends when the site gives something back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// How often the site has given something back.
    pub epoch: u64,
    /// The amount.
    pub share: Share,
}

/// How often something got a limit after it had none, as far as somebody has heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closings {
    /// By the limits of the project.
    #[serde(default)]
    pub own: u64,
    /// By those of all projects.
    #[serde(default)]
    pub class: u64,
}

/// How much of a project's limits a site may use, as the home of the project's domain has written
/// it down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaLease {
    id: String,
    /// The project.
    pub project: ProjectId,
    /// The project's domain.
    pub domain: DomainId,
    /// The site.
    pub site: SitePrefix,
    /// What the site may use.
    #[serde(default)]
    pub granted: Claim,
    /// What is kept for the site whether it uses it or not.
    #[serde(default, skip_serializing_if = "Share::is_empty")]
    pub reserve: Share,
    /// Of which limits that came after there was none the site has heard; in the home's own lease,
    /// of which every site has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub heard: BTreeMap<Item, Closings>,
}

impl QuotaLease {
    /// Finds the leases of a project.
    pub const BY_PROJECT: Index<Self> =
        Index::plain("project", |lease| vec![key(&[lease.project.as_str()])]);

    /// A lease of nothing.
    pub fn none(project: &ProjectId, domain: &DomainId, site: SitePrefix) -> Self {
        Self {
            id: Self::id_of(project, site),
            project: project.clone(),
            domain: domain.clone(),
            site,
            granted: Claim::default(),
            reserve: Share::default(),
            heard: BTreeMap::new(),
        }
    }

    /// What `site` was lent of the limits of `project`, which is of `domain`, as a transaction sees
    /// it.
    pub fn within(tx: &Tx<'_>, project: &ProjectId, domain: &DomainId, site: SitePrefix) -> Self {
        let stored = tx.get::<Self>(Self::id_of(project, site));
        let none = || Self::none(project, domain, site);
        stored.map_or_else(none, |stored| stored.value().clone())
    }

    /// The id of the lease of `site` for `project`.
    pub fn id_of(project: &ProjectId, site: SitePrefix) -> String {
        key(&[project.as_str(), &site.to_string()])
            .as_str()
            .to_owned()
    }

    /// What nobody else may use because of this lease.
    pub fn taken(&self, item: &Item) -> u64 {
        self.granted.share.of(item).max(self.reserve.of(item))
    }
}

impl Record for QuotaLease {
    const KIND: Kind = Kind::QuotaLease;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_PROJECT];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.domain.clone())
    }
}

/// What a site holds of a project's limits by its own word: what it uses never exceeds this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseHeld {
    /// The project.
    pub project: ProjectId,
    /// What the site may use.
    #[serde(default)]
    pub bound: Claim,
    /// When it last changed.
    pub changed_at: Timestamp,
}

impl Record for LeaseHeld {
    const KIND: Kind = Kind::LeaseHeld;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        self.project.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}
