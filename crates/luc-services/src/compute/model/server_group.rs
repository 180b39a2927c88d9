//! The stored server group: servers that the scheduler keeps together or apart.

use luc_core::id::{ProjectId, ServerGroupId, ServerId, UserId};
use luc_core::time::Timestamp;
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

/// What the scheduler does with the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupPolicy {
    /// All on one host.
    Affinity,
    /// No two on one host, or at most [`ServerGroup::max_per_host`].
    AntiAffinity,
    /// On as few hosts as can be.
    SoftAffinity,
    /// On as many hosts as can be.
    SoftAntiAffinity,
}

impl GroupPolicy {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Affinity => "affinity",
            Self::AntiAffinity => "anti-affinity",
            Self::SoftAffinity => "soft-affinity",
            Self::SoftAntiAffinity => "soft-anti-affinity",
        }
    }
}

/// A server group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerGroup {
    /// Its id.
    pub id: ServerGroupId,
    /// Its name; several groups may share one.
    pub name: String,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The user who made it.
    pub user: UserId,
    /// What the scheduler does with the members.
    pub policy: GroupPolicy,
    /// How many members one host may have under anti-affinity, if not one.
    #[serde(default)]
    pub max_per_host: Option<u32>,
    /// The members, in the order in which they came. Kept by whoever creates and deletes servers.
    #[serde(default)]
    pub members: Vec<ServerId>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ServerGroup {
    /// Finds the groups of a project.
    pub const BY_PROJECT: Index<Self> =
        Index::plain("project", |group| vec![key(&[group.project.as_str()])]);
}

impl Record for ServerGroup {
    const KIND: Kind = Kind::ServerGroup;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_PROJECT];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Project(self.project.clone())
    }
}
