//! A small world in virtual time that drives schedulers of either protocol.
//!
//! It is not the simulator: one ring instead of an overlay, a fixed time for each migration, no
//! load model. It exists so that single schedules can be written down in ten lines and thousands
//! of random ones can be run in seconds. Everything follows from the seed.
//!
//! ```text
//!  hosts ──Sample──▶ Dvms ──Send──▶ links ──▶ Dvms
//!    ▲                │ └──Search──▶ ring
//!    └───Migrate──────┘ └──facts───▶ checks
//! ```

use std::collections::{BTreeMap, BTreeSet};

use luc_core::time::{Duration, Instant};
use luc_core::{Effect, Effects, Input, PeerId, Protocol as _, SitePrefix};
use luc_dvms::command::MigrationId;
use luc_dvms::config::Config;
use luc_dvms::durable::Durable;
use luc_dvms::{Command, Dvms, Event, Host};

pub(crate) mod checks;
pub(crate) mod hypervisor;
pub(crate) mod links;
pub(crate) mod ring;

use checks::Checks;
use hypervisor::{Flight, Hypervisor};
use links::Links;
use ring::Ring;

/// How often a host is sampled.
const MONITOR: Duration = Duration::from_secs(1);
/// How long the overlay takes for an answer.
const SEARCH: Duration = Duration::from_micros(20);

/// More steps than any schedule needs: beyond it something goes round and round.
const STEPS_MAX: u64 = 1_000_000;

/// The node number `number`, all of one site.
pub(crate) fn peer(number: u64) -> PeerId {
    PeerId::new(SitePrefix::from_bytes([0; 6]), number)
}

/// The seed of one node in the run with this seed.
pub(crate) fn seed_of(run: u64, node: PeerId) -> u64 {
    (run << 20) ^ (node.node << 40) ^ node.node
}

/// Something that happens at a point in time.
enum Happening {
    Deliver(PeerId, Input<Dvms>),
    Tick(PeerId),
    Landed(MigrationId),
    Act(Box<dyn FnOnce(&mut World)>),
}

/// One node of the world.
struct Node {
    brain: Option<Dvms>,
    durable: Option<Durable>,
    paused: Instant,
    told: Option<Host>,
    /// Raised by a restart; what was under way for an earlier life is void.
    life: u32,
}

/// The world.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) links: Links,
    pub(crate) ring: Ring,
    pub(crate) hosts: Hypervisor,
    pub(crate) checks: Checks,
    /// How long after a crash the others are told; each a little later than the one before it.
    pub(crate) detection: Duration,
    /// Facts, in order; kept only if asked for.
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) steps: u64,
    nodes: BTreeMap<PeerId, Node>,
    queue: BTreeMap<(Instant, u64), (u32, Happening)>,
    next: u64,
    config: Box<dyn Fn(PeerId) -> Config>,
}

impl World {
    /// A world of `hosts`, each with a scheduler made of `config`; nothing has happened yet.
    pub(crate) fn new(
        seed: u64,
        hosts: Vec<Host>,
        config: impl Fn(PeerId) -> Config + 'static,
    ) -> Self {
        let peers: Vec<_> = hosts.iter().map(|host| host.peer).collect();
        let node = |peer: &PeerId| Node {
            brain: Some(Dvms::new(&config(*peer))),
            durable: None,
            paused: Instant::ORIGIN,
            told: None,
            life: 0,
        };
        let nodes = peers.iter().map(|peer| (*peer, node(peer))).collect();
        let mut world = Self {
            now: Instant::ORIGIN,
            links: Links::new(seed),
            ring: Ring::new(peers.clone()),
            hosts: Hypervisor::new(hosts),
            checks: Checks::default(),
            detection: Duration::from_secs(1),
            trace: None,
            steps: 0,
            nodes,
            queue: BTreeMap::new(),
            next: 0,
            config: Box::new(config),
        };
        for peer in peers {
            world.push(Duration::ZERO, Happening::Tick(peer));
        }
        world
    }

    /// Does `act` after `delay`.
    pub(crate) fn at(&mut self, delay: Duration, act: impl FnOnce(&mut Self) + 'static) {
        self.push(delay, Happening::Act(Box::new(act)));
    }

    /// The node stops for good (until [`Self::restart`]); its machines are lost.
    pub(crate) fn crash(&mut self, dead: PeerId) {
        let Some(node) = self.nodes.get_mut(&dead) else {
            return;
        };
        node.brain = None;
        node.life += 1;
        self.hosts.crash(dead);
        self.checks.crash(dead);
        self.ring.forget(dead);
        let others: Vec<_> = self.alive().filter(|peer| *peer != dead).collect();
        for (place, other) in others.into_iter().enumerate() {
            let lag = Duration::from_micros(700 * place as u64);
            self.at(self.detection + lag, move |world| {
                if !world.is_alive(dead) {
                    world.ring.hold_dead(other, dead);
                    world.input(other, Input::Command(Command::PeerFailed(dead)));
                }
            });
        }
    }

