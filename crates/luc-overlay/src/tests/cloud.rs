//! A deterministic network of overlays: one queue, virtual time, round trips between sites.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use luc_core::entropy::{Entropy, SplitMix64};
use luc_core::protocol::{Effect, Effects, Input, Protocol};
use luc_core::time::{Duration, Instant};
use luc_core::{PeerId, SitePrefix};

use crate::command::Command;
use crate::config::{Config, Membership, SwimConfig};
use crate::coordinate::Coordinate;
use crate::durable::Kept;
use crate::event::Event;
use crate::message::Message;
use crate::neighbour::{Room, Standing};
use crate::protocol::Overlay;
use crate::seed::Seed;
use crate::timer::Timer;
use crate::{search, vivaldi};

/// A node of the simulated cloud.
pub(crate) struct Node {
    pub(crate) overlay: Overlay,
    pub(crate) up: bool,
    /// What its disk holds.
    pub(crate) kept: Kept,
    /// Inputs wait until then.
    paused_until: Instant,
    /// Timers of an earlier process are lost.
    life: u32,
}

enum Due {
    Message {
        from: PeerId,
        to: usize,
        message: Message,
    },
    Timer {
        node: usize,
        life: u32,
        timer: Timer,
    },
}

/// The cloud.
pub(crate) struct Cloud {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    pub(crate) events: Vec<(Instant, PeerId, Event)>,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) inputs: u64,
    /// Of 1 000 messages, how many are lost.
    pub(crate) loss_per_mille: u64,
    /// Sites that the others cannot reach.
    pub(crate) cut: Vec<SitePrefix>,
    pub(crate) swim: SwimConfig,
    /// Everything that was sent and told, as a hash, if it is wanted.
    pub(crate) trace: Option<u64>,
    seed: u64,
    index: BTreeMap<PeerId, usize>,
    queue: BinaryHeap<Reverse<(Instant, u64)>>,
    due: BTreeMap<u64, Due>,
    sequence: u64,
    entropy: SplitMix64,
    effects: Effects<Overlay>,
}

pub(crate) fn site(number: u16) -> SitePrefix {
    let [high, low] = number.to_be_bytes();
    SitePrefix::from_bytes([0, 0, 0, 0, high, low])
}

pub(crate) fn peer(at: u16, node: u64) -> PeerId {
    PeerId::new(site(at), 1_000 * u64::from(at) + node)
}

pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

impl Cloud {
    /// `sites` sites of `each` nodes, none of them started.
    pub(crate) fn new(sites: u16, each: u64, seed: u64) -> Self {
        let mut cloud = Self {
            now: Instant::ORIGIN,
            nodes: Vec::new(),
            events: Vec::new(),
            messages: 0,
            bytes: 0,
            inputs: 0,
            loss_per_mille: 0,
            cut: Vec::new(),
            swim: SwimConfig::default(),
            trace: None,
            seed,
            index: BTreeMap::new(),
            queue: BinaryHeap::new(),
            due: BTreeMap::new(),
            sequence: 0,
            entropy: SplitMix64::new(seed),
            effects: Effects::new(),
        };
        for at in 0..sites {
            for node in 0..each {
                cloud.add(peer(at, node));
            }
        }
        cloud
    }

    pub(crate) fn add(&mut self, me: PeerId) {
        let kept = Kept::default();
        let overlay = self.overlay(me, kept);
        self.index.insert(me, self.nodes.len());
        self.nodes.push(Node {
            overlay,
            up: true,
            kept,
            paused_until: Instant::ORIGIN,
            life: 0,
        });
    }

    fn overlay(&self, me: PeerId, kept: Kept) -> Overlay {
        let config = Config {
            me,
            seed: self.seed ^ me.node.rotate_left(20) ^ u64::from(number(me.site)).rotate_left(40),
            membership: Membership::Swim(self.swim),
            search: search::Config::default(),
            vivaldi: vivaldi::Config::default(),
        };
        Overlay::new(config, kept)
    }

    /// Starts every node at once; each is told of the first node of its site and of the first site.
    pub(crate) fn start_all(&mut self) {
        let peers: Vec<_> = self.index.keys().copied().collect();
        for me in peers {
            let contacts = vec![peer(number(me.site), 0), peer(0, 0)];
            self.command(me, Command::Start { contacts });
        }
    }

