//! What an algorithm may do: send, wait, ask the hosts for migrations and power, and log.
//!
//! The context owns the world, the network and the queue. The simulation drives it and calls the
//! algorithm; the algorithm calls back. Everything it does goes through the rules of the world: a
//! host refuses what is impossible, whoever asks for it.

pub(crate) mod faults;
mod hosts;

use std::collections::BTreeMap;
use std::sync::Arc;

use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};
use luc_dvms::Host;
use luc_dvms::command::{MigrationEnd, MigrationId};

use crate::algorithm::{Algorithm, Constants};
use crate::fault::Schedule;
use crate::index::NodeIndex;
use crate::log::{Entry, Record, Sink};
use crate::metrics::Metrics;
use crate::migration::{Due, Migrations, Notice};
use crate::network::{Clocks, Fate, Network};
use crate::queue::Queue;
use crate::trace::Trace;
use crate::world::{HostState, World};

/// Something that will happen.
pub(crate) enum Event<M, T> {
    /// A message arrives.
    Message {
        to: NodeIndex,
        from: NodeIndex,
        message: M,
    },
    /// A timer is due, unless the node has started again since.
    Timer {
        node: NodeIndex,
        incarnation: u16,
        /// When, by the node's own clock, whose rate may change until then.
        due: Instant,
        timer: T,
    },
    /// A host that has changed is sampled.
    Sample(NodeIndex),
    /// A round of a migration is over.
    Round(Notice),
    /// The source hears how its migration ended.
    Over {
        node: NodeIndex,
        over: Box<(MigrationId, MigrationEnd)>,
    },
    /// A host has been waking long enough.
    Up(NodeIndex),
    /// The next fault of the schedule.
    Fault,
}

/// What the simulation keeps of each node's program.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Program {
    /// Grows with each start, so that timers of before are stale.
    pub(crate) incarnation: u16,
    /// It stands still.
    pub(crate) paused: bool,
    /// A sample is on its way to it.
    pub(crate) sampling: bool,
    /// Its host was overloaded when it was last looked at.
    pub(crate) violated: bool,
    /// What its host's machines asked for when that was last logged.
    pub(crate) logged_demand: u32,
    /// What it takes longer for each input, in microseconds.
    pub(crate) slow_micros: u32,
}

/// The log: metrics, the caller's sink, and what checkers want to see of the step under way.
pub(crate) struct Log {
    pub(crate) metrics: Metrics,
    pub(crate) sink: Box<dyn Sink>,
    /// The records of the step under way, if anyone watches.
    pub(crate) watched: Option<Vec<Record>>,
}

/// Events that wait for the programs of nodes.
type Held<A> = BTreeMap<NodeIndex, Vec<Event<<A as Algorithm>::Message, <A as Algorithm>::Timer>>>;

/// What an algorithm may see and do.
pub struct Context<A: Algorithm> {
    pub(crate) now: Instant,
    pub(crate) end: Instant,
    pub(crate) trace: Arc<Trace>,
    pub(crate) next_load: usize,
    pub(crate) faults: Schedule,
    pub(crate) next_fault: usize,
    pub(crate) queue: Queue<Event<A::Message, A::Timer>>,
    pub(crate) world: World,
    pub(crate) network: Network,
    pub(crate) clocks: Clocks,
    pub(crate) migrations: Migrations,
    pub(crate) programs: Vec<Program>,
    /// What waits for paused and sleeping programs.
    pub(crate) held: Held<A>,
    pub(crate) constants: Constants,
    pub(crate) log: Log,
    pub(crate) due: Vec<Due>,
    pub(crate) entropy: SplitMix64,
}

impl<A: Algorithm> Context<A> {
    /// True time. For the log and for baselines that stand outside; a node's program sees
    /// [`Context::local_now`].
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// When the run ends.
    pub const fn end(&self) -> Instant {
        self.end
    }

    /// What the clock of `node` shows.
    pub fn local_now(&self, node: NodeIndex) -> Instant {
        self.clocks.local(node.at(), self.now)
    }

    /// How long a wait of `wait` on the clock of `node` truly takes, as it goes now.
    pub fn true_wait(&self, node: NodeIndex, wait: Duration) -> Duration {
        self.clocks.true_wait(node.at(), wait)
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.world.len()
    }

    /// The truth. A distributed algorithm reads it for its own node only.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// The network, for round trips that an oracle knows and for counts.
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// The migrations in flight.
    pub const fn migrations(&self) -> &Migrations {
        &self.migrations
    }

