//! The hosts of the simulated cloud, a table in columns.
//!
//! Demand and memory in use are kept as sums, so that a change costs the same on a host of ten
//! machines and on one of a hundred. The world changes the table, everybody may read it.

use luc_core::units::MemoryMib;
use luc_dvms::command::MigrationId;
use luc_dvms::{Cpu, Resources};
use serde::{Deserialize, Serialize};

use crate::index::{NodeIndex, SiteIndex, VmIndex};

/// What hosts of one class have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostClass {
    /// Processor time that machines may use, in hundredths of a core.
    pub cpu: u32,
    /// Memory, in mebibytes.
    pub memory_mib: u64,
    /// Local disk, in mebibytes.
    pub disk_mib: u64,
    /// The network interface, in megabits per second; all migrations of the host share it.
    pub nic_mbps: u32,
}

impl HostClass {
    /// The published host: 8 cores of which 7 are usable, 32 GB, 1 Gbit/s (VMPlaceS).
    pub const VMPLACES: Self = Self {
        cpu: 700,
        memory_mib: 32_768,
        disk_mib: 1_048_576,
        nic_mbps: 1_000,
    };
}

impl Default for HostClass {
    fn default() -> Self {
        Self::VMPLACES
    }
}

/// What a host is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// It serves.
    On,
    /// It is powered down and can be woken.
    Asleep,
    /// It is on its way up.
    Waking,
    /// It has lost its power or its program; its machines stand still with it.
    Crashed,
}

/// Room that is kept for a machine on its way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The migration it is for.
    pub migration: MigrationId,
    /// The machine.
    pub vm: VmIndex,
    /// How much.
    pub claim: Resources,
}

/// The hosts, one entry per host in each column.
#[derive(Clone, Debug)]
pub struct Hosts {
    pub(crate) site: Vec<SiteIndex>,
    pub(crate) class: Vec<HostClass>,
    pub(crate) state: Vec<HostState>,
    pub(crate) demand: Vec<u32>,
    pub(crate) memory_mib: Vec<u64>,
    pub(crate) vms: Vec<Vec<VmIndex>>,
    pub(crate) claims: Vec<Vec<Claim>>,
    pub(crate) maintenance: Vec<bool>,
    pub(crate) vigil: Vec<bool>,
}

impl Hosts {
    pub(crate) fn new(site: Vec<SiteIndex>, class: Vec<HostClass>) -> Self {
        let count = site.len();
        Self {
            site,
            class,
            state: vec![HostState::On; count],
            demand: vec![0; count],
            memory_mib: vec![0; count],
            vms: vec![Vec::new(); count],
            claims: vec![Vec::new(); count],
            maintenance: vec![false; count],
            vigil: vec![false; count],
        }
    }

    /// How many hosts there are.
    pub fn len(&self) -> usize {
        self.site.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.site.is_empty()
    }

    /// The site of `node`.
    pub fn site(&self, node: NodeIndex) -> SiteIndex {
        self.site[node.at()]
    }

    /// What `node` has.
    pub fn class(&self, node: NodeIndex) -> &HostClass {
        &self.class[node.at()]
    }

    /// What `node` has, as schedulers count it.
    pub fn capacity(&self, node: NodeIndex) -> Resources {
        let class = self.class(node);
        Resources {
            cpu: Cpu(class.cpu),
            memory: MemoryMib(class.memory_mib),
            disk: MemoryMib(class.disk_mib),
        }
    }

    /// What `node` is doing.
    pub fn state(&self, node: NodeIndex) -> HostState {
        self.state[node.at()]
    }

    /// Whether `node` serves.
    pub fn is_on(&self, node: NodeIndex) -> bool {
        self.state(node) == HostState::On
    }

    /// What the machines that run at `node` ask for; machines on their way in not included.
    pub fn demand(&self, node: NodeIndex) -> Cpu {
        Cpu(self.demand[node.at()])
    }

    /// Whether the machines that run at `node` ask for more than it has.
    pub fn is_overloaded(&self, node: NodeIndex) -> bool {
        self.demand[node.at()] > self.class[node.at()].cpu
    }

    /// The machines that run at `node`, in the order of their numbers.
    pub fn vms(&self, node: NodeIndex) -> &[VmIndex] {
        &self.vms[node.at()]
    }

    /// The room kept at `node` for machines on their way in.
    pub fn claims(&self, node: NodeIndex) -> &[Claim] {
        &self.claims[node.at()]
    }

    /// Memory in use at `node`: of the machines that run there and of those on their way in.
    pub fn memory_claimed(&self, node: NodeIndex) -> MemoryMib {
        let incoming: MemoryMib = self.claims(node).iter().map(|one| one.claim.memory).sum();
        MemoryMib(self.memory_mib[node.at()]).plus(incoming)
    }
}
