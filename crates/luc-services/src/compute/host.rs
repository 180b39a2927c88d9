//! Compute hosts: what is stored of them, what servers claim on them, and whether they are alive.
//!
//! A [`Host`] is one server that runs VMs: hypervisor, compute service and resource provider of
//! OpenStack in one record, kept by its site. [`HostUsage`] stands beside it because it changes
//! with every server, in the same transaction as the server: a claim that fits cannot be lost to a
//! race. Heartbeats never enter the store; [`Liveness`] is memory, and so is [`Door`].
//!
//! Read by the scheduler, and by the hypervisor, service, aggregate and zone resources. Written by
//! [`super::hosts`] (registration), the services resource (disable, force down) and the server
//! operations (claims).

mod door;
mod liveness;

use std::net::IpAddr;

use luc_core::id::{ComputeServiceId, HypervisorId, NodeId};
use luc_core::time::Timestamp;
use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

pub use door::{Build, Door};
pub use liveness::{Heard, Heartbeat, Liveness};

/// What a host has, or what is claimed of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Virtual processors.
    pub vcpus: Vcpus,
    /// Memory.
    pub memory: MemoryMib,
    /// Local disk.
    pub disk: DiskGib,
}

impl Resources {
    /// The sum of both, dimension by dimension.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            vcpus: self.vcpus.plus(other.vcpus),
            memory: self.memory.plus(other.memory),
            disk: self.disk.plus(other.disk),
        }
    }

    /// What is left without `other`; nothing where `other` is more.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            vcpus: self.vcpus.minus(other.vcpus),
            memory: self.memory.minus(other.memory),
            disk: self.disk.minus(other.disk),
        }
    }

    /// The greater of both, dimension by dimension.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            vcpus: self.vcpus.max(other.vcpus),
            memory: self.memory.max(other.memory),
            disk: self.disk.max(other.disk),
        }
    }
}

/// How many times over a host's resources may be promised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllocationRatios {
    /// Of virtual processors.
    pub vcpus: f64,
    /// Of memory.
    pub memory: f64,
    /// Of disk.
    pub disk: f64,
}

impl Default for AllocationRatios {
    /// Nova's initial ratios (`initial_cpu_allocation_ratio` and its siblings, since 2023.1).
    fn default() -> Self {
        Self {
            vcpus: 4.0,
            memory: 1.0,
            disk: 1.0,
        }
    }
}

/// A host's processor, as `os-hypervisors` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuInfo {
    /// Such as `x86_64`.
    pub arch: String,
    /// Such as `EPYC-Rome`.
    pub model: String,
    /// Such as `AMD`.
    pub vendor: String,
    /// The flags that guests may see, sorted.
    pub features: Vec<String>,
    /// Sockets.
    pub sockets: u32,
    /// Cores of each socket.
    pub cores: u32,
    /// Threads of each core.
    pub threads: u32,
}

/// One server that runs VMs. Its name is its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The name, unique in its site; `OS-EXT-SRV-ATTR:host`.
    pub name: String,
    /// The node that runs it.
    pub node: NodeId,
    /// The id of the hypervisor and of the resource provider.
    pub hypervisor: HypervisorId,
    /// The id of the compute service.
    pub service: ComputeServiceId,
    /// The integer id of both below microversion 2.53; unique in its site.
    pub number: u32,
    /// The host's own name for itself.
    pub hypervisor_hostname: String,
    /// Such as `QEMU` or `fake`.
    pub hypervisor_type: String,
    /// As Nova counts it: 10.0.2 is 10 000 002.
    pub hypervisor_version: u32,
    /// The processor.
    pub cpu: CpuInfo,
    /// Where the host's node is reached.
    pub address: IpAddr,
    /// The availability zone: the site's name, unless an aggregate says otherwise.
    pub zone: String,
    /// What the host has.
    pub capacity: Resources,
    /// How many times over that may be promised.
    pub ratios: AllocationRatios,
    /// Whether new servers stay away.
    pub disabled: bool,
    /// Why it is disabled.
    pub disabled_reason: Option<String>,
    /// Whether an operator has declared it down, whatever its heartbeats say.
    pub forced_down: bool,
    /// When the host was first registered.
    pub created_at: Timestamp,
    /// When the record last changed.
    pub updated_at: Timestamp,
}

impl Host {
    /// What may be promised: the capacity under the allocation ratios.
    pub fn promisable(&self) -> Resources {
        Resources {
            vcpus: self.capacity.vcpus.scaled(self.ratios.vcpus),
            memory: self.capacity.memory.scaled(self.ratios.memory),
            disk: self.capacity.disk.scaled(self.ratios.disk),
        }
    }
}

impl Host {
    /// Finds the hosts of a node.
    pub const BY_NODE: Index<Self> = Index::plain("node", |host| vec![key(&[host.node.as_str()])]);

    /// Finds a host by the id of its hypervisor.
    pub const BY_HYPERVISOR: Index<Self> =
        Index::unique("hypervisor", |host| vec![key(&[host.hypervisor.as_str()])]);

    /// Finds a host by the id of its compute service.
    pub const BY_SERVICE: Index<Self> =
        Index::unique("service", |host| vec![key(&[host.service.as_str()])]);

    /// Finds a host by its number.
    pub const BY_NUMBER: Index<Self> = Index::unique("number", |host| {
        vec![key(&[host.number.to_string().as_str()])]
    });
}

impl Record for Host {
    const KIND: Kind = Kind::Host;
    const INDEXES: &'static [Index<Self>] = &[
        Self::BY_NODE,
        Self::BY_HYPERVISOR,
        Self::BY_SERVICE,
        Self::BY_NUMBER,
    ];

    fn id(&self) -> &str {
        &self.name
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}

/// What servers claim of a host; the id is the host's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostUsage {
    /// The host.
    pub host: String,
    /// The sum of the claims.
    pub claimed: Resources,
    /// How many servers hold a claim.
    pub instances: u64,
}

impl HostUsage {
    /// Nothing is claimed of `host`.
    pub fn none(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            ..Self::default()
        }
    }
}

impl Record for HostUsage {
    const KIND: Kind = Kind::HostUsage;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.host
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}

#[cfg(test)]
mod tests;
