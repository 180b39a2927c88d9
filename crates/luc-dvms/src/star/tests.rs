//! Handler tests: one input, exact effects. Whole schedules are in the crate's `tests/scenarios`.

use std::sync::Arc;

use luc_core::time::{Duration, Instant};
use luc_core::units::MemoryMib;
use luc_core::{Effect, Effects, Input, PeerId, Protocol as _, SitePrefix, Uuid};

use super::message::{Claim, Order, Refusal};
use super::{Config, Durable, Energy, Message, Star, Timer};
use crate::ballot::Ballot;
use crate::command::{Candidate, Command, MigrationEnd, MigrationId, SearchId};
use crate::event::{Cause, Event, PartitionEnd};
use crate::host::{Cpu, Host, Resources, Vm, VmId};
use crate::plan::{Reason, StepId};

mod absorbing;
mod ahead;
mod contending;
mod executing;
mod growing;
mod joining;
mod pairs;
mod sleeping;
mod waiting;

/// An effect that can be compared and shown.
#[derive(Clone, Debug, PartialEq)]
enum Did {
    Persist(Durable),
    Send(PeerId, Message),
    Schedule(Duration, Timer),
    Emit(Event),
}

/// One scheduler, driven by hand.
struct Bench {
    star: Star,
    now: Instant,
}

const LEASE: Duration = Duration::from_secs(5);

fn peer(node: u64) -> PeerId {
    PeerId::new(SitePrefix::from_bytes([1; 6]), node)
}

fn me() -> PeerId {
    peer(1)
}

fn ballot(counter: u64, node: u64) -> Ballot {
    Ballot {
        counter,
        leader: peer(node),
    }
}

fn vm(number: u8, demand: u32) -> Vm {
    Vm {
        id: VmId(Uuid::from_bytes([number; 16])),
        demand: Cpu(demand),
        usual: Cpu(demand),
        memory: MemoryMib(1024),
        disk: MemoryMib(0),
        dirty_permille: 0,
        cool_down: Duration::ZERO,
        rules: None,
    }
}

/// A host of one core and eight gibibytes whose machines have these demands.
fn host(node: u64, demands: &[u32]) -> Host {
    let vms = demands.iter().enumerate();
    Host {
        peer: peer(node),
        capacity: Resources {
            cpu: Cpu(100),
            memory: MemoryMib(8192),
            disk: MemoryMib(8192),
        },
        vms: vms
            .map(|(place, demand)| vm(node as u8 * 16 + place as u8, *demand))
            .collect(),
        incoming: Resources::default(),
        migrations: 0,
        bandwidth_mbps: 1000,
        maintenance: false,
        vigil: false,
        asleep: false,
        labels: Vec::new(),
    }
}

fn claim(node: u64, age: Duration) -> Claim {
    Claim {
        cause: Cause::Overload,
        age,
        leader: peer(node),
    }
}

fn reserve(ballot: Ballot) -> Message {
    Message::Reserve {
        ballot,
        claim: Claim {
            leader: ballot.leader,
            ..claim(0, Duration::ZERO)
        },
        lease: LEASE,
        taken: None,
    }
}

fn candidate(node: u64) -> Candidate {
    Candidate {
        peer: peer(node),
        distance: Duration::from_millis(1),
        asleep: false,
        room: 0,
    }
}

/// The step that moves the first machine of `source` to `target`.
fn order(ballot: Ballot, source: u64, target: u64) -> Order {
    Order {
        migration: MigrationId {
            ballot,
            step: StepId(0),
        },
        vm: vm(source as u8 * 16, 0).id,
        target: peer(target),
        claim: Resources {
            cpu: Cpu(20),
            memory: MemoryMib(1024),
            disk: MemoryMib(0),
        },
        reason: Reason::Consolidation,
    }
}

impl Bench {
    fn with(config: Config) -> Self {
        Self {
            star: Star::new(me(), 7, config),
            now: Instant::from_nanos(1_000_000_000),
        }
    }

    /// A scheduler whose host runs machines of these demands.
    fn sampled(demands: &[u32]) -> Self {
        let mut bench = Self::with(Config::default());
        bench.sample(host(1, demands));
        bench
    }

    /// A leader that has asked the nodes 2 and 3 to join.
    fn asking() -> Self {
        let mut bench = Self::sampled(&[60, 60]);
        bench.neighbours(&[2, 3]);
        bench
    }

    /// A leader that carries out a plan: its first machine goes to node 2.
    fn executing() -> Self {
        let mut bench = Self::asking();
        bench.reserved(2, &[]);
        bench.reserved(3, &[90]);
        bench
    }

    fn input(&mut self, input: Input<Star>) -> Vec<Did> {
        let mut effects = Effects::new();
        self.star.handle(self.now, input, &mut effects);
        let did = effects.drain().map(|effect| match effect {
            Effect::Persist(record) => Did::Persist(record),
            Effect::Send { to, message } => Did::Send(to, message),
            Effect::Schedule { after, timer } => Did::Schedule(after, timer),
            Effect::Emit(event) => Did::Emit(event),
        });
        did.collect()
    }

    fn message(&mut self, from: u64, message: Message) -> Vec<Did> {
        let from = peer(from);
        self.input(Input::Message { from, message })
    }

    fn command(&mut self, command: Command) -> Vec<Did> {
        self.input(Input::Command(command))
    }

    fn timer(&mut self, timer: Timer) -> Vec<Did> {
        self.input(Input::Timer(timer))
    }

    fn sample(&mut self, host: Host) -> Vec<Did> {
        self.command(Command::Sample(host))
    }

    fn neighbours(&mut self, nodes: &[u64]) -> Vec<Did> {
        let found = nodes.iter().map(|node| candidate(*node)).collect();
        let search = SearchId(self.star.next_search - 1);
        self.command(Command::Neighbours { search, found })
    }

    fn reserved(&mut self, node: u64, demands: &[u32]) -> Vec<Did> {
        let ballot = self.star.reserved_under().unwrap();
        let host = Arc::new(host(node, demands));
        self.message(node, Message::Reserved { ballot, host })
    }

    fn refused(&mut self, node: u64, refusal: Refusal) -> Vec<Did> {
        let ballot = self.star.reserved_under().unwrap();
        self.message(node, Message::Refused { ballot, refusal })
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }
}

/// What was said, and to whom.
fn sends(did: &[Did]) -> Vec<(PeerId, Message)> {
    let sends = did.iter().filter_map(|did| match did {
        Did::Send(to, message) => Some((*to, message.clone())),
        Did::Persist(_) | Did::Schedule(..) | Did::Emit(_) => None,
    });
    sends.collect()
}

/// What the host was told.
fn events(did: &[Did]) -> Vec<Event> {
    let events = did.iter().filter_map(|did| match did {
        Did::Emit(event) => Some(event.clone()),
        Did::Persist(_) | Did::Schedule(..) | Did::Send(..) => None,
    });
    events.collect()
}

fn ignored(input: &'static str, reason: &'static str) -> Did {
    Did::Emit(Event::Ignored { input, reason })
}

fn ended(did: &[Did]) -> Option<PartitionEnd> {
    events(did).into_iter().find_map(|event| match event {
        Event::Ended { end, .. } => Some(end),
        _ => None,
    })
}