    /// A crashed node runs again with what it had made durable, and an empty host.
    pub(crate) fn restart(&mut self, peer: PeerId) {
        let config = (self.config)(peer);
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(&peer)
            && node.brain.is_none()
        {
            let brain = match &node.durable {
                Some(durable) => Dvms::restored(&config, durable, now),
                None => Dvms::new(&config),
            };
            node.brain = Some(brain);
            node.told = None;
            self.ring.back(peer);
            self.push(Duration::ZERO, Happening::Tick(peer));
            let others: Vec<_> = self.alive().filter(|other| *other != peer).collect();
            for other in others {
                self.input(other, Input::Command(Command::PeerJoined(peer)));
            }
        }
    }

    /// The node does nothing for `pause`; what reaches it waits.
    pub(crate) fn pause(&mut self, peer: PeerId, pause: Duration) {
        let until = self.now + pause;
        if let Some(node) = self.nodes.get_mut(&peer) {
            node.paused = node.paused.max(until);
        }
    }

    /// New processor demands of a host's machines, in the order of their ids.
    pub(crate) fn set_demand(&mut self, peer: PeerId, demands: &[u32]) {
        self.hosts.set_demand(peer, demands);
    }

    pub(crate) fn everybody(&self) -> impl Iterator<Item = PeerId> {
        self.nodes.keys().copied()
    }

    pub(crate) fn is_alive(&self, peer: PeerId) -> bool {
        self.nodes[&peer].brain.is_some()
    }

    pub(crate) fn alive(&self) -> impl Iterator<Item = PeerId> {
        let alive = |(_, node): &(&PeerId, &Node)| node.brain.is_some();
        self.nodes.iter().filter(alive).map(|(peer, _)| *peer)
    }

    /// Nodes that take part in a partition.
    pub(crate) fn busy(&self) -> BTreeSet<PeerId> {
        let brain = |peer: &PeerId| self.nodes[peer].brain.as_ref();
        let busy = |peer: &PeerId| brain(peer).is_some_and(|brain| !brain.is_free());
        self.alive().filter(busy).collect()
    }

    /// Nodes that ask for more than they have.
    pub(crate) fn overloaded(&self) -> BTreeSet<PeerId> {
        self.alive()
            .filter(|peer| self.hosts.overloaded(*peer))
            .collect()
    }

    /// Runs until `limit` after the origin.
    pub(crate) fn run_until(&mut self, limit: Duration) {
        while self.step(Instant::ORIGIN + limit) {}
        self.now = self.now.max(Instant::ORIGIN + limit);
    }

    /// Runs until nobody is overloaded, in a partition or migrating; `None` if not by `limit`.
    pub(crate) fn run_until_settled(&mut self, limit: Duration) -> Option<Instant> {
        while self.step(Instant::ORIGIN + limit) {
            // Before the first partition there is nothing to settle.
            if self.checks.began > 0 && self.is_settled() {
                return Some(self.now);
            }
        }
        None
    }

    /// Runs until each node has been free at least once from now on, but not beyond `limit` after
    /// the origin. Returns those that never were.
    pub(crate) fn run_until_each_was_free(&mut self, limit: Duration) -> BTreeSet<PeerId> {
        let mut never = self.busy();
        while !never.is_empty() && self.step(Instant::ORIGIN + limit) {
            let busy = self.busy();
            never.retain(|peer| busy.contains(peer));
        }
        never
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.hosts.is_quiet() && self.busy().is_empty() && self.overloaded().is_empty()
    }

    /// All that went wrong so far.
    pub(crate) fn violations(&self) -> Vec<String> {
        let all = self.checks.violations.iter().chain(&self.hosts.violations);
        all.cloned().collect()
    }

    fn step(&mut self, limit: Instant) -> bool {
        let Some(entry) = self.queue.first_entry() else {
            return false;
        };
        if entry.key().0 > limit {
            return false;
        }
        assert!(self.steps < STEPS_MAX, "messages beget messages");
        let ((at, _), (life, happening)) = entry.remove_entry();
        self.now = at;
        self.steps += 1;
        match happening {
            Happening::Deliver(to, input) => self.deliver(to, life, input),
            Happening::Tick(peer) => self.tick(peer, life),
            Happening::Landed(migration) => self.landed(migration),
            Happening::Act(act) => act(self),
        }
        true
    }

