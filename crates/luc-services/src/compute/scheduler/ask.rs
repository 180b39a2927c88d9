//! What is asked of the scheduler.

use std::collections::{BTreeMap, BTreeSet};

use crate::compute::host::Resources;
use crate::compute::model::server_group::GroupPolicy;

/// Room for one server, and what its host must be.
#[derive(Clone, Debug, Default)]
pub struct Ask<'a> {
    /// How much of a host the server takes.
    pub size: Resources,
    /// In this availability zone.
    pub zone: Option<&'a str>,
    /// On this host.
    pub host: Option<&'a str>,
    /// On the host with this hypervisor.
    pub hypervisor: Option<&'a str>,
    /// Whether the host was forced: then only its being up and having room counts.
    pub forced: bool,
    /// What the flavor says of its hosts.
    pub extra_specs: Option<&'a BTreeMap<String, String>>,
    /// What the image says of its hosts.
    pub properties: Option<&'a BTreeMap<String, String>>,
    /// Not on these hosts.
    pub different: BTreeSet<String>,
    /// On one of these hosts.
    pub same: Option<BTreeSet<String>>,
    /// As the server's group says.
    pub group: Option<GroupAsk>,
    /// Hosts that have already failed to build the server.
    pub tried: BTreeSet<String>,
}

/// What a server group says.
#[derive(Clone, Debug)]
pub struct GroupAsk {
    /// Together or apart, strictly or not.
    pub policy: GroupPolicy,
    /// How many members one host may have under anti-affinity.
    pub max_per_host: u32,
    /// How many members each host has.
    pub members: BTreeMap<String, u32>,
}

impl GroupAsk {
    /// How many members `host` has.
    pub fn members_on(&self, host: &str) -> u32 {
        self.members.get(host).copied().unwrap_or_default()
    }
}
