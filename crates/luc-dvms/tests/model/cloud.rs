//! The model: a whole small cloud as one state, and what may happen to it next.
//!
//! ```text
//!  Overload(n)   an event is seen; all events come before the first tick, in any order
//!  Deliver(i)    a message arrives: any of those on their way
//!  Drop(i)       it is lost (budget)
//!  Tick(n)       time jumps to the earliest timer; while messages are on their way that makes them
//!                late (budget)
//!  Arrive(i)     a machine has moved;  Stay(i) its migration failed (budget)
//!  Crash(n)      a node loses power (budget);  Detect(n) all others hear of it;  Restart(n)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use luc_core::time::{Duration, Instant};
use luc_core::{Effects, Input, Protocol as _};
use luc_dvms::command::{MigrationEnd, MigrationId};
use luc_dvms::star::Broken;
use luc_dvms::{Ballot, Choice, Command, Dvms, Message, VmId};
use stateright::{Model, Property};

use super::laws::{FREE_WITHIN, HandedOver, LIFE_MAX, Law, Reached, Wrong};
use super::node::{self, Node};
use super::scenes::{self, Scene, peer};
use super::step::Step;

/// Every migration ends within this time.
const TRIP_MAX: Duration = Duration::from_secs(5);

/// States later than this are not followed further.
const HORIZON: Duration = Duration::from_secs(30);

/// A message on its way.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Letter {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) message: Message,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = format!("{:?}", self.message).chars().take(160).collect();
        write!(f, "n{} to n{}: {text}", self.from, self.to)
    }
}

/// A live migration under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Trip {
    pub(crate) migration: MigrationId,
    pub(crate) vm: VmId,
    pub(crate) source: usize,
    pub(crate) target: usize,
    pub(crate) began: Instant,
}

/// How often what may go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    losses: u8,
    delays: u8,
    crashes: u8,
    failures: u8,
}

/// A whole cloud at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Arc<Node>>,
    letters: Vec<Arc<Letter>>,
    pub(crate) trips: Vec<Trip>,
    /// Nodes whose overload has not been seen yet.
    events: Vec<usize>,
    /// Nodes that are down and whose failure has not been detected yet.
    undetected: Vec<usize>,
    budget: Budget,
    /// When each open partition began.
    pub(crate) open: BTreeMap<Ballot, Instant>,
    pub(crate) handed_over: BTreeSet<HandedOver>,
    /// Since when nothing has happened that keeps nodes busy.
    quiet_since: Instant,
    wrong: Option<Wrong>,
}

/// What may happen next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Overload(usize),
    Deliver(Arc<Letter>),
    Drop(Arc<Letter>),
    Tick(usize),
    Arrive(Trip),
    Stay(Trip),
    Crash(usize),
    Detect(usize),
    Restart(usize),
}

/// The model.
#[derive(Clone, Debug)]
pub(crate) struct Cloud {
    scene: Scene,
    protocol: Choice,
    budget: Budget,
    pub(crate) reached: Reached,
}

impl Cloud {
    fn new(scene: Scene, protocol: Choice) -> Self {
        Self {
            scene,
            protocol,
            budget: Budget::default(),
            reached: Reached::default(),
        }
    }

    pub(crate) fn star(scene: Scene) -> Self {
        Self::new(scene, node::star(None))
    }

    pub(crate) fn relay(scene: Scene) -> Self {
        Self::new(scene, node::relay())
    }

    pub(crate) fn broken(mut self, rule: Broken) -> Self {
        self.protocol = node::star(Some(rule));
        self
    }

    pub(crate) const fn with_losses(mut self, losses: u8) -> Self {
        self.budget.losses = losses;
        self
    }

    pub(crate) const fn with_delays(mut self, delays: u8) -> Self {
        self.budget.delays = delays;
        self
    }

    pub(crate) const fn with_crashes(mut self, crashes: u8) -> Self {
        self.budget.crashes = crashes;
        self
    }

    pub(crate) const fn with_failures(mut self, failures: u8) -> Self {
        self.budget.failures = failures;
        self
    }

    pub(crate) fn is_star(&self) -> bool {
        matches!(self.protocol, Choice::Star(_))
    }

    fn begin(&self) -> State {
        let nodes = self.scene.demands.iter().enumerate();
        let nodes: Vec<Node> = nodes
            .map(|(at, demands)| Node::new(&node::config(at, &self.protocol), at, demands))
            .collect();
        let overloaded = |at: &usize| nodes[*at].is_overloaded();
        let (events, calm): (Vec<usize>, Vec<usize>) = (0..nodes.len()).partition(overloaded);
        let mut state = State {
            now: Instant::ORIGIN + Duration::from_secs(1),
            nodes: nodes.into_iter().map(Arc::new).collect(),
            letters: Vec::new(),
            trips: Vec::new(),
            events,
            undetected: Vec::new(),
            budget: self.budget,
            open: BTreeMap::new(),
            handed_over: BTreeSet::new(),
            quiet_since: Instant::ORIGIN,
            wrong: None,
        };
        for node in calm {
            self.sample(&mut state, node);
        }
        state
    }

