//! Everything that a network in memory holds, behind one lock: who runs, which connections live,
//! what is on its way. Nothing here waits; `delivery` says what happens when something arrives.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::packet::{Content, Item, Packet, StreamId};
use super::path::{Paths, Stop, happens};
use super::stream::Lane;
use crate::fabric::backoff::Backoff;
use crate::fabric::frame::Outcome;
use crate::fabric::inbound::Inbound;
use crate::fabric::{Channel, Lost, NotSent, StreamError, Timing, Traffic};
use crate::identity::NodeKey;

/// Something to be done outside the lock: a call of a handler.
pub(super) type Call = Box<dyn FnOnce() + Send>;

/// A node that runs.
pub(super) struct Node {
    pub(super) stop: Stop,
    pub(super) incarnation: u64,
    pub(super) inbound: Arc<Inbound>,
    /// Ends the tasks of its handlers.
    pub(super) stopped: CancellationToken,
    pub(super) started: Instant,
    pub(super) peers: BTreeMap<NodeKey, PeerBook>,
}

/// What a node remembers of one peer.
pub(super) struct PeerBook {
    pub(super) traffic: Traffic,
    pub(super) backoff: Backoff,
    /// Places for requests and streams that are open at the same time.
    pub(super) open: Arc<Semaphore>,
    /// The connection that is being opened, if one is.
    pub(super) dial: Option<Dial>,
}

/// A connection that is being opened.
pub(super) struct Dial {
    /// Who waits for its life, or for why there is none; told in this order. (Those who wait on a
    /// `tokio::sync::watch` are woken in a random one.)
    pub(super) tell: Vec<oneshot::Sender<Result<u64, NotSent>>>,
    /// Datagrams that wait for it.
    pub(super) waiting: VecDeque<(Channel, Bytes)>,
}

/// The connection of a pair of nodes, the smaller key first.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// Counts the connections of the pair; what was sent on an earlier one never arrives.
    pub(super) life: u64,
    pub(super) up: bool,
    /// The incarnations of the two nodes that opened it.
    pub(super) ends: [u64; 2],
    pub(super) since: Instant,
    pub(super) heard: Instant,
    pub(super) sampled: Instant,
}

/// A request whose caller waits.
pub(super) struct Pending {
    pub(super) from: NodeKey,
    pub(super) to: NodeKey,
    pub(super) life: u64,
    pub(super) answer: oneshot::Sender<Result<Outcome, Lost>>,
}

/// One direction of a stream, from one node to another.
pub(super) struct OpenLane {
    pub(super) from: NodeKey,
    pub(super) to: NodeKey,
    pub(super) life: u64,
    pub(super) lane: Lane,
    /// When the last thing sent arrives: later ones never overtake it.
    pub(super) last: Instant,
}

pub(super) type Pair = (NodeKey, NodeKey);

/// The pair of two nodes.
pub(super) fn pair(a: NodeKey, b: NodeKey) -> Pair {
    (a.min(b), a.max(b))
}

/// The whole network.
pub(super) struct State {
    pub(super) random: SplitMix64,
    pub(super) timing: Timing,
    pub(super) open_max: usize,
    pub(super) waiting_max: usize,
    next: u64,
    pub(super) agenda: BTreeMap<(Instant, u64), Packet>,
    /// What met a cut, by its way, in the order in which it left.
    pub(super) held: BTreeMap<Pair, Vec<Packet>>,
    pub(super) nodes: BTreeMap<NodeKey, Node>,
    /// Where every node is or was, so that packets to a crashed one know their way.
    pub(super) sites: BTreeMap<NodeKey, SitePrefix>,
    pub(super) links: BTreeMap<Pair, Link>,
    pub(super) paths: Paths,
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) lanes: BTreeMap<StreamId, OpenLane>,
    /// The halves that an opened stream's acceptor will get.
    pub(super) accepting: BTreeMap<u64, (super::stream::MemorySend, super::stream::MemoryRecv)>,
    /// How many answers from the first node to the second are still to vanish.
    pub(super) vanishing: BTreeMap<Pair, u32>,
    pub(super) calls: VecDeque<Call>,
    /// Whether the network itself is gone.
    pub(super) closed: bool,
}

impl State {
    pub(super) fn new(seed: u64, timing: Timing, open_max: usize, waiting_max: usize) -> Self {
        Self {
            random: SplitMix64::new(seed),
            timing,
            open_max,
            waiting_max,
            next: 0,
            agenda: BTreeMap::new(),
            held: BTreeMap::new(),
            nodes: BTreeMap::new(),
            sites: BTreeMap::new(),
            links: BTreeMap::new(),
            paths: Paths::default(),
            pending: BTreeMap::new(),
            lanes: BTreeMap::new(),
            accepting: BTreeMap::new(),
            vanishing: BTreeMap::new(),
            calls: VecDeque::new(),
            closed: false,
        }
    }

