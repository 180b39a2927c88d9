//! A cloud of overlays without schedulers: the product's membership, coordinates and searches over
//! a given network, for experiments that ask about nothing else.
//!
//! One queue, virtual time, everything drawn from a seed. Messages take half a round trip times
//! log-normal noise; none is lost. It counts messages and bytes and keeps what nodes tell until it
//! is taken.

use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};
use luc_core::{Effect, Effects, Input, PeerId, Protocol};
use luc_overlay::vivaldi::Vivaldi;
use luc_overlay::{
    Command, Config, Coordinate, Event, Kept, Membership, Message, Overlay, Seed, SwimConfig,
    Timer, search, vivaldi,
};

use crate::index::{NodeIndex, SiteIndex};
use crate::network::matrix::draw;
use crate::network::round_trips::RoundTrips;
use crate::queue::Queue;

/// What a cloud of overlays is made of.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The true round trips, by site or by node.
    pub times: RoundTrips,
    /// How many sites.
    pub sites: usize,
    /// How many nodes each has.
    pub nodes_per_site: usize,
    /// σ of the log-normal factor between half a round trip and a message's time on the way.
    pub jitter: f64,
    /// Membership.
    pub swim: SwimConfig,
    /// The search.
    pub search: search::Config,
    /// Coordinates.
    pub vivaldi: vivaldi::Config,
    /// How many round trips within its site, and to other sites, each node has learnt from before
    /// the start. With 0 nobody knows where it is; some hundreds stand for an hour as shipped.
    pub settled: u32,
    /// What everything is drawn from.
    pub seed: u64,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// All messages.
    pub messages: u64,
    /// All bytes.
    pub bytes: u64,
    /// Messages of searches.
    pub search_messages: u64,
    /// Bytes of searches, without what rides on membership messages.
    pub search_bytes: u64,
}

enum Due {
    Message {
        from: NodeIndex,
        to: NodeIndex,
        message: Message,
    },
    Timer {
        node: NodeIndex,
        timer: Timer,
    },
}

/// The cloud.
pub struct Overlays {
    blueprint: Blueprint,
    now: Instant,
    nodes: Vec<Overlay>,
    queue: Queue<Due>,
    entropy: SplitMix64,
    effects: Effects<Overlay>,
    sent: Sent,
    told: Vec<(Instant, NodeIndex, Event)>,
}

impl Overlays {
    /// A cloud in which everybody has long known who is there: membership is in its steady state,
    /// coordinates are as settled as the blueprint says, views are at their beginning.
    pub fn new(blueprint: Blueprint) -> Self {
        let mut cloud = Self {
            now: Instant::ORIGIN,
            nodes: Vec::new(),
            queue: Queue::new(),
            entropy: SplitMix64::new(blueprint.seed),
            effects: Effects::new(),
            sent: Sent::default(),
            told: Vec::new(),
            blueprint,
        };
        let count = cloud.blueprint.sites * cloud.blueprint.nodes_per_site;
        let places = cloud.settle(count);
        let peers: Vec<(PeerId, Option<Coordinate>)> = (0..count)
            .map(|node| {
                (
                    cloud.peer(NodeIndex(node as u32)),
                    places.get(node).copied(),
                )
            })
            .collect();
        let sites: Vec<_> = peers.chunks(cloud.blueprint.nodes_per_site).collect();
        let each = usize::from(cloud.blueprint.swim.delegates);
        let delegates: Vec<_> = sites
            .iter()
            .flat_map(|site| site.iter().take(each))
            .copied()
            .collect();
        for site in sites {
            for (me, _) in site {
                let overlay = Overlay::new(cloud.config(*me), Kept::default());
                cloud.nodes.push(overlay);
                let seed = Seed {
                    site,
                    delegates: &delegates,
                };
                cloud.with(NodeIndex::of_peer(*me), |overlay, now, effects| {
                    overlay.seed(now, &seed, effects);
                });
            }
        }
        cloud
    }