    fn sample(&self, state: &mut State, node: usize) {
        let trips = state.trips.iter();
        let flying = trips
            .filter(|trip| trip.source == node || trip.target == node)
            .count();
        let host = state.nodes[node].sample(node, flying as u16);
        self.tell(state, node, Input::Command(Command::Sample(host)));
    }

    /// Hands one input to a node, and then what its own host answers at once.
    fn tell(&self, state: &mut State, node: usize, input: Input<Dvms>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut effects = Effects::new();
            let own = Arc::make_mut(&mut state.nodes[node]);
            let Some(dvms) = &mut own.dvms else {
                return;
            };
            dvms.handle(state.now, input, &mut effects);
            let mut step = Step::new(self, node);
            for effect in effects.drain() {
                step.carry_out(state, effect);
            }
            inputs.extend(step.answers.into_iter().rev().map(Input::Command));
        }
    }

    fn tick(&self, state: &mut State, node: usize) {
        let own = Arc::make_mut(&mut state.nodes[node]);
        if own.timers.is_empty() {
            return;
        }
        let (due, timer) = own.timers.remove(0);
        state.now = state.now.max(due);
        self.tell(state, node, Input::Timer(timer));
    }

    fn land(&self, state: &mut State, trip: &Trip, end: MigrationEnd) {
        state.trips.retain(|other| other != trip);
        state.quiet_since = state.now;
        let &Trip {
            migration,
            vm,
            source,
            target,
            ..
        } = trip;
        if end == MigrationEnd::Moved {
            self.reached.note("moved");
            let from = Arc::make_mut(&mut state.nodes[source]);
            let at = from.vms.iter().position(|one| one.id == vm);
            let Some(moved) = at.map(|at| from.vms.remove(at)) else {
                return state.broke(Law::OneHostPerVm, "a machine arrived that was nowhere");
            };
            Arc::make_mut(&mut state.nodes[target]).vms.push(moved);
        } else {
            self.reached.note("failed to move");
        }
        Arc::make_mut(&mut state.nodes[target])
            .claims
            .remove(&migration);
        let command = Command::MigrationEnded { migration, end };
        self.tell(state, source, Input::Command(command));
        for node in [source, target] {
            self.sample(state, node);
        }
    }

    fn crash(&self, state: &mut State, node: usize) {
        self.reached.note("crashed");
        state.budget.crashes -= 1;
        state.quiet_since = state.now;
        Arc::make_mut(&mut state.nodes[node]).crash();
        state.undetected.push(node);
        if self.is_star() {
            state.open.retain(|ballot, _| ballot.leader != peer(node));
        }
        state.letters.retain(|letter| letter.to != node);
        let broken: Vec<Trip> = state.trips.clone();
        for trip in broken {
            if trip.source == node || trip.target == node {
                self.land(state, &trip, MigrationEnd::Failed);
            }
        }
    }

    fn restart(&self, state: &mut State, node: usize) {
        self.reached.note("restarted");
        state.quiet_since = state.now;
        let config = node::config(node, &self.protocol);
        let own = Arc::make_mut(&mut state.nodes[node]);
        own.dvms = Some(match &own.durable {
            Some(kept) => Dvms::restored(&config, kept, state.now),
            None => Dvms::new(&config),
        });
        self.sample(state, node);
    }

    fn detect(&self, state: &mut State, dead: usize) {
        state.undetected.retain(|other| *other != dead);
        for node in 0..state.nodes.len() {
            let failed = Command::PeerFailed(peer(dead));
            self.tell(state, node, Input::Command(failed));
        }
    }

    /// What holds or not after every step, whatever the step was.
    fn judge(&self, state: &mut State) {
        for node in 0..state.nodes.len() {
            if state.nodes[node].memory() > scenes::capacity().memory.0 {
                state.broke(Law::MemoryAndDiskFit, "more memory promised than there is");
            }
        }
        let now = state.now;
        // Under the published protocol a partition outlives its leader, but not its last member.
        let holds = |ballot: &Ballot| {
            let mut held = state.nodes.iter().filter_map(|node| node.held);
            self.is_star() || held.any(|(under, _)| under == *ballot)
        };
        let old = state
            .open
            .iter()
            .find(|(ballot, began)| now - **began > LIFE_MAX && holds(ballot));
        if let Some((ballot, began)) = old {
            let what = format!("{ballot} began at {began} and is open at {now}");
            return state.broke(Law::EveryPartitionEnds, &what);
        }
        let calm = state.trips.is_empty()
            && state.events.is_empty()
            && state.open.is_empty()
            && !state
                .nodes
                .iter()
                .any(|node| node.is_up() && node.is_overloaded());
        if !calm {
            state.quiet_since = now;
        }
        if now - state.quiet_since > FREE_WITHIN {
            let busy = |node: &Arc<Node>| node.dvms.as_ref().is_some_and(|dvms| !dvms.is_free());
            if let Some(node) = state.nodes.iter().position(busy) {
                let what = format!(
                    "n{node} is not free at {now}, quiet since {}",
                    state.quiet_since
                );
                state.broke(Law::FreeWhenQuiet, &what);
            }
        }
    }
}

