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
use std::sync::{Arc, Mutex};

use luc_core::time::{Duration, Instant};
use luc_core::{Effect, Effects, Input, PeerId, Protocol as _};
use luc_dvms::command::{Candidate, MigrationEnd, MigrationId};
use luc_dvms::star::Broken;
use luc_dvms::{Ballot, Choice, Command, Dvms, Event, Message, VmId};
use stateright::{Model, Property};

use super::laws::{FREE_WITHIN, HandedOver, LIFE_MAX, Law, Wrong};
use super::node::{self, Node};
use super::scenes::{self, Scene, peer};

/// Every migration ends within this time.
const TRIP_MAX: Duration = Duration::from_secs(5);

/// States later than this are not followed further.
const HORIZON: Duration = Duration::from_secs(30);

/// A message on its way.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Letter {
    from: usize,
    to: usize,
    message: Message,
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
    migration: MigrationId,
    vm: VmId,
    source: usize,
    target: usize,
    began: Instant,
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
    now: Instant,
    nodes: Vec<Arc<Node>>,
    letters: Vec<Arc<Letter>>,
    trips: Vec<Trip>,
    /// Nodes whose overload has not been seen yet.
    events: Vec<usize>,
    /// Nodes that are down and whose failure has not been detected yet.
    undetected: Vec<usize>,
    budget: Budget,
    /// When each open partition began.
    open: BTreeMap<Ballot, Instant>,
    handed_over: BTreeSet<HandedOver>,
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

/// Facts that some path has reached: a check that reaches none of them checks nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached(Arc<Mutex<BTreeSet<&'static str>>>);

impl Reached {
    fn note(&self, fact: &'static str) {
        if let Ok(mut facts) = self.0.lock() {
            facts.insert(fact);
        }
    }

