//! A fabric inside one process: for tests, for simulated clouds, and for `luc up`.
//!
//! A [`Network`] carries what its nodes send with the delay, loss, speed and order that the test
//! asks for, cuts ways in one direction or both, crashes nodes, and makes answers vanish after the
//! handler ran. All time is tokio's: with a paused clock hours pass in a moment, and on a runtime
//! of one thread the same seed gives the same run, as long as the tested code draws nothing itself:
//! `select!` without `biased` does, and a `tokio::sync::watch` wakes those who wait on it in a
//! random order.
//!
//! It keeps what a caller may rely on of the real fabric: a connection that hears nothing for
//! [`Timing::idle`] is lost and its requests become unknown; one to a silent node fails after
//! [`Timing::connect`] and is paused; a cut shorter than that only delays. It does not model
//! packets, congestion or encryption, and a handshake takes one round trip.

mod delivery;
mod node;
mod packet;
mod path;
mod state;
mod stream;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use luc_core::SitePrefix;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub use node::MemoryFabric;
pub use path::{Place, Quality};

use super::inbound::Inbound;
use super::{Ends, Limits, Timing};
use crate::identity::NodeKey;
use state::{Node, State};

/// What all nodes of a network share.
struct Shared {
    state: Mutex<State>,
    /// The agenda has got an earlier entry.
    wake: Notify,
}

impl Shared {
    /// Does something to the state, then what it gave rise to outside the lock.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let lock = || self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, calls) = {
            let mut state = lock();
            let before = state.agenda.first_key_value().map(|(at, _)| *at);
            let done = act(&mut state);
            let after = state.agenda.first_key_value().map(|(at, _)| *at);
            if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
                self.wake.notify_one();
            }
            (done, std::mem::take(&mut state.calls))
        };
        for call in calls {
            call();
        }
        done
    }
}

/// The network of a simulated cloud, as the test holds it. When it is dropped, its nodes are shut
/// down.
pub struct Network {
    shared: Arc<Shared>,
    driver: AbortHandle,
}

impl Network {
    /// A network with the default times. Needs a tokio runtime, which moves its packets.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Timing::default(), &Limits::default())
    }

    /// A network with these times and limits.
    pub fn with(seed: u64, timing: Timing, limits: &Limits) -> Self {
        let open = usize::try_from(limits.open).unwrap_or(usize::MAX);
        let tick = (timing.keep_alive / 2).max(Duration::from_millis(1));
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(seed, timing, open, limits.waiting_datagrams)),
            wake: Notify::new(),
        });
        let driver = tokio::spawn(drive(Arc::clone(&shared), tick)).abort_handle();
        Self { shared, driver }
    }

    /// Starts the node of `key` at `site`. One of the same key that runs is crashed first.
    pub fn start(&self, key: NodeKey, site: SitePrefix, ends: Ends) -> Arc<MemoryFabric> {
        self.crash(key);
        let inbound = Arc::new(Inbound::new(ends));
        let incarnation = self.shared.with(|state| {
            let incarnation = state.number();
            state.sites.insert(key, site);
            let stop = state.stop(key);
            let node = Node {
                stop,
                incarnation,
                inbound,
                stopped: CancellationToken::new(),
                started: Instant::now(),
                peers: BTreeMap::new(),
            };
            state.nodes.insert(key, node);
            incarnation
        });
        Arc::new(MemoryFabric {
            shared: Arc::clone(&self.shared),
            me: key,
            incarnation,
        })
    }

    /// Ends a node as a power cut would: its handlers stop where they wait, nobody is told. Its
    /// peers notice after [`Timing::idle`], or when it has started again and they connect.
    pub fn crash(&self, key: NodeKey) {
        // Dropped outside the lock: the handler may hold handles of this network.
        let node = self.shared.with(|state| state.crash(key));
        drop(node);
    }

    /// Sets the ways between the nodes of two sites, or inside one, in both directions.
    pub fn set_quality(&self, a: SitePrefix, b: SitePrefix, quality: Quality) {
        self.shared.with(|state| state.paths.set(a, b, quality));
    }

    /// Sets every way that [`Self::set_quality`] does not name.
    pub fn set_quality_everywhere(&self, quality: Quality) {
        self.shared
            .with(|state| state.paths.set_everywhere(quality));
    }

    /// Sets only the round-trip time between two sites.
    pub fn set_rtt(&self, a: SitePrefix, b: SitePrefix, rtt: Duration) {
        self.set_quality(a, b, Quality::of_rtt(rtt));
    }

    /// Lets nothing through between two places, in both directions.
    pub fn split(&self, a: impl Into<Place>, b: impl Into<Place>) {
        let (a, b) = (a.into(), b.into());
        self.cut(a, b);
        self.cut(b, a);
    }

    /// Lets nothing through from one place to another; the other way stays open.
    pub fn cut(&self, from: impl Into<Place>, to: impl Into<Place>) {
        let (from, to) = (from.into(), to.into());
        self.shared.with(|state| state.paths.cut(from, to));
    }

    /// Opens both directions between two places again.
    pub fn heal(&self, a: impl Into<Place>, b: impl Into<Place>) {
        let (a, b) = (a.into(), b.into());
        self.shared.with(|state| {
            state.paths.heal(a, b);
            state.paths.heal(b, a);
        });
    }

    /// Takes back every cut.
    pub fn heal_all(&self) {
        self.shared.with(|state| state.paths.heal_all());
    }

    /// The next answer from `from` to `to` vanishes after its handler ran: the caller's outcome is
    /// unknown at its deadline. Asked twice, the next two do.
    pub fn drop_next_response(&self, from: NodeKey, to: NodeKey) {
        self.shared.with(|state| {
            *state.vanishing.entry((from, to)).or_default() += 1;
        });
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.driver.abort();
        let nodes = self.shared.with(|state| {
            state.closed = true;
            let keys: Vec<NodeKey> = state.nodes.keys().copied().collect();
            for key in &keys {
                state.lose_all(*key, "the network is gone", |_| true);
            }
            let crashed: Vec<Option<Node>> = keys.into_iter().map(|key| state.crash(key)).collect();
            crashed
        });
        drop(nodes);
    }
}

/// Delivers packets when they are due, in the order of their arrival.
async fn drive(network: Arc<Shared>, tick: Duration) {
    let mut next_tick = Instant::now() + tick;
    loop {
        let now = Instant::now();
        if now >= next_tick {
            next_tick = now + tick;
            network.with(State::tick);
        }
        let due = network.with(|state| {
            let first = state.agenda.first_entry()?;
            let due = first.key().0 <= now;
            due.then(|| first.remove())
                .map(|packet| state.deliver(&network, packet))
        });
        if due.is_some() {
            continue;
        }
        let next = network.with(|state| state.agenda.first_key_value().map(|(at, _)| at.0));
        let until = next.map_or(next_tick, |next| next.min(next_tick));
        let woken = network.wake.notified();
        tokio::select! {
            biased;
            () = woken => {}
            () = sleep_until(until) => {}
        }
    }
}
