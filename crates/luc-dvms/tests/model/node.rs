//! One node of the model: its scheduler, its host, its timers, and what it says of itself.

use std::collections::BTreeMap;

use luc_core::time::{Duration, Instant};
use luc_core::units::MemoryMib;
use luc_dvms::command::{Candidate, MigrationId, SearchId};
use luc_dvms::scheduler::Dvms;
use luc_dvms::star::{self, Broken};
use luc_dvms::{Ballot, Cpu, Host, Resources, Vm, config, durable, relay, timer};

use super::scenes::{self, peer};

/// How long a plan may take in the model; the product allows an hour.
pub(crate) const EXECUTING_MAX: Duration = Duration::from_secs(8);

/// A node. Equal nodes hash alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    /// Absent while it is down.
    pub(crate) dvms: Option<Dvms>,
    pub(crate) durable: Option<durable::Durable>,
    /// What it waits for, soonest first.
    pub(crate) timers: Vec<(Instant, timer::Timer)>,
    /// What is left of its open searches.
    pub(crate) searches: BTreeMap<SearchId, Vec<Candidate>>,
    /// The machines at its host.
    pub(crate) vms: Vec<Vm>,
    /// What its host keeps free for machines that will come.
    pub(crate) claims: BTreeMap<MigrationId, Resources>,
    /// By its own word: reserved under this ballot until then.
    pub(crate) held: Option<(Ballot, Instant)>,
}

impl Node {
    pub(crate) fn new(config: &config::Config, node: usize, demands: &[u32]) -> Self {
        let number = |at: usize| (node * 100 + at) as u64;
        let vms = demands.iter().enumerate();
        Self {
            dvms: Some(Dvms::new(config)),
            durable: None,
            timers: Vec::new(),
            searches: BTreeMap::new(),
            vms: vms
                .map(|(at, demand)| scenes::vm(number(at), *demand))
                .collect(),
            claims: BTreeMap::new(),
            held: None,
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.dvms.is_some()
    }

    /// Adds a timer in its place.
    pub(crate) fn schedule(&mut self, due: Instant, timer: timer::Timer) {
        let at = self.timers.partition_point(|(other, _)| *other <= due);
        self.timers.insert(at, (due, timer));
    }

    /// What the host reports; `migrations` of it are under way.
    pub(crate) fn sample(&self, node: usize, migrations: u16) -> Host {
        let mut incoming = Resources::default();
        for claim in self.claims.values() {
            incoming.cpu = incoming.cpu.plus(claim.cpu);
            incoming.memory = MemoryMib(incoming.memory.0 + claim.memory.0);
            incoming.disk = MemoryMib(incoming.disk.0 + claim.disk.0);
        }
        Host {
            peer: peer(node),
            capacity: scenes::capacity(),
            vms: self.vms.clone(),
            incoming,
            migrations,
            bandwidth_mbps: 1_000,
            maintenance: false,
            vigil: true,
            asleep: false,
            labels: Vec::new(),
        }
    }

    pub(crate) fn is_overloaded(&self) -> bool {
        let demand: Cpu = self.vms.iter().map(|vm| vm.demand).sum();
        demand > scenes::capacity().cpu
    }

    /// Memory of what runs here and of what will come.
    pub(crate) fn memory(&self) -> u64 {
        let running: u64 = self.vms.iter().map(|vm| vm.memory.0).sum();
        let claimed: u64 = self.claims.values().map(|claim| claim.memory.0).sum();
        running + claimed
    }

    /// Loses everything but what was durable, and its machines keep running.
    pub(crate) fn crash(&mut self) {
        self.dvms = None;
        self.timers.clear();
        self.searches.clear();
        self.claims.clear();
        self.held = None;
    }
}

/// Our protocol, with small groups and a short patience.
pub(crate) fn star(broken: Option<Broken>) -> config::Choice {
    config::Choice::Star(star::Config {
        first_group: 3,
        next_group: 2,
        executing_max: EXECUTING_MAX,
        solver_budget: 500,
        broken,
        ..star::Config::default()
    })
}

/// The published protocol.
pub(crate) fn relay() -> config::Choice {
    config::Choice::Relay(relay::Config {
        solver_budget: 500,
        ..relay::Config::default()
    })
}

/// The parameters of one node.
pub(crate) fn config(node: usize, protocol: &config::Choice) -> config::Config {
    config::Config {
        me: peer(node),
        seed: node as u64,
        protocol: protocol.clone(),
    }
}
