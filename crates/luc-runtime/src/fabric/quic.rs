//! The fabric between processes: QUIC (RFC 9000) with quinn, one connection for each pair of nodes.
//!
//! Requests are bidirectional streams of their own, so none waits behind another; feeds and bulk
//! data are long streams with QUIC's flow control; datagrams are RFC 9221's, and those that fit no
//! packet go on a one-way stream. A connection that hears nothing for [`Timing::idle`] is lost, so
//! a split is seen within seconds. Who is who: `tls`; how a connection comes about: `dial` and
//! `accept`; what then arrives: `serve`; an artificial WAN: [`Wan`].

mod accept;
mod book;
mod dial;
mod serve;
mod tls;
mod wan;
mod wire;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use luc_core::entropy::SplitMix64;
use quinn::{
    Endpoint, EndpointConfig, IdleTimeout, Runtime as _, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub use wan::{Wan, Way};

use self::book::{Book, Live};
use self::dial::{CLOSED, Found, NOT_ADMITTED};
use self::wan::WanSocket;
use self::wire::{QuicRecv, QuicSend, Sending, read_body, read_header};
use super::frame::{self, HEADER_BYTES, Kind, Outcome};
use super::inbound::{Inbound, until_stopped};
use super::stream::{RecvHalf, SendHalf};
use super::{
    BODY_BYTES_MAX, Channel, DATAGRAM_BYTES_MAX, Ends, Fabric, Limits, Lost, NotSent, PeerMetrics,
    Request, RequestError, Standing, Timing,
};
use crate::identity::{NodeKey, NodeSecret};

/// One-way streams of one peer at the same time: large datagrams.
const LARGE_DATAGRAMS_MAX: u32 = 16;

/// How many bytes of datagrams wait to be sent to, or taken from, one peer; older ones are lost.
const DATAGRAM_BUFFER_BYTES: usize = 1 << 20;

/// Bytes in flight to one node, over all streams: enough for 1 Gbit/s at 100 ms.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// How an endpoint is set up.
#[derive(Clone, Debug)]
pub struct QuicSettings {
    /// The address to listen on; port 0 takes a free one. `[::]` serves both families.
    pub listen: SocketAddr,
    /// Times of a connection.
    pub timing: Timing,
    /// How much one peer may have open.
    pub limits: Limits,
    /// An artificial WAN under this endpoint.
    pub wan: Option<Arc<Wan>>,
}

impl QuicSettings {
    /// The defaults at an address.
    pub fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            timing: Timing::default(),
            limits: Limits::default(),
            wan: None,
        }
    }
}

/// Why an endpoint does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("listening for other nodes on {address} (UDP)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The node key is none that TLS can use.
    #[error("setting up TLS with the node key")]
    Tls(#[source] rustls::Error),
    /// The kernel gives no randomness.
    #[error("drawing the incarnation")]
    Randomness(#[source] io::Error),
    /// A time or number is beyond what QUIC can say.
    #[error("a time-out or limit is too large for QUIC")]
    Settings,
}

/// One node's end of the fabric between processes.
pub struct QuicFabric(Arc<Core>);

/// What all tasks of an endpoint share.
struct Core {
    me: NodeKey,
    incarnation: u64,
    endpoint: Endpoint,
    transport: Arc<TransportConfig>,
    tls: tls::Tls,
    inbound: Inbound,
    timing: Timing,
    limits: Limits,
    book: Mutex<Book>,
    random: Mutex<SplitMix64>,
    /// Places for connections that others are opening.
    handshakes: Arc<Semaphore>,
    stopped: CancellationToken,
}

impl QuicFabric {
    /// Starts to listen, and to serve what comes in. Needs a tokio runtime.
    pub fn start(
        secret: &NodeSecret,
        settings: QuicSettings,
        ends: Ends,
    ) -> Result<Arc<Self>, StartError> {
        Self::start_speaking(tls::ALPN, secret, settings, ends)
    }

    /// Starts an endpoint of another release: for tests of what happens between two.
    #[doc(hidden)]
    pub fn start_speaking(
        alpn: &[u8],
        secret: &NodeSecret,
        settings: QuicSettings,
        ends: Ends,
    ) -> Result<Arc<Self>, StartError> {
        let tls = tls::Tls::new(secret, alpn).map_err(StartError::Tls)?;
        let transport = Arc::new(transport(&settings)?);
        let mut server =
            ServerConfig::with_crypto(Arc::new(tls.server().map_err(StartError::Tls)?));
        server.transport_config(Arc::clone(&transport));
        let address = settings.listen;
        let listen = |source| StartError::Listen { address, source };
        let socket = UdpSocket::bind(address).map_err(listen)?;
        let mut socket = TokioRuntime.wrap_udp_socket(socket).map_err(listen)?;
        if let Some(wan) = settings.wan {
            socket = WanSocket::wrap(socket, wan);
        }
        let endpoint = Endpoint::new_with_abstract_socket(
            EndpointConfig::default(),
            Some(server),
            socket,
            Arc::new(TokioRuntime),
        );
        let core = Arc::new(Core {
            me: secret.key(),
            incarnation: drawn()?,
            endpoint: endpoint.map_err(listen)?,
            transport,
            tls,
            inbound: Inbound::new(ends),
            timing: settings.timing,
            limits: settings.limits,
            book: Mutex::default(),
            random: Mutex::new(SplitMix64::new(drawn()?)),
            handshakes: Arc::new(Semaphore::new(accept::HANDSHAKES_MAX)),
            stopped: CancellationToken::new(),
        });
        core.spawn(Arc::clone(&core).accept_all());
        Ok(Arc::new(Self(core)))
    }

    /// Where it listens.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.endpoint.local_addr()
    }

    /// How many connections are open: one for each peer, and for a moment those that another one
    /// replaces.
    pub fn connections(&self) -> usize {
        self.0.endpoint.open_connections()
    }
}