    /// A number that was not given out before.
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn stop(&self, key: NodeKey) -> Stop {
        let site = self.sites.get(&key).copied();
        let site = site.unwrap_or(SitePrefix::from_bytes([0; 6]));
        Stop { key, site }
    }

    /// What the running node `of` remembers of `peer`.
    pub(super) fn book(&mut self, of: NodeKey, peer: NodeKey) -> Option<&mut PeerBook> {
        let open_max = self.open_max;
        let node = self.nodes.get_mut(&of)?;
        Some(node.peers.entry(peer).or_insert_with(|| PeerBook {
            traffic: Traffic::default(),
            backoff: Backoff::default(),
            open: Arc::new(Semaphore::new(open_max)),
            dial: None,
        }))
    }

    /// The node `of` has refused something of `peer`.
    pub(super) fn count_refusal(&mut self, of: NodeKey, peer: NodeKey) {
        if let Some(book) = self.book(of, peer) {
            book.traffic.refused += 1;
        }
    }

    /// Whether packets get from the one to the other now: both run, nothing is cut.
    pub(super) fn passes(&self, from: NodeKey, to: NodeKey) -> bool {
        self.nodes.contains_key(&to) && self.paths.is_open(self.stop(from), self.stop(to))
    }

    /// The life of the connection that `from` (of this incarnation) believes to have with `to`.
    pub(super) fn life(&self, from: NodeKey, incarnation: u64, to: NodeKey) -> Option<u64> {
        let link = self.links.get(&pair(from, to)).filter(|link| link.up)?;
        (link.ends[usize::from(from > to)] == incarnation).then_some(link.life)
    }

    /// Whether both ends of a connection still run as they did when it was opened.
    pub(super) fn ends_run(&self, (a, b): Pair, link: &Link) -> bool {
        let runs = |key, incarnation| {
            let node = self.nodes.get(&key);
            node.is_some_and(|node| node.incarnation == incarnation)
        };
        runs(a, link.ends[0]) && runs(b, link.ends[1])
    }

    /// Puts a packet on its way; `not_before` keeps the order of a stream. Says when it arrives.
    pub(super) fn send(&mut self, packet: Packet, not_before: Option<Instant>) -> Instant {
        let (from, to) = (self.stop(packet.from), self.stop(packet.to));
        let bytes = packet.content.bytes();
        let mut at = self.paths.arrival(from, to, bytes, &mut self.random);
        if matches!(packet.content, Content::Datagram(..)) {
            let quality = self.paths.quality(from, to).clone();
            if happens(quality.reorder, &mut self.random) {
                let late = quality.rtt / 2 + quality.jitter;
                at += super::path::drawn(late, &mut self.random);
            }
            if happens(quality.datagram_loss, &mut self.random) {
                return at;
            }
        }
        let at = not_before.map_or(at, |earliest| at.max(earliest));
        if let Some(book) = self.book(packet.from, packet.to) {
            book.traffic.frame_bytes_out += bytes as u64;
            book.traffic.wire_bytes_out += bytes as u64;
        }
        let number = self.number();
        self.agenda.insert((at, number), packet);
        at
    }

