//! The stored limits of projects, and what they use of them.
//!
//! Usage is counted in the transaction that creates or deletes, so a limit holds at every revision.
//! Things that can be counted by an index (key pairs, server groups) have no counter.

use std::collections::BTreeMap;

use luc_core::id::{DomainId, ProjectId, UserId};
use luc_state::{Index, Kind, Record, Scope};
use serde::{Deserialize, Serialize};

use super::lease::Item;

/// Something that is limited. The wire's name is the variant in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Virtual processors of a project.
    Cores,
    /// Network (until 2.35); no limit here.
    FixedIps,
    /// Network (until 2.35); no limit here.
    FloatingIps,
    /// Bytes in one file of a server's personality (until 2.56).
    InjectedFileContentBytes,
    /// Length of such a file's path (until 2.56).
    InjectedFilePathBytes,
    /// Files of a server's personality (until 2.56).
    InjectedFiles,
    /// Servers of a project.
    Instances,
    /// Key pairs of a user.
    KeyPairs,
    /// Metadata items of a server.
    MetadataItems,
    /// Memory of a project, in MiB.
    Ram,
    /// Network (until 2.35); no limit here.
    SecurityGroupRules,
    /// Network (until 2.35); no limit here.
    SecurityGroups,
    /// Members of a server group.
    ServerGroupMembers,
    /// Server groups of a project.
    ServerGroups,
}

impl Resource {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 14] = [
        Self::Cores,
        Self::FixedIps,
        Self::FloatingIps,
        Self::InjectedFileContentBytes,
        Self::InjectedFilePathBytes,
        Self::InjectedFiles,
        Self::Instances,
        Self::KeyPairs,
        Self::MetadataItems,
        Self::Ram,
        Self::SecurityGroupRules,
        Self::SecurityGroups,
        Self::ServerGroupMembers,
        Self::ServerGroups,
    ];

    /// The resource that the wire calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|resource| resource.name() == name)
    }

    /// As it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cores => "cores",
            Self::FixedIps => "fixed_ips",
            Self::FloatingIps => "floating_ips",
            Self::InjectedFileContentBytes => "injected_file_content_bytes",
            Self::InjectedFilePathBytes => "injected_file_path_bytes",
            Self::InjectedFiles => "injected_files",
            Self::Instances => "instances",
            Self::KeyPairs => "key_pairs",
            Self::MetadataItems => "metadata_items",
            Self::Ram => "ram",
            Self::SecurityGroupRules => "security_group_rules",
            Self::SecurityGroups => "security_groups",
            Self::ServerGroupMembers => "server_group_members",
            Self::ServerGroups => "server_groups",
        }
    }

    /// The limit where none was set: the defaults of Nova's `[quota]` options.
    pub fn default_limit(self) -> i64 {
        match self {
            Self::Cores => 20,
            Self::InjectedFileContentBytes => 10_240,
            Self::InjectedFilePathBytes => 255,
            Self::InjectedFiles => 5,
            Self::Instances | Self::ServerGroupMembers | Self::ServerGroups => 10,
            Self::KeyPairs => 100,
            Self::MetadataItems => 128,
            Self::Ram => 51_200,
            Self::FixedIps
            | Self::FloatingIps
            | Self::SecurityGroupRules
            | Self::SecurityGroups => UNLIMITED,
        }
    }
}

/// A limit as the wire writes it: a count, or -1 for none.
pub const UNLIMITED: i64 = -1;

/// The limits that were set, by resource; what is missing follows the defaults.
pub type Limits = BTreeMap<Resource, i64>;

/// The limits that were set for a project, and for some of its users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaSet {
    /// The project.
    pub project: ProjectId,
    /// The project's domain.
    pub domain: DomainId,
    /// The project's limits.
    #[serde(default)]
    pub limits: Limits,
    /// Limits of users inside the project.
    #[serde(default)]
    pub users: BTreeMap<UserId, Limits>,
    /// How often something got a limit here after it had none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub closed: BTreeMap<Item, u64>,
}

impl Record for QuotaSet {
    const KIND: Kind = Kind::Quota;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        self.project.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.domain.clone())
    }
}

/// The limits of all projects that have none of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaClass {
    /// Its name; there is one class, [`QuotaClass::DEFAULT`].
    pub name: String,
    /// The limits.
    #[serde(default)]
    pub limits: Limits,
    /// How often a resource got a limit after it had none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub closed: BTreeMap<Resource, u64>,
}

impl QuotaClass {
    /// The name of the only class that counts, as in Nova.
    pub const DEFAULT: &'static str = "default";
}

impl Record for QuotaClass {
    const KIND: Kind = Kind::QuotaClass;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.name
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}

/// What a project or user uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Servers.
    pub instances: u64,
    /// Virtual processors of these servers.
    pub cores: u64,
    /// Memory of these servers, in MiB.
    pub ram: u64,
}

impl Used {
    /// How much of `resource` it is, if that is counted here.
    pub fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Instances => self.instances,
            Resource::Cores => self.cores,
            Resource::Ram => self.ram,
            _ => 0,
        }
    }
}

/// What a project uses, and which user how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaUsage {
    /// The project.
    pub project: ProjectId,
    /// The whole project.
    pub used: Used,
    /// By user.
    #[serde(default)]
    pub users: BTreeMap<UserId, Used>,
}

impl QuotaUsage {
    /// The usage of a project that uses nothing.
    pub fn none(project: ProjectId) -> Self {
        Self {
            project,
            used: Used::default(),
            users: BTreeMap::new(),
        }
    }
}

impl Record for QuotaUsage {
    const KIND: Kind = Kind::QuotaUsage;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        self.project.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}
