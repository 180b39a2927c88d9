//! An artificial wide-area network below QUIC, for showing many sites on one machine: packets to
//! an address are held back for a while or thrown away. Not in use unless asked for.
//!
//! Only what this node sends is touched, so a round trip of 40 ms takes 20 ms set on both sides.
//! Packets to one address keep their order. What is held back is bounded; beyond that packets are
//! lost, as in any router. Timers have milliseconds: a delay is up to 1 ms longer than asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How many bytes are held back at most: 100 ms of 1 Gbit/s.
const HELD_BYTES_MAX: usize = 12 << 20;

/// How the way to an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Every packet takes so much longer.
    Delay(Duration),
    /// Nothing gets through.
    Cut,
}

/// The ways to all addresses; those that are not named are as they are. Shared, changed at will.
#[derive(Debug, Default)]
pub struct Wan {
    ways: RwLock<BTreeMap<SocketAddr, Way>>,
}

impl Wan {
    /// Sets the way to `address`.
    pub fn set(&self, address: SocketAddr, way: Way) {
        let mut ways = self.ways.write().unwrap_or_else(PoisonError::into_inner);
        ways.insert(canonical(address), way);
    }

    /// Leaves packets to `address` alone again.
    pub fn clear(&self, address: SocketAddr) {
        let mut ways = self.ways.write().unwrap_or_else(PoisonError::into_inner);
        ways.remove(&canonical(address));
    }

    fn way(&self, address: SocketAddr) -> Option<Way> {
        let ways = self.ways.read().unwrap_or_else(PoisonError::into_inner);
        ways.get(&canonical(address)).copied()
    }
}

/// An IPv4 address that a socket of both families shows as IPv6 is the same address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A packet that waits.
struct Held {
    destination: SocketAddr,
    ecn: Option<EcnCodepoint>,
    contents: Vec<u8>,
    segment_size: Option<usize>,
    src_ip: Option<IpAddr>,
}

#[derive(Default)]
struct Queue {
    next: u64,
    bytes: usize,
    held: BTreeMap<(Instant, u64), Held>,
    last: BTreeMap<SocketAddr, Instant>,
}

/// A socket whose packets take the ways of a [`Wan`].
pub(super) struct WanSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    wan: Arc<Wan>,
    queue: Mutex<Queue>,
    wake: Notify,
}

impl WanSocket {
    /// Wraps a socket and starts the task that sends what was held back. It ends with the socket.
    pub(super) fn wrap(inner: Arc<dyn AsyncUdpSocket>, wan: Arc<Wan>) -> Arc<Self> {
        let socket = Arc::new(Self {
            inner,
            wan,
            queue: Mutex::default(),
            wake: Notify::new(),
        });
        let weak = Arc::downgrade(&socket);
        tokio::spawn(async move {
            while let Some(socket) = weak.upgrade() {
                let next = socket.send_due();
                // Woken at least so often, to see whether the endpoint is gone.
                let latest = Instant::now() + Duration::from_secs(1);
                let woken = tokio::time::timeout_at(latest, socket.wake.notified());
                tokio::select! {
                    biased;
                    () = sleep_until(next.unwrap_or(latest).min(latest)) => {}
                    _ = woken => {}
                }
            }
        });
        socket
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a packet back until `delay` has passed.
    fn hold(&self, transmit: &Transmit<'_>, delay: Duration) {
        let mut queue = self.lock();
        if queue.bytes + transmit.contents.len() > HELD_BYTES_MAX {
            return;
        }
        queue.bytes += transmit.contents.len();
        queue.next += 1;
        let number = queue.next;
        let last = queue.last.entry(transmit.destination);
        let last = last.or_insert_with(Instant::now);
        *last = (*last).max(Instant::now() + delay);
        let at = *last;
        let held = Held {
            destination: transmit.destination,
            ecn: transmit.ecn,
            contents: transmit.contents.to_vec(),
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        queue.held.insert((at, number), held);
        let first = queue.held.len() == 1;
        drop(queue);
        if first {
            self.wake.notify_one();
        }
    }

    /// Sends what is due; says when the next packet is.
    fn send_due(&self) -> Option<Instant> {
        let mut queue = self.lock();
        let now = Instant::now();
        while let Some(first) = queue.held.first_entry() {
            let at = first.key().0;
            if at > now {
                return Some(at);
            }
            let held = first.remove();
            queue.bytes -= held.contents.len();
            // A full socket loses the packet; QUIC sends it again.
            let _ = self.inner.try_send(&Transmit {
                destination: held.destination,
                ecn: held.ecn,
                contents: &held.contents,
                segment_size: held.segment_size,
                src_ip: held.src_ip,
            });
        }
        None
    }
}

impl fmt::Debug for WanSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WanSocket")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for WanSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.wan.way(transmit.destination) {
            None => self.inner.try_send(transmit),
            Some(Way::Cut) => Ok(()),
            Some(Way::Delay(delay)) => {
                self.hold(transmit, delay);
                Ok(())
            }
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