    /// Starts every node in the steady state.
    pub(crate) fn seed_all(&mut self) {
        let all: Vec<(PeerId, Option<Coordinate>)> = self
            .index
            .keys()
            .map(|peer| (*peer, Some(place(*peer))))
            .collect();
        let each = usize::from(self.swim.delegates);
        let sites: Vec<_> = all
            .chunk_by(|left, right| left.0.site == right.0.site)
            .collect();
        let delegates: Vec<_> = sites
            .iter()
            .flat_map(|site| site.iter().take(each))
            .copied()
            .collect();
        for site in sites {
            for (me, _) in site {
                let node = self.index[me];
                let seed = Seed {
                    site,
                    delegates: &delegates,
                };
                let mut effects = std::mem::take(&mut self.effects);
                self.nodes[node].overlay.seed(self.now, &seed, &mut effects);
                self.carry_out(node, &mut effects);
                self.effects = effects;
            }
        }
    }

    pub(crate) fn command(&mut self, to: PeerId, command: Command) {
        let node = self.index[&to];
        self.handle(node, Input::Command(command));
    }

    pub(crate) fn sleep(&mut self, peer: PeerId) {
        self.advertise(peer, Standing::Asleep);
    }

    pub(crate) fn advertise(&mut self, peer: PeerId, standing: Standing) {
        let room = Room(7);
        self.command(peer, Command::Advertise { standing, room });
    }

    pub(crate) fn crash(&mut self, peer: PeerId) {
        let node = self.index[&peer];
        self.nodes[node].up = false;
        self.nodes[node].life += 1;
    }

    /// Starts the process of a crashed node again, with what its disk holds.
    pub(crate) fn restart(&mut self, me: PeerId, contacts: Vec<PeerId>) {
        let node = self.index[&me];
        let kept = self.nodes[node].kept;
        self.nodes[node].overlay = self.overlay(me, kept);
        self.nodes[node].up = true;
        self.nodes[node].life += 1;
        self.command(me, Command::Start { contacts });
    }

    pub(crate) fn pause(&mut self, peer: PeerId, time: Duration) {
        let node = self.index[&peer];
        self.nodes[node].paused_until = self.now + time;
    }

    pub(crate) fn node(&self, peer: PeerId) -> &Overlay {
        &self.nodes[self.index[&peer]].overlay
    }

    pub(crate) fn node_mut(&mut self, peer: PeerId) -> &mut Overlay {
        let node = self.index[&peer];
        &mut self.nodes[node].overlay
    }

