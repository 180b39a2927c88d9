//! The stored records of sites and nodes.

use std::collections::BTreeMap;

use luc_core::id::{DomainId, NodeId, SiteId};
use luc_core::time::Timestamp;
use luc_core::{Entropy, SitePrefix, Uuid};
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::proof::proves;

/// How far the word of a site counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// For system and cloud-admin scope too.
    #[default]
    Trusted,
    /// For its own domains only; it may stand where nobody guards it.
    Edge,
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Trusted => "trusted",
            Self::Edge => "edge",
        })
    }
}

/// What a ticket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// A node joins the inviting site.
    Node,
    /// A site joins the cloud.
    Site,
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Node => "node",
            Self::Site => "site",
        })
    }
}

/// What a site says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteInfo {
    /// The id, which follows from the prefix.
    pub id: SiteId,
    /// The prefix of every id that it makes.
    pub site: SitePrefix,
    /// The name it was admitted under, also that of its availability zone.
    pub name: String,
    /// The prefix of the site that founded the cloud.
    pub cloud: SitePrefix,
    /// Where its API is reached, without a path; `None` if nobody has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
}

impl SiteInfo {
    /// Finds a site by its prefix.
    pub const BY_SITE: Index<Self> = Index::plain("site", |s| vec![key(&[&s.site.to_string()])]);
}

impl Record for SiteInfo {
    const KIND: Kind = Kind::Site;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_SITE];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}

/// A node of a site. The record is the site's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// The id, which follows from the site and the key.
    pub id: NodeId,
    /// Its site.
    pub site: SitePrefix,
    /// Its name, unique inside its site.
    pub name: String,
    /// Its public key on the fabric, 64 hexadecimal digits.
    pub key: String,
    /// `controller`, `compute`.
    pub roles: Vec<String>,
    /// Where it is reached on the fabric; none for a node that only calls others.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// When it was registered.
    pub joined_at: Timestamp,
    /// Since when its key counts no longer; never taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// The hash of the secret of the ticket that brought it, so that a repeated join is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Its key's signature over [`node_message`](super::node_message), 128 hexadecimal digits:
    /// other sites do not believe its site without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

impl NodeInfo {
    /// Finds the nodes of a site.
    pub const BY_SITE: Index<Self> = Index::plain("site", |n| vec![key(&[&n.site.to_string()])]);
    /// Finds a node by its key.
    pub const BY_KEY: Index<Self> = Index::plain("key", |n| vec![key(&[&n.key])]);

    /// Whether its own key says in `cloud` that it is a node of its site.
    pub(super) fn is_proven(&self, cloud: SitePrefix) -> bool {
        proves(cloud, self.site, &self.key, self.proof.as_deref())
    }

    /// Whether it keeps its site's store.
    pub fn is_controller(&self) -> bool {
        self.roles.iter().any(|role| role == "controller")
    }
}

impl Record for NodeInfo {
    const KIND: Kind = Kind::Node;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_SITE, Self::BY_KEY];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}

/// That a site was let into the cloud. A record of the site that invited it, so that it cannot
/// raise its own label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The id.
    pub id: String,
    /// The prefix of the admitted site.
    pub site: SitePrefix,
    /// The name that was promised to it.
    pub name: String,
    /// Its founding public key, 64 hexadecimal digits; its hash is the prefix.
    pub founding_key: String,
    /// How far its word counts.
    pub label: Label,
    /// The domains whose records an edge site may hold; it may hold none that is not
    /// listed. A trusted site has no list and may hold any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domains: Option<Vec<DomainId>>,
    /// The key of its first node: known before anything of the site itself is.
    pub node_key: String,
    /// Where that node is reached.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// When.
    pub admitted_at: Timestamp,
    /// The hash of the secret of its ticket, so that a repeated join is the same; `None` for the
    /// founder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

impl Admission {
    /// Finds the admission of a site.
    pub const BY_SITE: Index<Self> = Index::plain("site", |a| vec![key(&[&a.site.to_string()])]);
}

impl Record for Admission {
    const KIND: Kind = Kind::Admission;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_SITE];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}

/// That a site is no longer of the cloud. Only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The id.
    pub id: String,
    /// The prefix of the site that is gone.
    pub site: SitePrefix,
    /// Why, for people.
    pub reason: String,
    /// Whether an operator says that nothing of it runs any more, so that what it was lent is free.
    #[serde(default)]
    pub fenced: bool,
    /// When.
    pub removed_at: Timestamp,
}

impl Removal {
    /// Finds the removals of a site.
    pub const BY_SITE: Index<Self> = Index::plain("site", |r| vec![key(&[&r.site.to_string()])]);
}

impl Record for Removal {
    const KIND: Kind = Kind::Removal;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_SITE];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}

/// An invitation that has not been used. Using it deletes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The id.
    pub id: String,
    /// SHA-256 of the secret, 64 hexadecimal digits.
    pub hash: String,
    /// What it is for.
    pub purpose: Purpose,
    /// What a site becomes that joins with it.
    pub label: Label,
    /// The domains whose records an edge site may hold: none that is not listed, and none at all
    /// without a list. A trusted site has no list and may hold any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domains: Option<Vec<DomainId>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it is worth nothing.
    pub expires_at: Timestamp,
}

impl Ticket {
    /// Finds a ticket by the hash of its secret.
    pub const BY_HASH: Index<Self> = Index::unique("hash", |t| vec![key(&[&t.hash])]);
}

impl Record for Ticket {
    const KIND: Kind = Kind::Ticket;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_HASH];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}

/// What this site has promised to a site that joins: nobody else gets its prefix or its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The prefix of the joining site, as text; also the id.
    pub site: String,
    /// The name it asked for.
    pub name: String,
    /// Its founding public key, 64 hexadecimal digits.
    pub founding_key: String,
    /// The attempts that it is kept for, each with the inviting site.
    #[serde(default)]
    pub attempts: BTreeMap<String, SitePrefix>,
    /// When the promise is forgotten if no admission has followed.
    pub until: Timestamp,
}

impl Promise {
    /// Finds the promise of a name.
    pub const BY_NAME: Index<Self> = Index::unique("name", |p| vec![key(&[&p.name])]);
}

impl Record for Promise {
    const KIND: Kind = Kind::Promise;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_NAME];

    fn id(&self) -> &str {
        &self.site
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}

/// Draws the random part of an id from a hash, so that the same thing has the same id everywhere.
struct OfHash([u8; 32], usize);

impl OfHash {
    fn new(purpose: &str, bytes: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(purpose).chain_update(bytes);
        Self(digest.finalize().into(), 0)
    }
}

impl Entropy for OfHash {
    fn next_u64(&mut self) -> u64 {
        let mut word = [0u8; 8];
        word.copy_from_slice(&self.0[self.1..self.1 + 8]);
        self.1 = (self.1 + 8) % 32;
        u64::from_le_bytes(word)
    }
}

/// The id of the site `site`.
pub fn site_id(site: SitePrefix) -> SiteId {
    SiteId::born_at(site, &mut OfHash::new("luc site id", site.as_bytes()))
}

/// The id of the node with the key `key` at `site`.
pub fn node_id(site: SitePrefix, key: &str) -> NodeId {
    NodeId::born_at(site, &mut OfHash::new("luc node id", key.as_bytes()))
}

/// The id that everybody gives to what `site` says of `subject`.
pub(super) fn said_of(site: SitePrefix, purpose: &str, subject: SitePrefix) -> String {
    Uuid::born_at(site, &mut OfHash::new(purpose, subject.as_bytes())).simple()
}
