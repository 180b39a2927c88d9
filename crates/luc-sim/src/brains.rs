//! The brains of all nodes as one algorithm: the very code that the daemon runs.
//!
//! Each input goes to the brain of its node with the time of the node's own clock; what the brain
//! wants done is carried out in order. When a solver was asked, all that follows waits as long as
//! its search steps take, and so does whatever the node wants meanwhile: one program, one thread.
//! A node that crashes loses its brain and gets a new one from what it had made durable.

mod coverage;
mod facts;
mod place;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use luc_core::time::Duration;
use luc_core::{Effect, Effects, Input, Protocol};
use luc_dvms::command::{MigrationEnd, MigrationId};
use luc_dvms::event::Event as Told;
use luc_node::{Brain, Command, Event, Kept, Message};
use luc_overlay::{Coordinate, Directory, Membership, Seed, SwimConfig, search, vivaldi};

use crate::algorithm::Algorithm;
use crate::context::Context;
use crate::index::NodeIndex;

pub use coverage::Coverage;

/// How nodes know of each other.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it in a whole run"
)]
pub enum Knowledge {
    /// From an oracle, without membership traffic.
    Directory,
    /// From SWIM in two pools, as the product; begun in the steady state.
    Swim(SwimConfig),
}

/// What all brains of a cloud have in common.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// Which scheduler runs, with its settings.
    pub scheduler: luc_dvms::Choice,
    /// Which overlay finds neighbours.
    pub search: search::Config,
    /// How coordinates are learnt.
    pub vivaldi: vivaldi::Config,
    /// How nodes know of each other.
    pub knowledge: Knowledge,
    /// What the randomness of all nodes derives from.
    pub seed: u64,
}

/// What a node waits for.
#[derive(Clone, Debug)]
pub enum Timer {
    /// A timer of its brain.
    Brain(luc_node::Timer),
    /// Its solver has finished: what follows can be carried out.
    Computed,
    /// Its host refused to sleep.
    StaysAwake,
}

/// The brains of all nodes.
pub struct Brains {
    blueprint: Blueprint,
    /// None while a node is down.
    alive: Vec<Option<Brain>>,
    kept: Vec<Kept>,
    directory: Option<Arc<Directory>>,
    /// What waits for the end of a computation, by node.
    late: BTreeMap<NodeIndex, VecDeque<Effect<Brain>>>,
    effects: Effects<Brain>,
    coverage: Option<Coverage>,
}

impl Brains {
    /// Brains that will be made when the run begins.
    pub fn new(blueprint: Blueprint) -> Self {
        Self {
            blueprint,
            alive: Vec::new(),
            kept: Vec::new(),
            directory: None,
            late: BTreeMap::new(),
            effects: Effects::new(),
            coverage: None,
        }
    }

    /// Counts which inputs meet which states from now on.
    #[must_use]
    pub fn with_coverage(mut self) -> Self {
        self.coverage = Some(Coverage::default());
        self
    }

    /// What was counted, if anything was.
    pub const fn coverage(&self) -> Option<&Coverage> {
        self.coverage.as_ref()
    }

    /// The brain of `node`; none while it is down.
    pub fn brain(&self, node: NodeIndex) -> Option<&Brain> {
        self.alive.get(node.at())?.as_ref()
    }

    fn config(&self, node: NodeIndex, context: &Context<Self>) -> luc_node::Config {
        let me = context.world().peer(node);
        let seed = self.blueprint.seed ^ (u64::from(node.0) << 20);
        let membership = match (&self.directory, self.blueprint.knowledge) {
            (Some(directory), _) => Membership::Directory(Arc::clone(directory)),
            (None, Knowledge::Swim(swim)) => Membership::Swim(swim),
            (None, Knowledge::Directory) => {
                Membership::Directory(Arc::new(Directory::new(Vec::new())))
            }
        };
        luc_node::Config {
            overlay: luc_overlay::Config {
                me,
                seed,
                membership,
                search: self.blueprint.search,
                vivaldi: self.blueprint.vivaldi,
            },
            dvms: luc_dvms::Config {
                me,
                seed: seed.rotate_left(17),
                protocol: self.blueprint.scheduler.clone(),
            },
        }
    }

