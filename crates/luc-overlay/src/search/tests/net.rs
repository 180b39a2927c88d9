//! A small discrete-event network of finders, without membership traffic: tables are given.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use luc_core::entropy::{Entropy, SplitMix64};
use luc_core::time::{Duration, Instant};
use luc_core::{PeerId, SitePrefix};

use crate::coordinate::Coordinate;
use crate::event::Event;
use crate::members::{Change, Known, Members};
use crate::neighbour::{Neighbour, RequestId, Room};
use crate::search::context::{Context, Out};
use crate::search::message::Message;
use crate::search::timer::Timer;
use crate::search::{Config, Finder};

/// A node under test.
pub(crate) struct Node {
    pub(crate) me: PeerId,
    pub(crate) finder: Finder,
    pub(crate) members: Members,
    /// Where it believes to be.
    pub(crate) place: Coordinate,
    /// Where it is.
    pub(crate) truth: Coordinate,
    pub(crate) alive: bool,
    /// Receives and never answers.
    pub(crate) mute: bool,
    entropy: SplitMix64,
}

enum Due {
    Message {
        from: usize,
        to: usize,
        message: Message,
    },
    Timer {
        node: usize,
        timer: Timer,
    },
}

/// All nodes and what is on its way between them.
pub(crate) struct Net {
    pub(crate) config: Config,
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    pub(crate) index: BTreeMap<PeerId, usize>,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// What nodes told their hosts, since it was last taken.
    pub(crate) events: Vec<(usize, Event)>,
    pub(crate) entropy: SplitMix64,
    queue: BinaryHeap<Reverse<(Instant, u64)>>,
    due: BTreeMap<u64, Due>,
    sequence: u64,
    out: Vec<Out>,
    next_request: u64,
}