    /// The timer by which a node will start its next probe within its site.
    pub(crate) fn probe_of(&self, peer: PeerId) -> Timer {
        let of = self.index[&peer];
        let probes = |due: &&Due| match due {
            Due::Timer { node, timer, .. } => *node == of && timer.is_site_probe(),
            Due::Message { .. } => false,
        };
        match self.due.values().find(probes) {
            Some(Due::Timer { timer, .. }) => timer.clone(),
            Some(Due::Message { .. }) | None => panic!("{peer} does not probe"),
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(Reverse((at, sequence))) = self.queue.peek().copied() {
            if at > until {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            let due = self.due.remove(&sequence).unwrap();
            let node = match &due {
                Due::Message { to, .. } => *to,
                Due::Timer { node, .. } => *node,
            };
            if self.nodes[node].paused_until > self.now {
                // The number stays, so what waits keeps its order.
                let later = self.nodes[node].paused_until;
                self.due.insert(sequence, due);
                self.queue.push(Reverse((later, sequence)));
                continue;
            }
            self.deliver(node, due);
        }
        self.now = until;
    }

    /// Lets time pass until `done`, for at most `most`; says how long it took.
    pub(crate) fn run_until(
        &mut self,
        most: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.now;
        while self.now < start + most {
            if done(self) {
                return Some(self.now - start);
            }
            self.run(seconds(0.1));
        }
        None
    }

    fn deliver(&mut self, node: usize, due: Due) {
        let Node { up, life, .. } = self.nodes[node];
        match due {
            Due::Message { from, message, .. } if up => {
                self.handle(node, Input::Message { from, message });
            }
            Due::Timer {
                life: of, timer, ..
            } if up && of == life => self.handle(node, Input::Timer(timer)),
            Due::Message { .. } | Due::Timer { .. } => {}
        }
    }

    fn handle(&mut self, node: usize, input: Input<Overlay>) {
        self.inputs += 1;
        let mut effects = std::mem::take(&mut self.effects);
        self.nodes[node]
            .overlay
            .handle(self.now, input, &mut effects);
        self.carry_out(node, &mut effects);
        self.effects = effects;
    }

    /// A message from nowhere, as an attacker or a broken peer might send it.
    pub(crate) fn inject(&mut self, from: PeerId, to: PeerId, message: Message) {
        let node = self.index[&to];
        self.handle(node, Input::Message { from, message });
    }

    fn carry_out(&mut self, node: usize, effects: &mut Effects<Overlay>) {
        let me = self.nodes[node].overlay.me();
        for effect in effects.drain() {
            match effect {
                Effect::Persist(record) => self.nodes[node].kept.replay(record),
                Effect::Send { to, message } => self.send(me, to, message),
                Effect::Schedule { after, timer } => {
                    let life = self.nodes[node].life;
                    self.push(self.now + after, Due::Timer { node, life, timer });
                }
                Effect::Emit(event) => {
                    self.note(|| format!("{me} {event:?}"));
                    self.events.push((self.now, me, event));
                }
            }
        }
    }

    fn send(&mut self, from: PeerId, to: PeerId, message: Message) {
        self.messages += 1;
        self.bytes += message.wire_bytes() as u64;
        let now = self.now;
        self.note(|| format!("{now} {from} {to} {message:?}"));
        let cut = |peer: PeerId| self.cut.contains(&peer.site);
        let Some(node) = self.index.get(&to).copied() else {
            return;
        };
        let lost = self.entropy.next_u64() % 1_000 < self.loss_per_mille;
        if lost || cut(from) != cut(to) {
            return;
        }
        let jitter = Duration::from_nanos(self.entropy.next_u64() % 20_000);
        let at = self.now + round_trip(from, to) / 2 + jitter;
        self.push(
            at,
            Due::Message {
                from,
                to: node,
                message,
            },
        );
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            for byte in line().bytes() {
                *trace = (*trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            }
        }
    }

    fn push(&mut self, at: Instant, due: Due) {
        self.sequence += 1;
        self.due.insert(self.sequence, due);
        self.queue.push(Reverse((at, self.sequence)));
    }

    /// Whether every node that is up knows exactly the nodes of its site that `members` says.
    pub(crate) fn sites_are_known(&self) -> bool {
        let up: Vec<_> = self.nodes.iter().filter(|node| node.up).collect();
        up.iter().all(|node| {
            let me = node.overlay.me();
            let mates = up.iter().filter(|other| other.overlay.is_serving());
            let mates = mates.map(|other| other.overlay.me());
            let expected = mates.filter(|other| other.site == me.site && *other != me);
            let awake = |known: &&crate::members::Known| known.standing == Standing::Awake;
            let found = node.overlay.members().iter_site(me.site).filter(awake);
            !node.overlay.is_serving() || found.map(|known| known.peer).eq(expected)
        })
    }

    /// Whether the lowest nodes of every site are its delegates and know all the others'.
    pub(crate) fn delegates_know_each_other(&self) -> bool {
        let serving = |node: &&Node| node.up && node.overlay.is_serving();
        let mut delegates = Vec::new();
        for node in self.nodes.iter().filter(serving) {
            let own = node.overlay.delegates();
            if own.contains(&node.overlay.me()) != node.overlay.is_delegate() {
                return false;
            }
            if node.overlay.is_delegate() {
                delegates.push(node.overlay.me());
            }
        }
        delegates.sort();
        let knows_all = |me: &PeerId| {
            let others = delegates.iter().filter(|peer| peer.site != me.site);
            let found = self.node(*me).members().iter().map(|known| known.peer);
            found
                .filter(|peer| peer.site != me.site)
                .eq(others.copied())
        };
        delegates.iter().all(knows_all)
    }

    /// How often something was told since `since`.
    pub(crate) fn told(&self, since: Instant, wanted: impl Fn(PeerId, &Event) -> bool) -> usize {
        let late = self.events.iter().filter(|(at, ..)| *at >= since);
        late.filter(|(_, me, event)| wanted(*me, event)).count()
    }
}

fn number(site: SitePrefix) -> u16 {
    let bytes = site.as_bytes();
    u16::from_be_bytes([bytes[4], bytes[5]])
}

/// Sites stand on a circle of 20 ms; their nodes are 0.2 ms apart.
fn round_trip(from: PeerId, to: PeerId) -> Duration {
    place(from).distance(&place(to))
}

/// Where a node really is.
pub(crate) fn place(peer: PeerId) -> Coordinate {
    let mut place = Coordinate::origin(0.000_1, 0.1);
    let angle = f32::from(number(peer.site)) * 0.7;
    place.vector[0] = 0.010 * angle.cos();
    place.vector[1] = 0.010 * angle.sin();
    place
}