    /// Makes all brains; those of SWIM begin as members of a cloud that has long been running.
    fn begin(&mut self, context: &mut Context<Self>) {
        let places = place::learn(context);
        let peers: Vec<(luc_core::PeerId, Option<Coordinate>)> = (0..context.nodes())
            .map(|node| {
                (
                    context.world().peer(NodeIndex(node as u32)),
                    Some(places[node]),
                )
            })
            .collect();
        if self.blueprint.knowledge == Knowledge::Directory {
            self.directory = Some(Arc::new(Directory::new(peers.clone())));
        }
        self.kept = vec![Kept::default(); peers.len()];
        let count = match self.blueprint.knowledge {
            Knowledge::Swim(swim) => usize::from(swim.delegates),
            Knowledge::Directory => 0,
        };
        let sites: Vec<&[_]> = peers
            .chunk_by(|left, right| left.0.site == right.0.site)
            .collect();
        let delegates: Vec<_> = sites
            .iter()
            .flat_map(|site| site.iter().take(count))
            .copied()
            .collect();
        for site in sites {
            let seed = Seed {
                site,
                delegates: &delegates,
            };
            for (peer, _) in site {
                let node = NodeIndex::of_peer(*peer);
                let config = self.config(node, context);
                let now = context.local_now(node);
                let mut brain = Brain::new(config, &Kept::default(), now);
                match self.blueprint.knowledge {
                    Knowledge::Swim(_) => brain.seed(now, &seed, &mut self.effects),
                    Knowledge::Directory => {
                        let contacts = Vec::new();
                        let start = Input::Command(Command::Start { contacts });
                        brain.handle(now, start, &mut self.effects);
                    }
                }
                self.alive.push(Some(brain));
                self.carry_out(node, context);
            }
        }
    }

    /// Whom a node that starts again announces itself to: some of its site, one of each of some
    /// other sites.
    fn contacts(node: NodeIndex, context: &mut Context<Self>) -> Vec<luc_core::PeerId> {
        let own = context.world().site(node);
        let nodes = context.nodes() as u64;
        let mut contacts = Vec::new();
        for _ in 0..64 {
            let other = NodeIndex((context.random() % nodes) as u32);
            let near = context.world().site(other) == own;
            if other != node && (near || contacts.len() < 6) {
                contacts.push(context.world().peer(other));
            }
        }
        let own_site = (0..nodes as u32).map(NodeIndex);
        let own_site = own_site.filter(|one| context.world().site(*one) == own && *one != node);
        contacts.extend(own_site.take(3).map(|one| context.world().peer(one)));
        contacts.sort_unstable();
        contacts.dedup();
        contacts
    }

    fn tell(&mut self, node: NodeIndex, input: Input<Brain>, context: &mut Context<Self>) {
        let Some(brain) = &mut self.alive[node.at()] else {
            return;
        };
        if let Some(coverage) = &mut self.coverage {
            coverage.observe(brain.dvms(), &input);
        }
        brain.handle(context.local_now(node), input, &mut self.effects);
        self.carry_out(node, context);
    }

    /// Carries out what the brain of `node` wants, in order.
    fn carry_out(&mut self, node: NodeIndex, context: &mut Context<Self>) {
        if self.effects.is_empty() {
            return;
        }
        if let Some(late) = self.late.get_mut(&node) {
            late.extend(self.effects.drain());
            return;
        }
        let mut effects = std::mem::take(&mut self.effects);
        {
            let mut drained = effects.drain();
            while let Some(effect) = drained.next() {
                let wait = self.one(node, effect, context);
                if !wait.is_zero() {
                    self.late.insert(node, drained.collect());
                    context.schedule(node, wait, Timer::Computed);
                    break;
                }
            }
        }
        self.effects = effects;
    }

    /// The solver of `node` has finished.
    fn computed(&mut self, node: NodeIndex, context: &mut Context<Self>) {
        let mut late = self.late.remove(&node).unwrap_or_default();
        while let Some(effect) = late.pop_front() {
            let wait = self.one(node, effect, context);
            if !wait.is_zero() {
                self.late.insert(node, late);
                context.schedule(node, wait, Timer::Computed);
                break;
            }
        }
    }

    /// Carries out one effect: how long the next ones have to wait.
    fn one(
        &mut self,
        node: NodeIndex,
        effect: Effect<Brain>,
        context: &mut Context<Self>,
    ) -> Duration {
        match effect {
            Effect::Persist(record) => self.kept[node.at()].keep(record),
            Effect::Send { to, message } => {
                let bytes = message.wire_bytes() as u32;
                context.send(node, NodeIndex::of_peer(to), bytes, message);
            }
            Effect::Schedule { after, timer } => {
                context.schedule(node, after, Timer::Brain(timer));
            }
            Effect::Emit(Event::Overlay(event)) => self.on_overlay_event(node, &event, context),
            Effect::Emit(Event::Dvms(event)) => return Self::on_dvms_event(node, event, context),
        }
        Duration::ZERO
    }

