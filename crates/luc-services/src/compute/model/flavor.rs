//! The stored flavor: how big a server is, and what its hosts must have.
//!
//! Servers keep a copy of the flavor they were made with, so a flavor may go while they run. The
//! id is the client's choice; names are unique in the cloud.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::id::{FlavorId, ProjectId};
use luc_core::time::Timestamp;
use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

/// A flavor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flavor {
    /// Its id, often a small number written by an operator.
    pub id: FlavorId,
    /// Its name.
    pub name: String,
    /// Virtual processors.
    pub vcpus: Vcpus,
    /// Memory.
    pub ram: MemoryMib,
    /// The root disk; zero means as big as the image.
    pub disk: DiskGib,
    /// The ephemeral disk beside it.
    #[serde(default)]
    pub ephemeral: DiskGib,
    /// The swap disk.
    #[serde(default)]
    pub swap: MemoryMib,
    /// A factor of old networks, kept because clients read it.
    #[serde(default = "one")]
    pub rxtx_factor: f64,
    /// Whether every project may use it.
    pub is_public: bool,
    /// Whether no new server may use it.
    #[serde(default)]
    pub disabled: bool,
    /// Words for people.
    #[serde(default)]
    pub description: Option<String>,
    /// What the scheduler and the hypervisor are told.
    #[serde(default)]
    pub extra_specs: BTreeMap<String, String>,
    /// The projects that may use it if it is not public.
    #[serde(default)]
    pub projects: BTreeSet<ProjectId>,
    /// When it was made.
    pub created_at: Timestamp,
}

fn one() -> f64 {
    1.0
}

impl Flavor {
    /// Finds a flavor by its name.
    pub const BY_NAME: Index<Self> =
        Index::unique("name", |flavor| vec![key(&[flavor.name.as_str()])]);

    /// Whether the members of `project` may use it.
    pub fn is_open_to(&self, project: &ProjectId) -> bool {
        self.is_public || self.projects.contains(project)
    }
}

impl Record for Flavor {
    const KIND: Kind = Kind::Flavor;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_NAME];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}
