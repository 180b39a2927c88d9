//! The loop: takes the next event, lets time pass, tells the algorithm, logs what changed.

use std::sync::Arc;

use luc_core::entropy::SplitMix64;
use luc_core::time::Instant;
use thiserror::Error;

use crate::algorithm::{Algorithm, Constants};
use crate::context::faults::Told;
use crate::context::{Context, Event, Log, Program};
use crate::fault::Schedule;
use crate::index::NodeIndex;
use crate::log::{Entry, FORMAT, Header, Record, Sink, VERSION};
use crate::metrics::Metrics;
use crate::migration::Migrations;
use crate::network::{Clocks, Network, RoundTrips, RoundTripsError};
use crate::trace::Trace;
use crate::world::{HostState, World};

/// Everything a run needs besides the algorithm.
pub struct Setup {
    /// What is replayed.
    pub trace: Arc<Trace>,
    /// How far nodes are from each other.
    pub round_trips: RoundTrips,
    /// Constants that shape the log.
    pub constants: Constants,
    /// What goes wrong.
    pub faults: Schedule,
    /// What all chance of the run comes from.
    pub seed: u64,
    /// Where the log goes.
    pub sink: Box<dyn Sink>,
}

/// A run that cannot begin.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The round-trip times do not fit the cloud.
    #[error("the network does not fit the trace")]
    RoundTrips(#[from] RoundTripsError),
    /// A fault names a node that does not exist.
    #[error("a fault is about node {node}, but there are only {nodes}")]
    FaultNode {
        /// The node.
        node: u32,
        /// How many there are.
        nodes: usize,
    },
}

/// One run.
pub struct Simulation<A: Algorithm> {
    algorithm: A,
    context: Context<A>,
    finished: bool,
    steps: u64,
}

impl<A: Algorithm> Simulation<A> {
    /// Prepares a run and lets `algorithm` start.
    pub fn new(setup: Setup, mut algorithm: A) -> Result<Self, SetupError> {
        let mut context = context(setup, &algorithm)?;
        algorithm.start(&mut context);
        for node in 0..context.nodes() {
            context.world.touch(NodeIndex(node as u32));
        }
        context.settle();
        Ok(Self {
            algorithm,
            context,
            finished: false,
            steps: 0,
        })
    }

