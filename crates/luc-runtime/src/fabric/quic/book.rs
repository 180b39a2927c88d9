//! What a node remembers of each peer: where it is, its connection, the pause after a failure.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::wire::Counters;
use crate::fabric::backoff::Backoff;
use crate::fabric::{Channel, NotSent, PeerMetrics, PeerState, Standing, Traffic};
use crate::identity::NodeKey;

/// A connection on which both sides have said hello.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) connection: quinn::Connection,
    pub(super) counters: Arc<Counters>,
    /// The incarnation of the peer.
    pub(super) incarnation: u64,
    /// Whether this node dialled.
    pub(super) dialled: bool,
}

/// What comes of a dial.
pub(super) type Dialled = Option<Result<Live, NotSent>>;

/// A connection that is being opened.
pub(super) struct Dial {
    pub(super) done: watch::Receiver<Dialled>,
    pub(super) waiting: VecDeque<(Channel, Bytes)>,
}

/// One peer.
pub(super) struct Slot {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) live: Option<Live>,
    pub(super) dial: Option<Dial>,
    pub(super) backoff: Backoff,
    pub(super) counters: Arc<Counters>,
    since: Instant,
    rtt: Option<Duration>,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            live: None,
            dial: None,
            backoff: Backoff::default(),
            counters: Arc::default(),
            since: Instant::now(),
            rtt: None,
        }
    }
}

impl Slot {
    /// The connection, unless it is known to be closed.
    pub(super) fn open(&self) -> Option<&Live> {
        let live = self.live.as_ref();
        live.filter(|live| live.connection.close_reason().is_none())
    }

    /// Whether nothing but its figures would be lost with it.
    pub(super) fn is_idle(&self) -> bool {
        self.addresses.is_empty() && self.live.is_none() && self.dial.is_none()
    }

    /// Takes a new connection; hands out the one that it replaces.
    pub(super) fn take(&mut self, live: Live) -> Option<Live> {
        self.backoff.succeeded();
        self.counters.connects.fetch_add(1, Relaxed);
        self.since = Instant::now();
        self.live.replace(live)
    }

    /// A connection is closed: its figures are added up. Says whether it was the current one.
    pub(super) fn closed(&mut self, connection: &quinn::Connection) -> bool {
        let stats = connection.stats();
        let counters = &self.counters;
        counters
            .wire_bytes_out
            .fetch_add(stats.udp_tx.bytes, Relaxed);
        counters
            .wire_bytes_in
            .fetch_add(stats.udp_rx.bytes, Relaxed);
        self.rtt = Some(connection.rtt());
        let id = connection.stable_id();
        let current = self.live.as_ref();
        let current = current.is_some_and(|live| live.connection.stable_id() == id);
        if current {
            self.live = None;
            self.since = Instant::now();
            counters.losses.fetch_add(1, Relaxed);
        }
        current
    }

    /// What the peer's figures are now.
    pub(super) fn metrics(&self, key: NodeKey, standing: Standing) -> PeerMetrics {
        let open = self.open().map(|live| &live.connection);
        let mut traffic: Traffic = self.counters.snapshot();
        if let Some(stats) = self.live.as_ref().map(|live| live.connection.stats()) {
            traffic.wire_bytes_out += stats.udp_tx.bytes;
            traffic.wire_bytes_in += stats.udp_rx.bytes;
        }
        let state = match (open, &self.dial) {
            (Some(_), _) => PeerState::Connected,
            (None, Some(_)) => PeerState::Connecting,
            (None, None) => PeerState::Down,
        };
        PeerMetrics {
            key,
            standing,
            state,
            state_age: self.since.elapsed(),
            rtt: open.map(quinn::Connection::rtt).or(self.rtt),
            traffic,
        }
    }
}

/// All peers.
pub(super) type Book = BTreeMap<NodeKey, Slot>;
