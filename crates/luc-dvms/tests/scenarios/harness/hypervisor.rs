//! The hosts of the harness: they do what they are told and write down what they should not
//! have been told.
//!
//! A migration takes a fixed time. The hypervisor is trusting: whoever orders a machine away that
//! is not there, or that is moving already, has broken a promise of [`Event::Migrate`], and that
//! is a violation; it is the scheduler that has to check.
//!
//! [`Event::Migrate`]: luc_dvms::Event::Migrate

use std::collections::{BTreeMap, BTreeSet};

use luc_core::PeerId;
use luc_core::time::{Duration, Instant};
use luc_dvms::command::{MigrationEnd, MigrationId};
use luc_dvms::{Cpu, Host, Resources, Vm, VmId};

/// A live migration under way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) vm: VmId,
    pub(crate) source: PeerId,
    pub(crate) target: PeerId,
}

/// One host as it really is.
pub(crate) struct Machine {
    host: Host,
    claims: BTreeMap<MigrationId, Resources>,
    moved: BTreeMap<VmId, Instant>,
}

/// All hosts, all machines, all migrations.
pub(crate) struct Hypervisor {
    /// How long a migration takes.
    pub(crate) duration: Duration,
    /// How long a machine must stay where it has just come to.
    pub(crate) cool_down: Duration,
    pub(crate) violations: Vec<String>,
    pub(crate) moves: u64,
    machines: BTreeMap<PeerId, Machine>,
    flights: BTreeMap<MigrationId, Flight>,
    over: BTreeSet<MigrationId>,
    /// Under way when one of their ends crashed.
    doomed: BTreeSet<MigrationId>,
}

impl Hypervisor {
    pub(crate) fn new(hosts: Vec<Host>) -> Self {
        let machines = hosts.into_iter().map(|host| {
            let machine = Machine {
                host,
                claims: BTreeMap::new(),
                moved: BTreeMap::new(),
            };
            (machine.host.peer, machine)
        });
        Self {
            duration: Duration::from_millis(500),
            cool_down: Duration::ZERO,
            violations: Vec::new(),
            moves: 0,
            machines: machines.collect(),
            flights: BTreeMap::new(),
            over: BTreeSet::new(),
            doomed: BTreeSet::new(),
        }
    }

    /// The host as it reports itself at `now`.
    pub(crate) fn sample(&self, peer: PeerId, now: Instant) -> Host {
        let machine = &self.machines[&peer];
        let mut host = machine.host.clone();
        for vm in &mut host.vms {
            let moved = machine.moved.get(&vm.id);
            vm.cool_down = moved.map_or(Duration::ZERO, |at| {
                self.cool_down.saturating_sub(now.since(*at))
            });
        }
        host.incoming = sum(machine.claims.values());
        let touches = |flight: &&Flight| flight.source == peer || flight.target == peer;
        host.migrations = self.flights.values().filter(touches).count() as u16;
        host
    }

    pub(crate) fn expect(&mut self, at: PeerId, migration: MigrationId, claim: Resources) {
        if !self.over.contains(&migration) {
            let claims = self
                .machines
                .get_mut(&at)
                .map(|machine| &mut machine.claims);
            claims.map(|claims| claims.insert(migration, claim));
        }
    }

    pub(crate) fn unexpect(&mut self, at: PeerId, migration: MigrationId) {
        if self.flights.contains_key(&migration) && !self.doomed.contains(&migration) {
            self.violations.push(format!(
                "{at} gave up the claim of {migration:?}, which is under way"
            ));
        }
        let claims = self
            .machines
            .get_mut(&at)
            .map(|machine| &mut machine.claims);
        claims.map(|claims| claims.remove(&migration));
    }

    /// Starts a migration, or says why it should not have been ordered.
    pub(crate) fn start(&mut self, migration: MigrationId, flight: Flight) -> bool {
        let here = self.machines[&flight.source]
            .host
            .vms
            .iter()
            .any(|vm| vm.id == flight.vm);
        if !here {
            let text = format!("{} was told to send {}: not here", flight.source, flight.vm);
            self.violations.push(text);
            return false;
        }
        if self.flights.values().any(|other| other.vm == flight.vm) {
            self.violations.push(format!(
                "{} was told twice to send {}",
                flight.source, flight.vm
            ));
        }
        if self.over.contains(&migration) || self.flights.contains_key(&migration) {
            self.violations
                .push(format!("{migration:?} was used twice"));
            return false;
        }
        self.flights.insert(migration, flight);
        self.check_memory();
        true
    }