    fn deliver(&mut self, to: PeerId, life: u32, input: Input<Dvms>) {
        let node = &self.nodes[&to];
        // Messages find the next life; timers and answers of an earlier one are void.
        if node.life != life && !matches!(input, Input::Message { .. }) {
            return;
        }
        if node.paused > self.now {
            let wait = node.paused.since(self.now);
            self.push(wait, Happening::Deliver(to, input));
        } else {
            self.input(to, input);
        }
    }

    fn tick(&mut self, peer: PeerId, life: u32) {
        if self.nodes[&peer].life == life && self.is_alive(peer) {
            self.sample(peer);
            self.push(MONITOR, Happening::Tick(peer));
        }
    }

    /// Tells a scheduler about its host if anything changed since it was told.
    fn sample(&mut self, peer: PeerId) {
        let host = self.hosts.sample(peer, self.now);
        let Some(node) = self.nodes.get_mut(&peer) else {
            return;
        };
        if node.brain.is_some() && node.told.as_ref() != Some(&host) {
            node.told = Some(host.clone());
            self.push(
                Duration::ZERO,
                Happening::Deliver(peer, Input::Command(Command::Sample(host))),
            );
        }
    }

    fn landed(&mut self, migration: MigrationId) {
        let now = self.now;
        let nodes = &self.nodes;
        let alive = |peer: PeerId| nodes[&peer].brain.is_some();
        if let Some((flight, end)) = self.hosts.end(migration, now, alive) {
            let ended = Command::MigrationEnded { migration, end };
            self.push(
                Duration::ZERO,
                Happening::Deliver(flight.source, Input::Command(ended)),
            );
            self.sample(flight.source);
            self.sample(flight.target);
        }
    }

    fn input(&mut self, to: PeerId, input: Input<Dvms>) {
        let now = self.now;
        let mut effects = Effects::new();
        match self.nodes.get_mut(&to) {
            Some(node) => match &mut node.brain {
                Some(brain) => brain.handle(now, input, &mut effects),
                None => return,
            },
            None => return,
        }
        let effects: Vec<_> = effects.drain().collect();
        for effect in effects {
            match effect {
                Effect::Persist(durable) => {
                    if let Some(node) = self.nodes.get_mut(&to) {
                        node.durable = Some(durable);
                    }
                }
                Effect::Send { to: other, message } => {
                    assert_ne!(to, other, "a node sends to itself: {message:?}");
                    for delay in self.links.deliveries(to, other) {
                        let input = Input::Message {
                            from: to,
                            message: message.clone(),
                        };
                        self.push(delay, Happening::Deliver(other, input));
                    }
                }
                Effect::Schedule { after, timer } => {
                    self.push(after, Happening::Deliver(to, Input::Timer(timer)));
                }
                Effect::Emit(event) => self.carry_out(to, event),
            }
        }
    }

    fn carry_out(&mut self, by: PeerId, event: Event) {
        self.checks.see(self.now, by, &event);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} {by} {event:?}", self.now));
        }
        match event {
            Event::Search {
                search,
                outside,
                count,
            } => {
                let answer = self.ring.search(by, search, outside, count);
                self.push(SEARCH, Happening::Deliver(by, Input::Command(answer)));
            }
            Event::SearchMore { search, count } => {
                let answer = self.ring.more(by, search, count);
                self.push(SEARCH, Happening::Deliver(by, Input::Command(answer)));
            }
            Event::SearchEnd { search } => self.ring.end(by, search),
            Event::Migrate {
                migration,
                vm,
                target,
                ..
            } => self.migrate(
                migration,
                Flight {
                    vm,
                    source: by,
                    target,
                },
            ),
            Event::Expect {
                migration, claim, ..
            } => self.hosts.expect(by, migration, claim),
            Event::Unexpect { migration } => self.hosts.unexpect(by, migration),
            Event::Advertise { room, asleep } => self.ring.advertise(by, room, asleep),
            _ => {}
        }
    }

    fn migrate(&mut self, migration: MigrationId, flight: Flight) {
        let (source, target) = (flight.source, flight.target);
        if self.hosts.start(migration, flight) {
            self.push(self.hosts.duration, Happening::Landed(migration));
            self.sample(source);
            self.sample(target);
        }
    }

    fn push(&mut self, delay: Duration, happening: Happening) {
        let life = match &happening {
            Happening::Deliver(peer, _) | Happening::Tick(peer) => self.nodes[peer].life,
            Happening::Landed(_) | Happening::Act(_) => 0,
        };
        self.next += 1;
        self.queue
            .insert((self.now + delay, self.next), (life, happening));
    }
}