    pub(crate) fn names(&self) -> BTreeSet<&'static str> {
        self.0.lock().map(|facts| facts.clone()).unwrap_or_default()
    }
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

    fn is_star(&self) -> bool {
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
            let mut step = Step {
                cloud: self,
                node,
                freed: None,
                ended: false,
                answers: Vec::new(),
            };
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
    fn broke(&mut self, law: Law, what: &str) {
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

    fn post(&mut self, letter: Letter) {
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

/// What one input made a node want.
struct Step<'a> {
    cloud: &'a Cloud,
    node: usize,
    /// What the node was freed of in this very step.
    freed: Option<(Ballot, Instant)>,
    /// Whether a partition of its own ended in this very step.
    ended: bool,
    answers: Vec<Command>,
}

impl Step<'_> {
    fn carry_out(&mut self, state: &mut State, effect: Effect<Dvms>) {
        let own = Arc::make_mut(&mut state.nodes[self.node]);
        match effect {
            Effect::Persist(record) => own.durable = Some(record),
            Effect::Schedule { after, timer } => own.schedule(state.now + after, timer),
            Effect::Send { to, message } => {
                let to = to.node as usize;
                if state.nodes[to].is_up() {
                    let from = self.node;
                    state.post(Letter { from, to, message });
                }
            }
            Effect::Emit(event) => self.take_in(state, event),
        }
    }

    fn take_in(&mut self, state: &mut State, event: Event) {
        match event {
            Event::Search {
                search,
                outside,
                count,
            } => {
                let ring = state.nodes.len();
                let successors = (1..ring).map(|hop| peer((self.node + hop) % ring));
                let offered = successors.filter(|other| !outside.contains(other));
                let offered = offered.map(candidate).collect();
                self.own(state).searches.insert(search, offered);
                self.answer(state, search, count);
            }
            Event::SearchMore { search, count } => self.answer(state, search, count),
            Event::SearchEnd { search } => {
                self.own(state).searches.remove(&search);
            }
            Event::Migrate {
                migration,
                vm,
                target,
                ..
            } => self.depart(state, migration, vm, target),
            Event::Expect {
                migration, claim, ..
            } => {
                self.fenced(state, migration, "a machine was expected");
                self.own(state).claims.insert(migration, claim);
            }
            Event::Unexpect { migration } => {
                self.own(state).claims.remove(&migration);
            }
            Event::Reserved { ballot, lease } => self.reserved(state, ballot, lease),
            Event::Freed { ballot } => {
                let own = self.own(state);
                if own.held.is_some_and(|(held, _)| held == ballot) {
                    self.freed = own.held.take();
                }
            }
            Event::Began { ballot, .. } => {
                state.open.insert(ballot, state.now);
            }
            Event::Ended { ballot, end, .. } => {
                self.ended = true;
                self.cloud.reached.note(match end {
                    luc_dvms::event::PartitionEnd::Solved => "solved",
                    luc_dvms::event::PartitionEnd::Stale => "stale",
                    luc_dvms::event::PartitionEnd::Unsolved => "unsolved",
                    luc_dvms::event::PartitionEnd::Absorbed => "yielded",
                    luc_dvms::event::PartitionEnd::Expired => "expired",
                });
                state.open.remove(&ballot);
            }
            Event::Absorbed { ballot, taken } => {
                self.cloud.reached.note("absorbed");
                state.handed_over.insert((taken.leader, ballot.leader));
            }
            Event::Planned { .. } => self.cloud.reached.note("planned"),
            Event::TookOver { .. } => self.cloud.reached.note("took over"),
            Event::LeaseExpired { .. } => self.cloud.reached.note("lease expired in flight"),
            Event::CapReached { .. }
            | Event::Grew { .. }
            | Event::Computed { .. }
            | Event::Advertise { .. }
            | Event::Sleep
            | Event::Wake(_)
            | Event::Ignored { .. } => {}
        }
    }

    fn own<'s>(&self, state: &'s mut State) -> &'s mut Node {
        Arc::make_mut(&mut state.nodes[self.node])
    }

    /// The overlay's answer: the next nodes of the ring.
    fn answer(&mut self, state: &mut State, search: luc_dvms::command::SearchId, count: u16) {
        let Some(left) = self.own(state).searches.get_mut(&search) else {
            return;
        };
        let found: Vec<Candidate> = left.drain(..left.len().min(count.into())).collect();
        self.answers.push(if found.is_empty() {
            Command::Exhausted { search }
        } else {
            Command::Neighbours { search, found }
        });
    }

    fn depart(&self, state: &mut State, migration: MigrationId, vm: VmId, target: PeerId) {
        self.fenced(state, migration, "a machine was sent");
        let target = target.node as usize;
        if state.trips.iter().any(|trip| trip.vm == vm) {
            return state.broke(Law::OneHostPerVm, "a machine was sent that is on its way");
        }
        if !state.nodes[self.node].vms.iter().any(|one| one.id == vm) {
            return state.broke(Law::OneHostPerVm, "a machine was sent that is elsewhere");
        }
        state.trips.push(Trip {
            migration,
            vm,
            source: self.node,
            target,
            began: state.now,
        });
        state.trips.sort_unstable();
    }

    /// A step may be begun only by those who are held by its leader, under no higher ballot.
    fn fenced(&self, state: &mut State, migration: MigrationId, what: &str) {
        if !self.cloud.is_star() {
            return;
        }
        let under = migration.ballot;
        let how = match state.nodes[self.node].held {
            None => "which is free".to_owned(),
            Some((held, _)) if held.leader != under.leader => format!("which is held under {held}"),
            Some((held, _)) if held > under => format!("which has accepted {held}"),
            Some((_, until)) if until < state.now => format!("whose lease ended at {until}"),
            Some(_) => return,
        };
        let what = format!("{what} under {under} at n{}, {how}", self.node);
        state.broke(Law::NoStaleStep, &what);
    }

    fn reserved(&mut self, state: &mut State, ballot: Ballot, lease: Duration) {
        let now = state.now;
        let me = peer(self.node);
        let before = state.nodes[self.node].held;
        let freed = self.freed.filter(|_| ballot.leader != me);
        if let Some((old, _)) = before.or(freed).filter(|(_, until)| *until > now) {
            let given = state.handed_over.contains(&(old.leader, ballot.leader))
                || old.leader == me && self.ended;
            if old.leader != ballot.leader && !given {
                let what = format!(
                    "n{} is held under {old} and was reserved under {ballot}",
                    self.node
                );
                state.broke(Law::OneLeaderPerNode, &what);
            }
            if old.leader == ballot.leader && ballot < old {
                let what = format!("n{} went back from {old} to {ballot}", self.node);
                state.broke(Law::OneLeaderPerNode, &what);
            }
        }
        self.own(state).held = Some((ballot, now + lease));
    }
}

fn candidate(peer: PeerId) -> Candidate {
    Candidate {
        peer,
        distance: Duration::from_millis(1),
        asleep: false,
        room: 0,
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