    /// What the algorithm may see.
    pub const fn context(&self) -> &Context<A> {
        &self.context
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> &A {
        &self.algorithm
    }

    /// The metrics of what has happened so far.
    pub const fn metrics(&self) -> &Metrics {
        &self.context.log.metrics
    }

    /// How many events have happened.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Keeps the records of each step for [`Simulation::records`].
    pub fn watch(&mut self) {
        self.context.log.watched = Some(Vec::new());
    }

    /// What was logged in the last step, if the run is watched.
    pub fn records(&self) -> &[Record] {
        self.context.log.watched.as_deref().unwrap_or_default()
    }

    /// Lets one event happen. False when the run is over.
    pub fn step(&mut self) -> bool {
        if self.finished {
            return false;
        }
        if let Some(watched) = &mut self.context.log.watched {
            watched.clear();
        }
        let load = self
            .context
            .trace
            .loads
            .get(self.context.next_load)
            .copied();
        let queued = self.context.queue.next_time();
        let end = self.context.end;
        let load_first = load.is_some_and(|load| queued.is_none_or(|at| load.at() <= at));
        match (load, queued) {
            (Some(load), _) if load_first && load.at() < end => {
                self.context.now = load.at();
                self.context.next_load += 1;
                let now = self.context.now;
                self.context.world.set_demand(load.vm(), load.cpu(), now);
            }
            (_, Some(at)) if !load_first && at < end => {
                if let Some((at, event)) = self.context.queue.pop() {
                    self.context.now = at;
                    self.on_event(event);
                }
            }
            _ => {
                self.finish();
                return false;
            }
        }
        self.steps += 1;
        self.context.settle();
        true
    }

    /// Lets everything happen until the end of the trace.
    pub fn run(&mut self) {
        while self.step() {}
    }

    /// Lets everything happen before `time`.
    pub fn run_until(&mut self, time: Instant) {
        while self.next_time().is_some_and(|next| next < time) && self.step() {}
    }

    /// When the next event happens.
    pub fn next_time(&mut self) -> Option<Instant> {
        let load = self.context.trace.loads.get(self.context.next_load);
        let load = load.map(crate::trace::Load::at);
        let queued = self.context.queue.next_time();
        load.into_iter().chain(queued).min()
    }

    fn finish(&mut self) {
        self.finished = true;
        self.context.now = self.context.end;
        for node in 0..self.context.nodes() {
            let node = NodeIndex(node as u32);
            let traffic = self.context.network.traffic(node);
            if traffic.messages > 0 {
                self.context.record(Entry::Traffic {
                    node,
                    messages: traffic.messages,
                    bytes: traffic.bytes,
                });
            }
        }
        self.context.record(Entry::Finished);
    }

    fn on_event(&mut self, event: Event<A::Message, A::Timer>) {
        let context = &mut self.context;
        match event {
            Event::Message { to, from, message } => {
                if context.is_listening(to) {
                    self.algorithm.message(to, from, message, context);
                } else if context.world.hosts().is_on(to) {
                    context.hold(to, Event::Message { to, from, message });
                }
            }
            Event::Timer {
                node,
                incarnation,
                due,
                timer,
            } => {
                let stale = context.programs[node.at()].incarnation != incarnation;
                let early = due - context.local_now(node);
                let again = |timer| Event::Timer {
                    node,
                    incarnation,
                    due,
                    timer,
                };
                if stale {
                    // Of before a crash: nobody waits for it.
                } else if !early.is_zero() {
                    let at = context.now + context.clocks.true_wait(node.at(), early);
                    context.queue.push(at, again(timer));
                } else if context.is_listening(node) {
                    self.algorithm.timer(node, timer, context);
                } else {
                    context.hold(node, again(timer));
                }
            }
            Event::Sample(node) => self.on_sample(node),
            Event::Round(notice) => {
                let now = context.now;
                if let Some(over) = context.migrations.round_over(notice, now, &mut context.due) {
                    context.on_over(&over, true);
                }
            }
            Event::Over { node, over } => {
                if context.is_listening(node) {
                    let (migration, end) = *over;
                    self.algorithm
                        .migration_ended(node, migration, end, context);
                } else if context.world.hosts().state(node) != HostState::Crashed {
                    context.hold(node, Event::Over { node, over });
                }
            }
            Event::Up(node) => {
                if context.world.hosts().state(node) == HostState::Waking {
                    context.set_state(node, HostState::On);
                    self.algorithm.woken(node, context);
                    context.release(node);
                    context.sample_now(node);
                }
            }
            Event::Fault => match context.next_fault() {
                Told::Nothing => {}
                Told::Crashed(node) => self.algorithm.crashed(node, context),
                Told::Restarted(node) => self.algorithm.restarted(node, context),
            },
        }
    }

    fn on_sample(&mut self, node: NodeIndex) {
        let context = &mut self.context;
        if context.is_listening(node) {
            context.programs[node.at()].sampling = false;
            self.algorithm.sampled(node, context);
        } else if context.world.hosts().is_on(node) {
            context.hold(node, Event::Sample(node));
        } else {
            context.programs[node.at()].sampling = false;
        }
    }
}

fn context<A: Algorithm>(setup: Setup, algorithm: &A) -> Result<Context<A>, SetupError> {
    let Setup {
        trace,
        round_trips,
        constants,
        faults,
        seed,
        mut sink,
    } = setup;
    let world = World::new(&trace, constants.cool_down);
    let nodes = world.len();
    let named = faults.faults().iter().filter_map(|(_, fault)| fault.node());
    if let Some(node) = named
        .map(|node| node.0)
        .find(|node| *node as usize >= nodes)
    {
        return Err(SetupError::FaultNode { node, nodes });
    }
    let network = Network::new(round_trips, trace.sites_of_nodes(), seed)?;
    let classes = (0..nodes).map(|node| trace.host_class(node));
    let header = Header {
        format: FORMAT,
        version: VERSION,
        algorithm: algorithm.name(),
        seed,
        sites: trace.header.sites.clone(),
        vms: trace.header.vms,
        capacity: classes.clone().map(|class| class.cpu).collect(),
        duration_ms: trace.header.duration_ms,
        trace: trace.header.description.clone(),
        solver_ns_per_step: constants.solver_step.as_nanos() as u64,
        sample_ms: constants.sample_every.as_millis() as u64,
        cool_down_ms: constants.cool_down.as_millis() as u64,
        power: constants.power,
    };
    sink.header(&header);
    let mut queue = crate::queue::Queue::new();
    for (at, _) in faults.faults() {
        queue.push(*at, Event::Fault);
    }
    Ok(Context {
        now: Instant::ORIGIN,
        end: trace.end(),
        next_load: 0,
        faults,
        next_fault: 0,
        queue,
        migrations: Migrations::new(classes.map(|class| class.nic_mbps)),
        world,
        network,
        clocks: Clocks::default(),
        programs: vec![Program::default(); nodes],
        held: std::collections::BTreeMap::new(),
        constants,
        log: Log {
            metrics: Metrics::new(header),
            sink,
            watched: None,
        },
        due: Vec::new(),
        entropy: SplitMix64::new(seed ^ 0x616C_676F_7269_7468),
        trace,
    })
}

#[cfg(test)]
mod tests;