    fn on_overlay_event(
        &mut self,
        node: NodeIndex,
        event: &luc_overlay::Event,
        context: &mut Context<Self>,
    ) {
        match event {
            luc_overlay::Event::Moved(coordinate) => {
                self.kept[node.at()].keep_coordinate(*coordinate);
            }
            luc_overlay::Event::Ignored { reason } => context.record(crate::log::Entry::Ignored {
                node,
                input: "overlay",
                reason,
            }),
            _ => {}
        }
    }

    fn on_dvms_event(node: NodeIndex, event: Told, context: &mut Context<Self>) -> Duration {
        match event {
            Told::Migrate {
                migration,
                vm,
                target,
                reason,
            } => context.migrate(node, migration, vm, target, reason),
            Told::Expect {
                migration,
                vm,
                source,
                claim,
            } => context.expect(node, migration, vm, source, claim),
            Told::Unexpect { migration } => context.unexpect(node, migration),
            Told::Sleep => {
                if !context.sleep(node) {
                    // The host has something to do after all and serves on.
                    context.schedule(node, Duration::ZERO, Timer::StaysAwake);
                }
            }
            Told::Wake(peer) => {
                let other = NodeIndex::of_peer(peer);
                // A packet that wakes reaches the own LAN only.
                if context.world().site(other) == context.world().site(node) {
                    context.wake(other);
                }
            }
            Told::Computed { steps, .. } => {
                facts::record(node, event, context);
                let step = context.constants().solver_step.as_nanos() as u64;
                return Duration::from_nanos(step.saturating_mul(steps));
            }
            fact => facts::record(node, fact, context),
        }
        Duration::ZERO
    }
}

impl Algorithm for Brains {
    type Message = Message;
    type Timer = Timer;

    fn name(&self) -> String {
        let scheduler = match self.blueprint.scheduler {
            luc_dvms::Choice::Star(_) => "star",
            luc_dvms::Choice::Relay(_) => "relay",
        };
        let search = match self.blueprint.search.kind {
            search::Kind::Spiral => "spiral",
            search::Kind::Chord { .. } => "chord",
            search::Kind::Random => "random",
        };
        let knowledge = match self.blueprint.knowledge {
            Knowledge::Directory => "directory",
            Knowledge::Swim(_) => "swim",
        };
        format!("{scheduler} on {search} by {knowledge}")
    }

    fn start(&mut self, context: &mut Context<Self>) {
        self.begin(context);
    }

    fn sampled(&mut self, node: NodeIndex, context: &mut Context<Self>) {
        let host = context.sample(node);
        self.tell(node, Input::Command(Command::Sample(host)), context);
    }

    fn message(
        &mut self,
        node: NodeIndex,
        from: NodeIndex,
        message: Message,
        context: &mut Context<Self>,
    ) {
        let from = context.world().peer(from);
        self.tell(node, Input::Message { from, message }, context);
    }

    fn timer(&mut self, node: NodeIndex, timer: Timer, context: &mut Context<Self>) {
        match timer {
            Timer::Brain(timer) => self.tell(node, Input::Timer(timer), context),
            Timer::Computed => self.computed(node, context),
            Timer::StaysAwake => self.tell(node, Input::Command(Command::Woken), context),
        }
    }

    fn migration_ended(
        &mut self,
        node: NodeIndex,
        migration: MigrationId,
        end: MigrationEnd,
        context: &mut Context<Self>,
    ) {
        let ended = Command::MigrationEnded { migration, end };
        self.tell(node, Input::Command(ended), context);
    }

    fn crashed(&mut self, node: NodeIndex, _context: &mut Context<Self>) {
        self.alive[node.at()] = None;
        self.late.remove(&node);
    }

    fn restarted(&mut self, node: NodeIndex, context: &mut Context<Self>) {
        let config = self.config(node, context);
        let now = context.local_now(node);
        self.alive[node.at()] = Some(Brain::new(config, &self.kept[node.at()], now));
        let contacts = Self::contacts(node, context);
        self.tell(node, Input::Command(Command::Start { contacts }), context);
    }

    fn woken(&mut self, node: NodeIndex, context: &mut Context<Self>) {
        self.tell(node, Input::Command(Command::Woken), context);
    }
}

#[cfg(test)]
mod tests;