/// Random bits from the kernel.
fn drawn() -> Result<u64, StartError> {
    getrandom::u64().map_err(|error| StartError::Randomness(error.into()))
}

fn transport(settings: &QuicSettings) -> Result<TransportConfig, StartError> {
    let idle = IdleTimeout::try_from(settings.timing.idle).map_err(|_| StartError::Settings)?;
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(idle))
        // A first packet that is lost is sent again after three times this (RFC 9002, 6.2): the
        // default of a third of a second makes a peer wait long after a split has healed.
        .initial_rtt(Duration::from_millis(100))
        .keep_alive_interval(Some(settings.timing.keep_alive))
        .max_concurrent_bidi_streams(VarInt::from_u32(settings.limits.open))
        .max_concurrent_uni_streams(VarInt::from_u32(LARGE_DATAGRAMS_MAX))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(u64::from(CONNECTION_WINDOW_BYTES))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES);
    Ok(transport)
}

impl Core {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn random(&self) -> MutexGuard<'_, SplitMix64> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task until it ends or the fabric is shut down.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.stopped.clone();
        tokio::spawn(async move {
            until_stopped(&stopped, task).await;
        });
    }

    fn count_refusal(&self, key: NodeKey) {
        let mut book = self.book();
        book.entry(key)
            .or_default()
            .counters
            .refused
            .fetch_add(1, Relaxed);
    }

    /// What forbids to talk to `to` about `channel` before anything is tried.
    fn permit(&self, to: NodeKey, channel: Channel) -> Result<(), NotSent> {
        if self.stopped.is_cancelled() {
            return Err(NotSent::ShutDown);
        }
        if to == self.me {
            return Err(NotSent::Itself);
        }
        if !self.inbound.standing(to).may_speak(channel) {
            return Err(NotSent::NotAdmitted(channel));
        }
        Ok(())
    }

    /// Sends a datagram on an open connection.
    fn send_datagram(&self, live: &Live, channel: Channel, body: Bytes) {
        let connection = &live.connection;
        let fits = connection.max_datagram_size();
        if fits.is_some_and(|fits| HEADER_BYTES + body.len() <= fits) {
            let frame = frame::encode(Kind::Datagram, channel, &body);
            let bytes = frame.len();
            match connection.send_datagram(frame) {
                Ok(()) => live.counters.sent(bytes),
                Err(_) => live.counters.dropped(1),
            }
            return;
        }
        let live = live.clone();
        let patience = self.timing.idle;
        self.spawn(async move {
            let sent = async {
                let send = live.connection.open_uni().await.ok()?;
                let mut send = Sending::new(send);
                let written = send.write(Kind::Datagram, channel, body, &live.counters);
                written.await.ok()?;
                send.finish();
                Some(())
            };
            if tokio::time::timeout(patience, sent).await != Ok(Some(())) {
                live.counters.dropped(1);
            }
        });
    }

    /// Hands a request over to its last byte; until then the peer's handler cannot run.
    async fn hand_over(
        self: &Arc<Self>,
        to: NodeKey,
        request: Request,
        deadline: Instant,
    ) -> Result<(Sending, quinn::RecvStream, Live), NotSent> {
        check_size(request.body.len(), BODY_BYTES_MAX)?;
        self.permit(to, request.channel)?;
        let live = self.connected(to, deadline).await?;
        let written = async {
            let (send, recv) = live
                .connection
                .open_bi()
                .await
                .map_err(|error| lost(&error))?;
            let mut send = Sending::new(send);
            let written = send.write(Kind::Request, request.channel, request.body, &live.counters);
            match written.await {
                Ok(()) => Ok((send, recv)),
                Err(quinn::WriteError::ConnectionLost(error)) => Err(lost(&error)),
                Err(_) => Err(NotSent::Refused("it stopped reading".to_owned())),
            }
        };
        let written = timeout_at(deadline, written).await;
        let (send, recv) = written.unwrap_or(Err(NotSent::Deadline))?;
        Ok((send, recv, live))
    }

    /// Closes the connection to `key`, whatever it is doing.
    fn close_key(&self, key: NodeKey, code: VarInt, why: &[u8]) {
        let live = self.book().get(&key).and_then(|slot| slot.live.clone());
        if let Some(live) = live {
            live.connection.close(code, why);
        }
    }
}