    /// Where the nodes learn to be from probes of random mates and strangers; nowhere without any.
    fn settle(&mut self, count: usize) -> Vec<Coordinate> {
        if self.blueprint.settled == 0 {
            return Vec::new();
        }
        let each = self.blueprint.nodes_per_site;
        let mut learners: Vec<Vivaldi> = (0..count as u64)
            .map(|node| Vivaldi::new(self.blueprint.vivaldi, self.blueprint.seed ^ (node << 24)))
            .collect();
        for _ in 0..self.blueprint.settled {
            for node in 0..count {
                let mate = node / each * each + draw::below(&mut self.entropy, each);
                let stranger = draw::below(&mut self.entropy, count);
                for other in [mate, stranger] {
                    let (left, right) = (NodeIndex(node as u32), NodeIndex(other as u32));
                    let noise = draw::log_normal(&mut self.entropy, self.blueprint.jitter);
                    let rtt = self.rtt(left, right).mul_f64(noise);
                    let theirs = *learners[other].coordinate();
                    let peer = self.peer(right);
                    if left != right {
                        // A round trip that is refused teaches nothing, as in the product.
                        let _ = learners[node].observe(peer, &theirs, rtt);
                    }
                }
            }
        }
        let places = learners.iter().map(|learner| *learner.coordinate());
        places.collect()
    }

    fn config(&self, me: PeerId) -> Config {
        Config {
            me,
            seed: self.blueprint.seed ^ (me.node << 20),
            membership: Membership::Swim(self.blueprint.swim),
            search: self.blueprint.search,
            vivaldi: self.blueprint.vivaldi,
        }
    }

    /// How many nodes there are.
    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nobody.
    pub const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The name of a node.
    pub const fn peer(&self, node: NodeIndex) -> PeerId {
        node.peer(self.site(node))
    }

    /// Where a node is.
    pub const fn site(&self, node: NodeIndex) -> SiteIndex {
        SiteIndex((node.at() / self.blueprint.nodes_per_site) as u16)
    }

    /// The overlay of a node.
    pub fn overlay(&self, node: NodeIndex) -> &Overlay {
        &self.nodes[node.at()]
    }

    /// The true round trip between two nodes.
    pub fn rtt(&self, left: NodeIndex, right: NodeIndex) -> Duration {
        let ends = |node: NodeIndex| (node, self.site(node));
        self.blueprint.times.between(ends(left), ends(right))
    }

    /// What was sent so far.
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// Takes what nodes told since it was last taken.
    pub fn told(&mut self) -> Vec<(Instant, NodeIndex, Event)> {
        std::mem::take(&mut self.told)
    }

    /// Gives a node a command.
    pub fn command(&mut self, node: NodeIndex, command: Command) {
        self.with(node, |overlay, now, effects| {
            overlay.handle(now, Input::Command(command), effects);
        });
    }

    /// Lets time pass; stops before the first event later than `time` from now.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.queue.next_time().is_some_and(|due| due <= until) {
            let Some((due, event)) = self.queue.pop() else {
                break;
            };
            self.now = due;
            match event {
                Due::Message { from, to, message } => {
                    let from = self.peer(from);
                    self.with(to, |overlay, now, effects| {
                        overlay.handle(now, Input::Message { from, message }, effects);
                    });
                }
                Due::Timer { node, timer } => self.with(node, |overlay, now, effects| {
                    overlay.handle(now, Input::Timer(timer), effects);
                }),
            }
        }
        self.now = until;
    }

    fn with(
        &mut self,
        node: NodeIndex,
        act: impl FnOnce(&mut Overlay, Instant, &mut Effects<Overlay>),
    ) {
        let mut effects = std::mem::take(&mut self.effects);
        act(&mut self.nodes[node.at()], self.now, &mut effects);
        for effect in effects.drain() {
            match effect {
                Effect::Persist(_) => {}
                Effect::Send { to, message } => self.send(node, NodeIndex::of_peer(to), message),
                Effect::Schedule { after, timer } => {
                    self.queue
                        .push(self.now + after, Due::Timer { node, timer });
                }
                Effect::Emit(event) => self.told.push((self.now, node, event)),
            }
        }
        self.effects = effects;
    }

    fn send(&mut self, from: NodeIndex, to: NodeIndex, message: Message) {
        let bytes = message.wire_bytes() as u64;
        self.sent.messages += 1;
        self.sent.bytes += bytes;
        if matches!(message, Message::Search(_)) {
            self.sent.search_messages += 1;
            self.sent.search_bytes += bytes;
        }
        let noise = draw::log_normal(&mut self.entropy, self.blueprint.jitter);
        let way = self.rtt(from, to).mul_f64(0.5 * noise);
        self.queue
            .push(self.now + way, Due::Message { from, to, message });
    }
}