    /// Sends the next thing of one direction of a stream.
    pub(super) fn send_on_lane(&mut self, id: StreamId, item: Item) {
        let Some(lane) = self.lanes.get(&id) else {
            return;
        };
        let (from, to, life, last) = (lane.from, lane.to, lane.life, lane.last);
        let content = Content::Item(id, item);
        let packet = Packet {
            from,
            to,
            life,
            content,
        };
        let at = self.send(packet, Some(last));
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.last = at;
        }
    }

    /// Sends what the receiver of one direction tells its sender.
    pub(super) fn send_back(&mut self, id: StreamId, content: Content) {
        let Some(lane) = self.lanes.get(&id) else {
            return;
        };
        let packet = Packet {
            from: lane.to,
            to: lane.from,
            life: lane.life,
            content,
        };
        self.send(packet, None);
    }

    /// A connection came about; an earlier one of the pair is lost with all it carried.
    pub(super) fn connect(&mut self, from: NodeKey, to: NodeKey) -> Option<u64> {
        let ends = pair(from, to);
        let incarnation = |key| self.nodes.get(&key).map(|node: &Node| node.incarnation);
        let incarnations = [incarnation(ends.0)?, incarnation(ends.1)?];
        if let Some(link) = self.links.get(&ends).filter(|link| link.up) {
            if link.ends == incarnations {
                return Some(link.life);
            }
            self.lose(ends, "the peer has restarted");
        }
        let life = self.number();
        let now = Instant::now();
        let link = Link {
            life,
            up: true,
            ends: incarnations,
            since: now,
            heard: now,
            sampled: now,
        };
        self.links.insert(ends, link);
        for (of, peer) in [(ends.0, ends.1), (ends.1, ends.0)] {
            if let Some(book) = self.book(of, peer) {
                book.backoff.succeeded();
                book.traffic.connects += 1;
            }
            self.call(of, move |inbound| {
                inbound.handler().connected(inbound.peer(peer));
            });
        }
        Some(life)
    }

    /// A connection is gone: its requests are unknown, its streams broken.
    pub(super) fn lose(&mut self, ends: Pair, why: &'static str) {
        let Some(link) = self.links.get_mut(&ends).filter(|link| link.up) else {
            return;
        };
        link.up = false;
        link.since = Instant::now();
        let link = link.clone();
        let of_link = |from, to, life| pair(from, to) == ends && life == link.life;
        let requests = |one: &Pending| of_link(one.from, one.to, one.life);
        for (_, one) in taken(&mut self.pending, requests) {
            let _ = one.answer.send(Err(Lost::Connection(why.to_owned())));
        }
        let lanes = |one: &OpenLane| of_link(one.from, one.to, one.life);
        for (id, one) in taken(&mut self.lanes, lanes) {
            if let Some(halves) = self.accepting.remove(&id.number) {
                // They tell the network when they are dropped, so not under its lock.
                self.calls.push_back(Box::new(move || drop(halves)));
            }
            let why = StreamError::Lost(why.to_owned());
            one.lane.window.break_off(why.clone());
            let _ = one.lane.items.send(Item::Broken(why));
        }
        self.agenda
            .retain(|_, one| !of_link(one.from, one.to, one.life));
        for (of, peer, end) in [(ends.0, ends.1, 0), (ends.1, ends.0, 1)] {
            let runs = |node: &Node| node.incarnation == link.ends[end];
            if !self.nodes.get(&of).is_some_and(runs) {
                continue;
            }
            if let Some(book) = self.book(of, peer) {
                book.traffic.losses += 1;
            }
            self.call(of, move |inbound| {
                inbound.handler().lost(inbound.peer(peer), why);
            });
        }
    }

    /// Ends a node without a word to anyone: its tasks stop, its connections fall silent.
    pub(super) fn crash(&mut self, key: NodeKey) -> Option<Node> {
        let node = self.nodes.remove(&key)?;
        node.stopped.cancel();
        let own = |one: &Pending| one.from == key;
        for (_, one) in taken(&mut self.pending, own) {
            let _ = one
                .answer
                .send(Err(Lost::Connection("this node stopped".to_owned())));
        }
        // The other side learns of it when the connection is found silent.
        for lane in self.lanes.values() {
            let why = StreamError::Lost("this node stopped".to_owned());
            if lane.from == key {
                lane.lane.window.break_off(why.clone());
            }
            if lane.to == key {
                let _ = lane.lane.items.send(Item::Broken(why));
            }
        }
        Some(node)
    }

    /// Loses every connection of `key` that `which` names.
    pub(super) fn lose_all(
        &mut self,
        key: NodeKey,
        why: &'static str,
        which: impl Fn(NodeKey) -> bool,
    ) {
        let other = |(a, b): &Pair| if *a == key { *b } else { *a };
        let of_key = |ends: &&Pair| (ends.0 == key || ends.1 == key) && which(other(ends));
        let ends: BTreeSet<Pair> = self.links.keys().filter(of_key).copied().collect();
        for ends in ends {
            self.lose(ends, why);
        }
    }

    /// Calls the handler of a running node once the lock is free.
    pub(super) fn call(&mut self, of: NodeKey, call: impl FnOnce(&Inbound) + Send + 'static) {
        if let Some(node) = self.nodes.get(&of) {
            let inbound = Arc::clone(&node.inbound);
            self.calls.push_back(Box::new(move || call(&inbound)));
        }
    }
}

/// Takes what `which` names out of a map, in the order of its keys.
fn taken<K: Copy + Ord, V>(map: &mut BTreeMap<K, V>, which: impl Fn(&V) -> bool) -> Vec<(K, V)> {
    let named = map.iter().filter(|(_, value)| which(value));
    let keys: Vec<K> = named.map(|(key, _)| *key).collect();
    keys.into_iter()
        .filter_map(|key| map.remove_entry(&key))
        .collect()
}