fn lost(error: &quinn::ConnectionError) -> NotSent {
    NotSent::Unreachable(error.to_string())
}

fn check_size(bytes: usize, bytes_max: usize) -> Result<(), NotSent> {
    if bytes > bytes_max {
        return Err(NotSent::TooLarge { bytes, bytes_max });
    }
    Ok(())
}

/// Reads what became of a request.
async fn outcome(recv: &mut quinn::RecvStream, live: &Live) -> Result<Outcome, Lost> {
    let failed = |error: wire::ReadFrameError| match error {
        wire::ReadFrameError::Stream(quinn::ReadError::ConnectionLost(error)) => {
            Lost::Connection(error.to_string())
        }
        other => Lost::Failed(other.to_string()),
    };
    let header = read_header(recv).await.map_err(failed)?;
    let body = read_body(recv, header, &live.counters)
        .await
        .map_err(failed)?;
    Outcome::decode(header, body).map_err(|error| Lost::Failed(error.to_string()))
}

#[async_trait]
impl Fabric for QuicFabric {
    fn me(&self) -> NodeKey {
        self.0.me
    }

    async fn request(
        &self,
        to: NodeKey,
        request: Request,
        deadline: Instant,
    ) -> Result<Bytes, RequestError> {
        let handed = self.0.hand_over(to, request, deadline).await;
        let not_sent = |why| RequestError::NotSent { to, why };
        let (mut send, mut recv, live) = handed.map_err(not_sent)?;
        send.finish();
        let why = match timeout_at(deadline, outcome(&mut recv, &live)).await {
            Ok(Ok(Outcome::Answer(body))) => return Ok(body),
            Ok(Ok(Outcome::Refused(why))) => return Err(RequestError::Refused { to, why }),
            Ok(Ok(Outcome::Failed(text))) => Lost::Failed(text),
            Ok(Err(why)) => why,
            Err(_) => Lost::Deadline,
        };
        Err(RequestError::Unknown { to, why })
    }

    async fn open_stream(
        &self,
        to: NodeKey,
        channel: Channel,
        deadline: Instant,
    ) -> Result<(SendHalf, RecvHalf), NotSent> {
        self.0.permit(to, channel)?;
        let live = self.0.connected(to, deadline).await?;
        let opened = async {
            let (send, recv) = live
                .connection
                .open_bi()
                .await
                .map_err(|error| lost(&error))?;
            let mut send = Sending::new(send);
            let written = send.write(Kind::Stream, channel, Bytes::new(), &live.counters);
            let written = written.await;
            written.map_err(|error| NotSent::Unreachable(error.to_string()))?;
            let counters = Arc::clone(&live.counters);
            let send = QuicSend::new(send, Arc::clone(&counters));
            Ok((
                SendHalf::new(send),
                RecvHalf::new(QuicRecv::new(recv, counters)),
            ))
        };
        let opened = timeout_at(deadline, opened).await;
        opened.unwrap_or(Err(NotSent::Deadline))
    }

    fn datagram(&self, to: NodeKey, channel: Channel, body: Bytes) -> Result<(), NotSent> {
        check_size(body.len(), DATAGRAM_BYTES_MAX)?;
        self.0.permit(to, channel)?;
        let found = self.0.find(to, Some((channel, body.clone())));
        match found {
            Ok(Found::Live(live)) => self.0.send_datagram(&live, channel, body),
            Ok(Found::Dial(_)) => {}
            Err(why) => {
                let mut book = self.0.book();
                book.entry(to).or_default().counters.dropped(1);
                return Err(why);
            }
        }
        Ok(())
    }

    fn peers(&self) -> Vec<PeerMetrics> {
        let inbound = &self.0.inbound;
        let book = self.0.book();
        let metrics = book
            .iter()
            .map(|(key, slot)| slot.metrics(*key, inbound.standing(*key)));
        metrics.collect()
    }

    fn set_address(&self, key: NodeKey, addresses: Vec<SocketAddr>) {
        self.0.book().entry(key).or_default().addresses = addresses;
    }

    fn close(&self, key: NodeKey) {
        self.0.close_key(key, CLOSED, b"closed");
    }

    fn admission_changed(&self) {
        let keys: Vec<NodeKey> = self.0.book().keys().copied().collect();
        for key in keys {
            if self.0.inbound.standing(key) == Standing::Refused {
                self.0
                    .close_key(key, NOT_ADMITTED, b"not admitted any more");
            }
        }
    }

    async fn shut_down(&self) {
        self.0.stopped.cancel();
        self.0.endpoint.close(CLOSED, b"the node has shut down");
        // Lets the last packets out; a peer that does not answer is not waited for.
        let idle = self.0.endpoint.wait_idle();
        let _ = tokio::time::timeout(Duration::from_millis(500), idle).await;
    }
}

impl Drop for QuicFabric {
    fn drop(&mut self) {
        self.0.stopped.cancel();
        self.0.endpoint.close(CLOSED, b"the node has shut down");
    }
}
