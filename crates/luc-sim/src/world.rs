//! The world that schedulers act upon: hosts, virtual machines, and who runs where.
//!
//! This is the truth, which no node knows as a whole. It changes by loads from the trace, by
//! migrations that end, by faults and by power; each change marks the hosts it touches, so that
//! the simulation can hand out fresh samples and log what changed. It sends no message and knows
//! no protocol.

pub mod host;
pub mod vm;

use luc_core::PeerId;
use luc_core::time::{Duration, Instant};
use luc_core::units::MemoryMib;
use luc_dvms::command::MigrationId;
use luc_dvms::{Cpu, Host, Resources, Vm};

use crate::index::{NodeIndex, SiteIndex, VmIndex};
use crate::trace::Trace;

pub use host::{Claim, HostClass, HostState, Hosts};
pub use vm::{VmClass, Vms};

/// Hosts, machines, placement.
#[derive(Clone, Debug)]
pub struct World {
    hosts: Hosts,
    vms: Vms,
    /// How many live migrations each host is an end of.
    migrations: Vec<u16>,
    cool_down: Duration,
    marked: Vec<bool>,
    touched: Vec<NodeIndex>,
}

impl World {
    /// The world at the beginning of `trace`. A machine that has been moved is not to be moved
    /// again within `cool_down`.
    pub fn new(trace: &Trace, cool_down: Duration) -> Self {
        let site = trace.sites_of_nodes();
        let count = site.len();
        let class = (0..count).map(|node| trace.host_class(node)).collect();
        let mut hosts = Hosts::new(site, class);
        let vms = Vms::new(trace.header.vm_classes.clone(), &trace.placement);
        for number in 0..vms.len() {
            let vm = VmIndex(number as u32);
            let node = vms.host(vm).at();
            hosts.vms[node].push(vm);
            hosts.memory_mib[node] += u64::from(vms.class(vm).memory_mib);
        }
        Self {
            hosts,
            vms,
            migrations: vec![0; count],
            cool_down,
            marked: vec![false; count],
            touched: Vec::new(),
        }
    }

    /// The hosts.
    pub const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// The machines.
    pub const fn vms(&self) -> &Vms {
        &self.vms
    }

    /// How many hosts there are.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The name by which protocols know `node`.
    pub fn peer(&self, node: NodeIndex) -> PeerId {
        node.peer(self.hosts.site(node))
    }

    /// The site of `node`.
    pub fn site(&self, node: NodeIndex) -> SiteIndex {
        self.hosts.site(node)
    }

    /// How long a machine that was moved is left alone.
    pub const fn cool_down(&self) -> Duration {
        self.cool_down
    }

    /// How many live migrations `node` is an end of.
    pub fn migrations(&self, node: NodeIndex) -> u16 {
        self.migrations[node.at()]
    }

    /// What the host of `node` reports of itself at `now`.
    pub fn sample(&self, node: NodeIndex, now: Instant) -> Host {
        let claims = self.hosts.claims(node);
        let incoming = Resources {
            cpu: claims.iter().map(|one| self.vms.demand(one.vm)).sum(),
            memory: claims.iter().map(|one| one.claim.memory).sum(),
            disk: claims.iter().map(|one| one.claim.disk).sum(),
        };
        let vms = self.hosts.vms(node).iter();
        Host {
            peer: self.peer(node),
            capacity: self.hosts.capacity(node),
            vms: vms.map(|vm| self.sample_vm(*vm, now)).collect(),
            incoming,
            migrations: self.migrations(node),
            bandwidth_mbps: self.hosts.class(node).nic_mbps,
            maintenance: self.hosts.maintenance[node.at()],
            vigil: self.hosts.vigil[node.at()],
            asleep: self.hosts.state(node) == HostState::Asleep,
            labels: Vec::new(),
        }
    }

    fn sample_vm(&self, vm: VmIndex, now: Instant) -> Vm {
        let class = self.vms.class(vm);
        let demand = self.vms.demand(vm);
        // What its host would measure: the intensity of its class at the share of its core in use.
        let dirty_permille = u32::from(class.dirty_permille) * demand.0.min(100) / 100;
        Vm {
            id: vm.id(),
            demand,
            usual: self.vms.usual(vm, now),
            memory: MemoryMib(u64::from(class.memory_mib)),
            disk: MemoryMib(u64::from(class.disk_mib)),
            dirty_permille: dirty_permille as u16,
            cool_down: self.vms.cool_down(vm, self.cool_down, now),
            rules: self.vms.rules(vm).cloned(),
        }
    }