    /// Ends a migration; `alive` tells which nodes still run.
    pub(crate) fn end(
        &mut self,
        migration: MigrationId,
        now: Instant,
        alive: impl Fn(PeerId) -> bool,
    ) -> Option<(Flight, MigrationEnd)> {
        let flight = self.flights.remove(&migration)?;
        self.over.insert(migration);
        let (source, target) = (flight.source, flight.target);
        if let Some(machine) = self.machines.get_mut(&target) {
            machine.claims.remove(&migration);
        }
        let doomed = self.doomed.remove(&migration);
        if doomed || !alive(source) || !alive(target) {
            return Some((flight, MigrationEnd::Failed));
        }
        let machine = self.machines.get_mut(&source)?;
        let at = machine.host.vms.iter().position(|vm| vm.id == flight.vm);
        let Some(at) = at else {
            // Sent twice: the other copy has gone; this one runs at a second host.
            self.violations
                .push(format!("{} runs at two hosts", flight.vm));
            return Some((flight, MigrationEnd::Failed));
        };
        let vm = machine.host.vms.remove(at);
        self.land(target, vm, now);
        self.moves += 1;
        Some((flight, MigrationEnd::Moved))
    }

    fn land(&mut self, target: PeerId, vm: Vm, now: Instant) {
        if let Some(machine) = self.machines.get_mut(&target) {
            machine.moved.insert(vm.id, now);
            machine.host.vms.push(vm);
            machine.host.vms.sort_by_key(|vm| vm.id);
        }
        self.check_memory();
    }

    /// The machines of a host that crashes are lost with it, and so are its claims.
    pub(crate) fn crash(&mut self, peer: PeerId) {
        if let Some(machine) = self.machines.get_mut(&peer) {
            machine.host.vms.clear();
            machine.claims.clear();
        }
        // What was on its way in or out fails, also if the node is back before it would have ended.
        let touched = |flight: &Flight| flight.source == peer || flight.target == peer;
        let flights = self.flights.iter().filter(|(_, flight)| touched(flight));
        let doomed: Vec<_> = flights.map(|(migration, _)| *migration).collect();
        self.doomed.extend(doomed);
    }

    pub(crate) fn set_demand(&mut self, peer: PeerId, demands: &[u32]) {
        let machine = self.machines.get_mut(&peer);
        let vms = machine
            .into_iter()
            .flat_map(|machine| &mut machine.host.vms);
        for (vm, demand) in vms.zip(demands) {
            vm.demand = Cpu(*demand);
            vm.usual = Cpu(*demand);
        }
    }

    pub(crate) fn overloaded(&self, peer: PeerId) -> bool {
        let host = &self.machines[&peer].host;
        host.vms.iter().map(|vm| vm.demand).sum::<Cpu>() > host.capacity.cpu
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.flights.is_empty()
    }

    /// Claims that nobody will ever use or give back, once everything has ended.
    pub(crate) fn claims_left(&self) -> usize {
        self.machines.values().map(|one| one.claims.len()).sum()
    }

    /// Where each machine runs, for comparisons.
    pub(crate) fn placement(&self) -> BTreeMap<VmId, Vec<PeerId>> {
        let mut at: BTreeMap<VmId, Vec<PeerId>> = BTreeMap::new();
        for (peer, machine) in &self.machines {
            for vm in &machine.host.vms {
                at.entry(vm.id).or_default().push(*peer);
            }
        }
        at
    }

    /// Memory counts on both ends while a machine moves.
    fn check_memory(&mut self) {
        for (peer, machine) in &self.machines {
            let arriving = self.flights.values().filter(|one| one.target == *peer);
            let arriving = arriving.filter_map(|flight| {
                let vms = &self.machines[&flight.source].host.vms;
                vms.iter().find(|vm| vm.id == flight.vm)
            });
            let own = machine.host.vms.iter();
            let used: u64 = own.chain(arriving).map(|vm| vm.memory.get()).sum();
            if used > machine.host.capacity.memory.get() {
                let text = format!("{peer} would need {used} MiB of memory");
                self.violations.push(text);
            }
        }
    }
}

fn sum<'a>(claims: impl Iterator<Item = &'a Resources>) -> Resources {
    claims.fold(Resources::default(), |sum, claim| Resources {
        cpu: sum.cpu.plus(claim.cpu),
        memory: sum.memory.plus(claim.memory),
        disk: sum.disk.plus(claim.disk),
    })
}