impl State {
    pub(crate) fn broke(&mut self, law: Law, what: &str) {
        if self.wrong.is_none() {
            self.wrong = Some(Wrong {
                law,
                what: what.to_owned(),
            });
        }
    }

    /// The law that does not hold here, in words.
    pub(crate) fn wrong(&self) -> String {
        let wrong = self.wrong.as_ref();
        wrong.map_or_else(String::new, |wrong| {
            format!("{} at {}", wrong.what, self.now)
        })
    }

    pub(crate) fn post(&mut self, letter: Letter) {
        let at = self
            .letters
            .partition_point(|other| (other.to, other.from) <= (letter.to, letter.from));
        self.letters.insert(at, Arc::new(letter));
    }

    fn take(&mut self, letter: &Arc<Letter>) {
        if let Some(at) = self.letters.iter().position(|other| other == letter) {
            self.letters.remove(at);
        }
    }
}

impl Model for Cloud {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.begin()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.wrong.is_some() {
            return;
        }
        actions.extend(state.events.iter().copied().map(Action::Overload));
        for (at, letter) in state.letters.iter().enumerate() {
            // Of equal letters one will do.
            if at == 0 || state.letters[at - 1] != *letter {
                actions.push(Action::Deliver(letter.clone()));
                if state.budget.losses > 0 {
                    actions.push(Action::Drop(letter.clone()));
                }
            }
        }
        let down = |node: &usize| !state.nodes[*node].is_up();
        if state.budget.crashes > 0 && !state.open.is_empty() {
            actions.extend(
                (0..state.nodes.len())
                    .filter(|node| !down(node))
                    .map(Action::Crash),
            );
        }
        actions.extend(state.undetected.iter().copied().map(Action::Detect));
        let idle = state.letters.is_empty() && state.undetected.is_empty();
        let late = state
            .trips
            .iter()
            .any(|trip| state.now - trip.began > TRIP_MAX);
        if state.events.is_empty() && !late && (idle || state.budget.delays > 0) {
            let due = |node: &Arc<Node>| node.timers.first().map(|(due, _)| *due);
            let first = state.nodes.iter().filter_map(due).min();
            let firing = (0..state.nodes.len())
                .filter(|node| first.is_some() && due(&state.nodes[*node]) == first);
            actions.extend(firing.map(Action::Tick));
        }
        if idle {
            actions.extend(state.trips.iter().cloned().map(Action::Arrive));
            if state.budget.failures > 0 {
                actions.extend(state.trips.iter().cloned().map(Action::Stay));
            }
            actions.extend((0..state.nodes.len()).filter(down).map(Action::Restart));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Overload(node) => {
                state.events.retain(|other| *other != node);
                // One event is older than the next.
                state.now += Duration::from_millis(1);
                self.sample(&mut state, node);
            }
            Action::Deliver(letter) => {
                state.take(&letter);
                let from = peer(letter.from);
                let message = letter.message.clone();
                self.tell(&mut state, letter.to, Input::Message { from, message });
            }
            Action::Drop(letter) => {
                self.reached.note("lost");
                state.budget.losses -= 1;
                state.take(&letter);
                state.quiet_since = state.now;
            }
            Action::Tick(node) => {
                if !(state.letters.is_empty() && state.undetected.is_empty()) {
                    self.reached.note("late");
                    state.budget.delays -= 1;
                }
                self.tick(&mut state, node);
            }
            Action::Arrive(trip) => self.land(&mut state, &trip, MigrationEnd::Moved),
            Action::Stay(trip) => {
                state.budget.failures -= 1;
                self.land(&mut state, &trip, MigrationEnd::Failed);
            }
            Action::Crash(node) => self.crash(&mut state, node),
            Action::Detect(node) => self.detect(&mut state, node),
            Action::Restart(node) => self.restart(&mut state, node),
        }
        self.judge(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn keeps(state: &State, law: Law) -> bool {
            state.wrong.as_ref().is_none_or(|wrong| wrong.law != law)
        }
        let name = Law::name;
        vec![
            Property::always(name(Law::OneLeaderPerNode), |_, s| {
                keeps(s, Law::OneLeaderPerNode)
            }),
            Property::always(name(Law::OneHostPerVm), |_, s| keeps(s, Law::OneHostPerVm)),
            Property::always(name(Law::NoStaleStep), |_, s| keeps(s, Law::NoStaleStep)),
            Property::always(name(Law::MemoryAndDiskFit), |_, s| {
                keeps(s, Law::MemoryAndDiskFit)
            }),
            Property::always(name(Law::EveryPartitionEnds), |_, s| {
                keeps(s, Law::EveryPartitionEnds)
            }),
            Property::always(name(Law::FreeWhenQuiet), |_, s| {
                keeps(s, Law::FreeWhenQuiet)
            }),
        ]
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.now.since(Instant::ORIGIN) <= HORIZON
    }
}