/// A number drawn from [0, 1).
pub(crate) fn unit(entropy: &mut SplitMix64) -> f64 {
    (entropy.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A number drawn below `bound`.
pub(crate) fn below(entropy: &mut SplitMix64, bound: usize) -> usize {
    (entropy.next_u64() % bound.max(1) as u64) as usize
}

/// A number drawn from the standard normal distribution (sum of twelve).
pub(crate) fn normal(entropy: &mut SplitMix64) -> f64 {
    (0..12).map(|_| unit(entropy)).sum::<f64>() - 6.0
}

/// A site: scattered bits first, so that names say nothing about places.
pub(crate) fn site(number: usize) -> SitePrefix {
    let scattered = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut bytes = [0; 6];
    bytes[..4].copy_from_slice(&scattered.to_be_bytes()[..4]);
    bytes[4..].copy_from_slice(&(number as u16).to_be_bytes());
    SitePrefix::from_bytes(bytes)
}

impl Net {
    /// Nodes at these true places; each believes in a place with `noise` seconds of deviation.
    pub(crate) fn new(
        config: &Config,
        places: &[(PeerId, Coordinate)],
        noise: f64,
        seed: u64,
    ) -> Self {
        let mut entropy = SplitMix64::new(seed);
        let mut nodes = Vec::new();
        for (me, truth) in places {
            let mut place = *truth;
            for part in &mut place.vector[..3] {
                *part += (noise / 3f64.sqrt() * normal(&mut entropy)) as f32;
            }
            nodes.push(Node {
                me: *me,
                finder: Finder::new(config, *me, false),
                members: Members::new(),
                place,
                truth: *truth,
                alive: true,
                mute: false,
                entropy: SplitMix64::new(entropy.next_u64()),
            });
        }
        let index = nodes.iter().map(|node| node.me).zip(0..).collect();
        Self {
            config: *config,
            now: Instant::ORIGIN + Duration::from_secs(1),
            nodes,
            index,
            messages: 0,
            bytes: 0,
            events: Vec::new(),
            entropy,
            queue: BinaryHeap::new(),
            due: BTreeMap::new(),
            sequence: 0,
            out: Vec::new(),
            next_request: 0,
        }
    }

    /// What membership would say of a node that is up.
    pub(crate) fn known(&self, node: usize) -> Known {
        Known {
            coordinate: Some(self.nodes[node].place),
            edition: 1,
            ..Known::unheard(self.nodes[node].me)
        }
    }

    /// Gives `node` a table with these nodes in it.
    pub(crate) fn introduce(&mut self, node: usize, others: impl IntoIterator<Item = usize>) {
        let known = others.into_iter().map(|other| self.known(other)).collect();
        self.nodes[node].members = Members::of(known);
    }

    /// Gives every node its own site; returns the nodes of each site.
    pub(crate) fn introduce_sites(&mut self) -> Vec<Vec<usize>> {
        let mut sites: BTreeMap<SitePrefix, Vec<usize>> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            sites.entry(node.me.site).or_default().push(index);
        }
        for site in sites.values() {
            for node in site {
                self.introduce(*node, site.iter().copied().filter(|other| other != node));
            }
        }
        sites.into_values().collect()
    }

    pub(crate) fn start(&mut self) {
        for node in 0..self.nodes.len() {
            self.with(node, Finder::start);
        }
    }

    /// Calls the finder of a node and carries out what it wants.
    pub(crate) fn with<R>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut Finder, &mut Context<'_>) -> R,
    ) -> R {
        let mut out = std::mem::take(&mut self.out);
        let Node {
            me,
            finder,
            members,
            place,
            entropy,
            ..
        } = &mut self.nodes[node];
        let mut ctx = Context {
            now: self.now,
            me: *me,
            members,
            coordinate: place,
            room: Room(0),
            directory: None,
            entropy,
            out: &mut out,
        };
        let result = call(finder, &mut ctx);
        for effect in out.drain(..) {
            self.carry_out(node, effect);
        }
        self.out = out;
        result
    }

    fn carry_out(&mut self, node: usize, effect: Out) {
        match effect {
            Out::Send { to, message } => {
                self.messages += 1;
                self.bytes += message.wire_bytes() as u64;
                let Some(to) = self.index.get(&to).copied() else {
                    return;
                };
                let delay = self.rtt(node, to) / 2;
                let from = node;
                self.push(delay, Due::Message { from, to, message });
            }
            Out::Schedule { after, timer } => self.push(after, Due::Timer { node, timer }),
            Out::Emit(event) => self.events.push((node, event)),
        }
    }

    fn push(&mut self, after: Duration, due: Due) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now + after, self.sequence)));
        self.due.insert(self.sequence, due);
    }

    /// The true round trip.
    pub(crate) fn rtt(&self, left: usize, right: usize) -> Duration {
        self.nodes[left].truth.distance(&self.nodes[right].truth)
    }

    /// Lets everything happen that is due until `until`.
    pub(crate) fn run_until(&mut self, until: Instant) {
        while let Some(Reverse((at, sequence))) = self.queue.peek().copied() {
            if at > until {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            match self.due.remove(&sequence) {
                Some(Due::Message { from, to, message }) => {
                    let from = self.nodes[from].me;
                    if self.nodes[to].alive && !self.nodes[to].mute {
                        self.with(to, |finder, ctx| finder.on_message(ctx, from, message));
                    }
                }
                Some(Due::Timer { node, timer }) if self.nodes[node].alive => {
                    self.with(node, |finder, ctx| finder.on_timer(ctx, timer));
                }
                _ => {}
            }
        }
        self.now = self.now.max(until);
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    /// A membership message between two nodes, with what rides on it, delivered at once.
    pub(crate) fn membership_message(&mut self, from: usize, to: usize) {
        let peer = self.nodes[to].me;
        let hearsay = self.with(from, |finder, ctx| finder.piggyback(ctx, peer));
        if let Some(hearsay) = hearsay.filter(|_| self.nodes[to].alive) {
            let peer = self.nodes[from].me;
            self.bytes += hearsay.wire_bytes() as u64;
            self.with(to, |finder, ctx| finder.on_hearsay(ctx, peer, hearsay));
        }
    }

    /// Membership traffic for `rounds` seconds: each node probes one of its table per second.
    pub(crate) fn gossip(&mut self, rounds: usize) {
        for _ in 0..rounds {
            for node in 0..self.nodes.len() {
                let table = &self.nodes[node].members;
                let drawn = below(&mut self.entropy, table.len());
                let probed = table
                    .at(drawn)
                    .and_then(|known| self.index.get(&known.peer));
                if let Some(probed) = probed.copied() {
                    self.membership_message(node, probed);
                    self.membership_message(probed, node);
                }
            }
            self.run_for(Duration::from_secs(1));
        }
    }

    /// Tells a node that membership has changed.
    pub(crate) fn change(&mut self, node: usize, change: Change) {
        match change {
            Change::Joined(peer) => {
                let known = self.known(self.index[&peer]);
                self.nodes[node].members.insert(known);
            }
            Change::Left(peer) | Change::Failed(peer) | Change::Dropped(peer) => {
                self.nodes[node].members.remove(peer);
            }
            Change::Stood(..) | Change::Contact(_) => {}
        }
        self.with(node, |finder, ctx| finder.on_member(ctx, change));
    }

    pub(crate) fn request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    /// Searches from `node` until `count` nodes were yielded, `step` at a time; ends the request.
    pub(crate) fn search(&mut self, node: usize, count: usize, step: u16) -> Vec<Neighbour> {
        let request = self.request();
        self.events.clear();
        let mut yielded = Vec::new();
        self.with(node, |finder, ctx| {
            finder.search(ctx, request, BTreeSet::new(), step);
        });
        let deadline = self.now + Duration::from_secs(60);
        while self.now < deadline {
            let events = std::mem::take(&mut self.events);
            let mut more = false;
            for (_, event) in events.into_iter().filter(|(who, _)| *who == node) {
                match event {
                    Event::Neighbours { found, .. } => {
                        yielded.extend(found);
                        more = true;
                    }
                    Event::Exhausted { .. } => return yielded,
                    _ => {}
                }
            }
            if yielded.len() >= count {
                self.with(node, |finder, ctx| finder.end(ctx, request));
                return yielded;
            }
            if more {
                self.with(node, |finder, ctx| finder.more(ctx, request, step));
            } else {
                self.run_for(Duration::from_millis(1));
            }
        }
        panic!("the search did not end");
    }
}