    /// The constants of the run.
    pub const fn constants(&self) -> &Constants {
        &self.constants
    }

    /// The trace that is replayed.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// A random number for the algorithm's own use.
    pub fn random(&mut self) -> u64 {
        self.entropy.next_u64()
    }

    /// What the host of `node` reports of itself now.
    pub fn sample(&self, node: NodeIndex) -> Host {
        self.world.sample(node, self.now)
    }

    /// Sends `message`, which takes `bytes` on the wire, from one node to another.
    pub fn send(&mut self, from: NodeIndex, to: NodeIndex, bytes: u32, message: A::Message) {
        if to.at() >= self.programs.len() {
            return;
        }
        let slow = Duration::from_micros(u64::from(self.programs[from.at()].slow_micros));
        match self.network.fate(from, to, bytes) {
            Fate::Lost => {}
            Fate::Once(delay) => {
                let at = self.now + delay + slow;
                self.queue.push(at, Event::Message { to, from, message });
            }
            Fate::Twice(first, second) => {
                let copy = message.clone();
                let at = self.now + first + slow;
                self.queue.push(at, Event::Message { to, from, message });
                let message = copy;
                let at = self.now + second + slow;
                self.queue.push(at, Event::Message { to, from, message });
            }
        }
    }

    /// Hands `timer` back to `node` when its own clock has gone on by `after`.
    pub fn schedule(&mut self, node: NodeIndex, after: Duration, timer: A::Timer) {
        let incarnation = self.programs[node.at()].incarnation;
        let at = self.now + self.clocks.true_wait(node.at(), after);
        let event = Event::Timer {
            node,
            incarnation,
            due: self.local_now(node) + after,
            timer,
        };
        self.queue.push(at, event);
    }

    /// Writes `entry` to the log.
    pub fn record(&mut self, entry: Entry) {
        let record = Record {
            at: self.now,
            entry,
        };
        self.log.metrics.observe(&record);
        self.log.sink.record(&record);
        if let Some(watched) = &mut self.log.watched {
            watched.push(record);
        }
    }

    /// Logs what has changed at the hosts touched since, and sees to their samples.
    pub(crate) fn settle(&mut self) {
        while let Some(node) = self.world.take_touched() {
            let hosts = self.world.hosts();
            let demand = hosts.demand(node).0;
            let violated = hosts.is_on(node) && hosts.is_overloaded(node);
            let program = &mut self.programs[node.at()];
            let before = std::mem::replace(&mut program.logged_demand, demand);
            let was_violated = std::mem::replace(&mut program.violated, violated);
            let sampling = std::mem::replace(&mut program.sampling, true);
            if before != demand {
                self.record(Entry::Demand {
                    host: node,
                    cpu: demand,
                });
            }
            match (was_violated, violated) {
                (false, true) => self.record(Entry::ViolationBegan { host: node }),
                (true, false) => self.record(Entry::ViolationEnded { host: node }),
                (true, true) | (false, false) => {}
            }
            if !sampling {
                let at = self.next_tick(node);
                self.queue.push(at, Event::Sample(node));
            }
        }
        for due in self.due.drain(..) {
            self.queue.push(due.at, Event::Round(due.notice));
        }
    }

    /// The next time at which `node` is sampled; each node has its own phase.
    fn next_tick(&self, node: NodeIndex) -> Instant {
        let period = self.constants.sample_every.as_nanos() as u64;
        let phase = SplitMix64::new(u64::from(node.0) ^ 0x7068_6173_6500).next_u64() % period;
        let now = self.now.as_nanos();
        let ticks = (now + period - phase).div_ceil(period);
        Instant::from_nanos((ticks * period + phase - period).max(now))
    }

    /// Whether the program of `node` takes input now.
    pub(crate) fn is_listening(&self, node: NodeIndex) -> bool {
        self.world.hosts().state(node) == HostState::On && !self.programs[node.at()].paused
    }

    /// Keeps `event` until the program of `node` goes on.
    pub(crate) fn hold(&mut self, node: NodeIndex, event: Event<A::Message, A::Timer>) {
        self.held.entry(node).or_default().push(event);
    }

    /// Hands out what was kept for `node`.
    pub(crate) fn release(&mut self, node: NodeIndex) {
        for event in self.held.remove(&node).unwrap_or_default() {
            self.queue.push(self.now, event);
        }
    }
}
