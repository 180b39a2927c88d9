//! One input, exact effects.

use luc_core::time::{Duration, Instant};
use luc_core::units::MemoryMib;
use luc_core::{Effect, Effects, Input, PeerId, Protocol as _, SitePrefix, Uuid};

use super::message::{MergeAnswer, Message};
use super::partition::{Partition, State, Token};
use super::{Config, Relay};
use crate::ballot::Ballot;
use crate::command::{Candidate, Command, SearchId};
use crate::event::{Event, PartitionEnd};
use crate::host::{Cpu, Host, Resources, Vm, VmId};

mod crash;
mod merging;
mod token;

fn peer(number: u64) -> PeerId {
    PeerId::new(SitePrefix::from_bytes([0; 6]), number)
}

fn name(initiator: u64) -> Ballot {
    Ballot {
        counter: 1,
        leader: peer(initiator),
    }
}

/// A partition whose initiator is its first member and whose leader is its last.
fn partition(members: &[u64], version: u64, state: State) -> Partition {
    let mut partition = Partition::new(name(members[0]));
    for member in members {
        partition.insert(peer(*member));
    }
    partition.leader = peer(members[members.len() - 1]);
    partition.version = version;
    partition.state = state;
    partition
}

fn token(partition: Partition) -> Token {
    Token { partition, hops: 1 }
}

/// A host of one core with machines that ask for this much.
fn host(number: u64, demands: &[u32]) -> Host {
    let capacity = Resources {
        cpu: Cpu(100),
        memory: MemoryMib(1000),
        disk: MemoryMib(1000),
    };
    let vm = |(place, demand): (usize, &u32)| Vm {
        id: VmId(Uuid::from_bytes([number as u8 * 16 + place as u8; 16])),
        demand: Cpu(*demand),
        usual: Cpu(*demand),
        memory: MemoryMib(100),
        disk: MemoryMib::ZERO,
        dirty_permille: 0,
        cool_down: Duration::ZERO,
        rules: None,
    };
    Host {
        peer: peer(number),
        capacity,
        vms: demands.iter().enumerate().map(vm).collect(),
        incoming: Resources::default(),
        migrations: 0,
        bandwidth_mbps: 1000,
        maintenance: false,
        vigil: true,
        asleep: false,
        labels: Vec::new(),
    }
}

/// A scheduler under test, with its clock.
struct Node {
    relay: Relay,
    now: Instant,
}

/// What it did, without timers and records.
#[derive(Debug, PartialEq)]
enum Did {
    Sent(PeerId, Message),
    Told(Event),
}

impl Node {
    /// A node that knows its host.
    fn new(number: u64, demands: &[u32]) -> Self {
        let mut node = Self {
            relay: Relay::new(peer(number), 7, Config::default()),
            now: Instant::ORIGIN,
        };
        node.command(Command::Sample(host(number, demands)));
        node
    }

    fn handle(&mut self, input: Input<Relay>) -> Vec<Did> {
        let mut effects = Effects::new();
        self.relay.handle(self.now, input, &mut effects);
        let did = effects.drain().filter_map(|effect| match effect {
            Effect::Send { to, message } => Some(Did::Sent(to, message)),
            Effect::Emit(event) => Some(Did::Told(event)),
            Effect::Persist(_) | Effect::Schedule { .. } => None,
        });
        did.collect()
    }

    fn hears(&mut self, from: u64, message: Message) -> Vec<Did> {
        let from = peer(from);
        self.handle(Input::Message { from, message })
    }

    fn command(&mut self, command: Command) -> Vec<Did> {
        self.handle(Input::Command(command))
    }

    /// The overlay answers the last search that was told.
    fn finds(&mut self, did: &[Did], found: Option<u64>) -> Vec<Did> {
        let search = searched(did).expect("it searches").0;
        let candidate = |number| Candidate {
            peer: peer(number),
            distance: Duration::ZERO,
            asleep: false,
            room: 0,
        };
        match found {
            Some(number) => self.command(Command::Neighbours {
                search,
                found: vec![candidate(number)],
            }),
            None => self.command(Command::Exhausted { search }),
        }
    }

    /// Makes it a member of a partition of these nodes, itself the last to have joined.
    fn joins(&mut self, others: Partition) -> Vec<Did> {
        let (id, version, initiator) = (others.id, others.version, others.initiator());
        self.hears(90, Message::Isp(token(others)));
        let valid = Message::Valid {
            partition: id,
            version,
            valid: true,
        };
        self.handle(Input::Message {
            from: initiator,
            message: valid,
        })
    }
}

/// The last search told, and what it was to be outside of.
fn searched(did: &[Did]) -> Option<(SearchId, Vec<PeerId>)> {
    did.iter().rev().find_map(|did| match did {
        Did::Told(Event::Search {
            search, outside, ..
        }) => Some((*search, outside.iter().copied().collect())),
        _ => None,
    })
}

/// What was sent, in order.
fn sent(did: Vec<Did>) -> Vec<(PeerId, Message)> {
    let sent = did.into_iter().filter_map(|did| match did {
        Did::Sent(to, message) => Some((to, message)),
        Did::Told(_) => None,
    });
    sent.collect()
}

/// The reasons of what was ignored.
fn ignored(did: &[Did]) -> Vec<&'static str> {
    let reasons = did.iter().filter_map(|did| match did {
        Did::Told(Event::Ignored { reason, .. }) => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

fn ended(did: &[Did]) -> Option<PartitionEnd> {
    did.iter().find_map(|did| match did {
        Did::Told(Event::Ended { end, .. }) => Some(*end),
        _ => None,
    })
}

fn announce(partition: Partition, report: bool) -> Message {
    Message::Announce { partition, report }
}

fn merge_answer(taken: u64, answer: MergeAnswer) -> Message {
    let taken = name(taken);
    Message::MergeAnswer { taken, answer }
}
