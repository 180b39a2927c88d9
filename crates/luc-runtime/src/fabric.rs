//! The fabric: how the nodes of a cloud reach each other.
//!
//! A node is named by its key ([`NodeKey`]), never by an address. The fabric carries requests with
//! answers, framed streams with back-pressure, and datagrams that may get lost; each belongs to a
//! [`Channel`]. Who may talk is asked of an [`Admission`] at every connection and every message.
//! What a message *means* is not known here: a [`Handler`] takes what comes in.
//!
//! ```text
//!   caller ── request ──▶ Fabric ══ connection ══▶ Fabric ──▶ Handler
//!          ◀─ answer │ NotSent │ Unknown │ Refused ─┘
//! ```
//!
//! Two implementations keep the same suite (`tests/fabric.rs`): [`quic`] between processes, and
//! [`memory`] inside one, where a test decides about delay, loss, splits and crashes.
//!
//! **Invariant** [`RequestError::NotSent`] is answered only when the peer's handler certainly has
//! not run and never will for that request; whatever is in doubt is [`RequestError::Unknown`].

mod admission;
mod backoff;
mod channel;
mod errors;
pub mod frame;
mod inbound;
pub mod memory;
mod metrics;
pub mod quic;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

pub use admission::{Admission, Members, Peer, Standing};
pub use channel::Channel;
pub use errors::{Lost, NotSent, Refusal, RequestError, StreamError};
pub use metrics::{PeerMetrics, PeerState, Traffic};
pub use stream::{RecvHalf, SendHalf};

use crate::identity::NodeKey;

/// The most bytes of a request's or an answer's body: 64 MiB. Larger things go by stream.
pub const BODY_BYTES_MAX: usize = 64 << 20;

/// The most bytes of what a guest sends, request or datagram: 64 KiB. Nothing longer is read.
pub const GUEST_BODY_BYTES_MAX: usize = 64 << 10;

/// The most bytes of one frame of a stream: 1 MiB.
pub const STREAM_FRAME_BYTES_MAX: usize = 1 << 20;

/// The most bytes of a datagram's body: 1 MiB. One that fits no packet is carried in pieces, and
/// is lost as a whole.
pub const DATAGRAM_BYTES_MAX: usize = 1 << 20;

/// What is asked of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it is about.
    pub channel: Channel,
    /// The question, in the channel's own form.
    pub body: Bytes,
}

impl Request {
    /// A request of `channel`.
    pub fn new(channel: Channel, body: impl Into<Bytes>) -> Self {
        Self {
            channel,
            body: body.into(),
        }
    }
}

/// One node's end of the fabric. Cheap to share as `Arc<dyn Fabric>`.
///
/// Connections are opened when something is to be sent, and kept. A peer that cannot be reached is
/// tried again after a growing pause with jitter; until then everything to it is refused at once
/// as [`NotSent::Unreachable`].
#[async_trait]
pub trait Fabric: Send + Sync + 'static {
    /// The key of this node.
    fn me(&self) -> NodeKey;

    /// Asks `to` and waits for the answer, at most until `deadline`.
    ///
    /// The handler runs only when the whole request has arrived, so a request that could not be
    /// handed over completely is `NotSent`. Dropping the future gives the request up: it may or
    /// may not have run.
    async fn request(
        &self,
        to: NodeKey,
        request: Request,
        deadline: Instant,
    ) -> Result<Bytes, RequestError>;

    /// Opens a framed stream to `to`: both sides may send, each waits for the other's window.
    ///
    /// A peer that refuses the channel resets the stream, which the halves report.
    async fn open_stream(
        &self,
        to: NodeKey,
        channel: Channel,
        deadline: Instant,
    ) -> Result<(SendHalf, RecvHalf), NotSent>;

    /// Sends `body` to `to` without any promise. Never waits; while a connection is being opened a
    /// few are kept for it. The error says only what is known at once.
    fn datagram(&self, to: NodeKey, channel: Channel, body: Bytes) -> Result<(), NotSent>;

    /// What is known of every peer that was ever talked to, ordered by key.
    fn peers(&self) -> Vec<PeerMetrics>;

    /// Says where `key` can be reached; tried in this order. An empty list forgets it.
    fn set_address(&self, key: NodeKey, addresses: Vec<SocketAddr>);

    /// Closes the connection to `key`, if there is one: its open requests become
    /// [`RequestError::Unknown`], its streams end with [`StreamError::Lost`].
    fn close(&self, key: NodeKey);

    /// Asks the [`Admission`] again about every open connection, and closes at once those of keys
    /// that are refused now.
    fn admission_changed(&self);

    /// Closes every connection and refuses everything from now on.
    async fn shut_down(&self);
}

/// Takes what peers send. Registered when a fabric starts.
///
/// A guest's messages reach it on [`Channel::JOIN`] only; what a refused key sends never does.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. The future is dropped when this node stops, not when the caller gives
    /// up: what it has begun is finished.
    ///
    /// **Invariant** a [`Refusal`] means that nothing was changed.
    async fn request(&self, from: Peer, channel: Channel, body: Bytes) -> Result<Bytes, Refusal>;

    /// Takes a datagram. Must not block.
    fn datagram(&self, from: Peer, channel: Channel, body: Bytes);

    /// Serves a stream that `from` has opened. Halves that are dropped unfinished reset it.
    async fn stream(&self, from: Peer, channel: Channel, send: SendHalf, recv: RecvHalf);

    /// A new sample of the round-trip time to `peer`: about one a second for each connection.
    fn rtt(&self, _peer: Peer, _sample: Duration) {}

    /// A connection to `peer` is open.
    fn connected(&self, _peer: Peer) {}

    /// The connection to `peer` is gone, and why.
    fn lost(&self, _peer: Peer, _why: &str) {}
}

/// What an implementation needs to start, besides its own settings.
#[derive(Clone)]
pub struct Ends {
    /// Who may talk.
    pub admission: Arc<dyn Admission>,
    /// Who takes what they send.
    pub handler: Arc<dyn Handler>,
}

/// Times of a connection. The same in both implementations, so that what a test sees in memory is
/// what a cloud does.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long the handshake of a new connection may take.
    pub connect: Duration,
    /// How often a silent connection is asked for a sign of life.
    pub keep_alive: Duration,
    /// After how long without a sign of life a connection is lost.
    pub idle: Duration,
    /// The first pause after a peer could not be reached; doubled each time.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// How often the round-trip time of a connection is told to the handler.
    pub rtt_sample: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            keep_alive: Duration::from_secs(1),
            idle: Duration::from_secs(4),
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(1),
            rtt_sample: Duration::from_secs(1),
        }
    }
}

/// How much one peer may have open at once. More waits at its sender.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests and streams of one peer that are served at the same time.
    pub open: u32,
    /// Datagrams kept for a peer while its connection is being opened.
    pub waiting_datagrams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open: 256,
            waiting_datagrams: 64,
        }
    }
}