    /// The machines, to bind rules to them before the run.
    pub fn vms_mut(&mut self) -> &mut Vms {
        &mut self.vms
    }

    /// The machine asks for `demand` from now on.
    pub fn set_demand(&mut self, vm: VmIndex, demand: Cpu, now: Instant) {
        let host = self.vms.host(vm);
        let before = self.vms.demand(vm);
        if before == demand {
            return;
        }
        self.vms.set_demand(vm, demand, now);
        let sum = &mut self.hosts.demand[host.at()];
        *sum = *sum - before.0 + demand.0;
        self.touch(host);
        if let Some(target) = self.vms.target(vm) {
            // The target counts what is on its way in.
            self.touch(target);
        }
    }

    /// Puts `node` into or out of maintenance.
    pub fn set_maintenance(&mut self, node: NodeIndex, maintenance: bool) {
        self.hosts.maintenance[node.at()] = maintenance;
        self.touch(node);
    }

    /// Forbids or allows `node` to sleep.
    pub fn set_vigil(&mut self, node: NodeIndex, vigil: bool) {
        self.hosts.vigil[node.at()] = vigil;
        self.touch(node);
    }

    /// `node` is in `state` from now on.
    pub(crate) fn set_state(&mut self, node: NodeIndex, state: HostState) {
        self.hosts.state[node.at()] = state;
        self.touch(node);
    }

    /// Keeps room at `target` for a machine that will arrive; once per migration.
    pub(crate) fn claim(&mut self, target: NodeIndex, claim: Claim) {
        let claims = &mut self.hosts.claims[target.at()];
        if !claims.iter().any(|one| one.migration == claim.migration) {
            claims.push(claim);
            self.touch(target);
        }
    }

    /// Gives up the room kept at `target` for `migration`.
    pub(crate) fn unclaim(&mut self, target: NodeIndex, migration: MigrationId) {
        let claims = &mut self.hosts.claims[target.at()];
        let before = claims.len();
        claims.retain(|one| one.migration != migration);
        if claims.len() != before {
            self.touch(target);
        }
    }

    /// Gives up all room kept at `node`: it has crashed.
    pub(crate) fn unclaim_all(&mut self, node: NodeIndex) {
        self.hosts.claims[node.at()].clear();
        self.touch(node);
    }

    /// A live migration began.
    pub(crate) fn migration_began(&mut self, vm: VmIndex, source: NodeIndex, target: NodeIndex) {
        self.vms.target[vm.at()] = target;
        for node in [source, target] {
            self.migrations[node.at()] += 1;
            self.touch(node);
        }
    }

    /// A live migration ended; the machine runs at its target if `moved`.
    pub(crate) fn migration_ended(
        &mut self,
        vm: VmIndex,
        target: NodeIndex,
        moved: bool,
        now: Instant,
    ) {
        let source = self.vms.host(vm);
        self.vms.target[vm.at()] = vm::NOWHERE;
        for node in [source, target] {
            self.migrations[node.at()] -= 1;
            self.touch(node);
        }
        if moved {
            self.move_vm(vm, source, target);
            self.vms.set_moved(vm, target, now);
        }
    }

    fn move_vm(&mut self, vm: VmIndex, source: NodeIndex, target: NodeIndex) {
        let demand = u32::from(self.vms.demand[vm.at()]);
        let memory = u64::from(self.vms.class(vm).memory_mib);
        self.hosts.vms[source.at()].retain(|one| *one != vm);
        self.hosts.demand[source.at()] -= demand;
        self.hosts.memory_mib[source.at()] -= memory;
        let there = &mut self.hosts.vms[target.at()];
        let place = there.partition_point(|one| *one < vm);
        there.insert(place, vm);
        self.hosts.demand[target.at()] += demand;
        self.hosts.memory_mib[target.at()] += memory;
    }

    /// Marks `node` as changed.
    pub(crate) fn touch(&mut self, node: NodeIndex) {
        if !std::mem::replace(&mut self.marked[node.at()], true) {
            self.touched.push(node);
        }
    }

    /// Takes out one host that has changed since it was last taken out.
    pub(crate) fn take_touched(&mut self) -> Option<NodeIndex> {
        let node = self.touched.pop()?;
        self.marked[node.at()] = false;
        Some(node)
    }
}
