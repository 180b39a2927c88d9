//! Opening connections, from the side that dials.
//!
//! A connection counts when the other side has answered the hello: in TLS 1.3 the dialling side is
//! done before its own key was looked at, and nothing may be sent to somebody who then refuses.
//!
//! When two nodes dial each other at once, the connection that the smaller key dialled stays: its
//! node turns the other one away as a duplicate.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::{ClientConfig, ConnectionError, VarInt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Core;
use super::book::{Dial, Dialled, Live, Slot};
use super::wire::{Sending, read_body, read_header};
use crate::fabric::frame::{Hello, Kind};
use crate::fabric::{Channel, NotSent};
use crate::identity::NodeKey;

/// Close codes of a connection, as the other side sees them.
pub(super) const CLOSED: VarInt = VarInt::from_u32(0);
/// The key is not admitted (any more).
pub(super) const NOT_ADMITTED: VarInt = VarInt::from_u32(1);
/// Another connection of the same pair counts.
pub(super) const DUPLICATE: VarInt = VarInt::from_u32(2);
/// The first frame cannot be read.
pub(super) const MALFORMED: VarInt = VarInt::from_u32(3);

/// How long a duplicate waits for the connection that counts, before it is dialled again.
const DUPLICATE_WAIT: Duration = Duration::from_millis(100);
/// How often a node that was called a duplicate dials again.
const DUPLICATES_MAX: usize = 3;

/// A connection, or one that is being opened.
pub(super) enum Found {
    Live(Live),
    Dial(watch::Receiver<Dialled>),
}

/// How one attempt failed.
enum Attempt {
    Duplicate,
    Refused(String),
    Silent(String),
}

impl Core {
    /// The connection to `to`, opened if there is none, at the latest at `deadline`.
    pub(super) async fn connected(
        self: &Arc<Self>,
        to: NodeKey,
        deadline: Instant,
    ) -> Result<Live, NotSent> {
        let mut done = match self.find(to, None)? {
            Found::Live(live) => return Ok(live),
            Found::Dial(done) => done,
        };
        let finished = tokio::time::timeout_at(deadline, done.wait_for(Option::is_some)).await;
        match finished.map(|seen| seen.map(|done| done.clone())) {
            Ok(Ok(Some(outcome))) => outcome,
            Ok(_) => Err(NotSent::ShutDown),
            Err(_) => Err(NotSent::Deadline),
        }
    }

    /// The connection to `to`, or the one that is being opened from now on. A datagram is kept
    /// until it is open.
    pub(super) fn find(
        self: &Arc<Self>,
        to: NodeKey,
        datagram: Option<(Channel, Bytes)>,
    ) -> Result<Found, NotSent> {
        let mut book = self.book();
        let slot = book.entry(to).or_default();
        if let Some(live) = slot.open() {
            return Ok(Found::Live(live.clone()));
        }
        let result = if let Some(dial) = &slot.dial {
            dial.done.clone()
        } else {
            self.begin(to, slot)?
        };
        if let Some((datagram, dial)) = datagram.zip(slot.dial.as_mut()) {
            if dial.waiting.len() >= self.limits.waiting_datagrams {
                return Err(NotSent::Busy);
            }
            dial.waiting.push_back(datagram);
        }
        Ok(Found::Dial(result))
    }

    /// Begins to dial, unless it is too early or no address is known.
    fn begin(
        self: &Arc<Self>,
        to: NodeKey,
        slot: &mut Slot,
    ) -> Result<watch::Receiver<Dialled>, NotSent> {
        if let Some(why) = slot.backoff.refusal(Instant::now()) {
            return Err(NotSent::Unreachable(why.to_owned()));
        }
        if slot.addresses.is_empty() {
            return Err(NotSent::NoAddress);
        }
        let addresses = slot.addresses.clone();
        let (tell, done) = watch::channel(None);
        let result = done.clone();
        let waiting = VecDeque::new();
        slot.dial = Some(Dial { done, waiting });
        let core = Arc::clone(self);
        self.spawn(async move {
            let outcome = core.dial(to, &addresses).await;
            core.dialled(to, &outcome);
            tell.send_replace(Some(outcome));
        });
        Ok(result)
    }

    /// The end of a dial: what waited is sent or dropped, a failure makes a pause.
    fn dialled(&self, to: NodeKey, outcome: &Result<Live, NotSent>) {
        let mut book = self.book();
        let slot = book.entry(to).or_default();
        let waiting = slot.dial.take().map(|dial| dial.waiting);
        let waiting = waiting.unwrap_or_default();
        match outcome {
            Ok(live) => {
                let live = live.clone();
                drop(book);
                for (channel, body) in waiting {
                    self.send_datagram(&live, channel, body);
                }
            }
            Err(why) => {
                slot.counters.dropped(waiting.len());
                let why = why.to_string();
                let now = Instant::now();
                slot.backoff
                    .failed(now, &self.timing, why, &mut *self.random());
            }
        }
    }

    /// Dials the addresses one after another.
    async fn dial(
        self: &Arc<Self>,
        to: NodeKey,
        addresses: &[SocketAddr],
    ) -> Result<Live, NotSent> {
        let mut silent = Vec::new();
        for address in addresses {
            match self.dial_address(to, *address).await {
                Ok(live) => return Ok(live),
                Err(Attempt::Refused(why)) => return Err(NotSent::Refused(why)),
                Err(Attempt::Duplicate) => silent.push(format!("{address}: turned away")),
                Err(Attempt::Silent(why)) => silent.push(format!("{address}: {why}")),
            }
        }
        Err(NotSent::Unreachable(silent.join("; ")))
    }

    async fn dial_address(
        self: &Arc<Self>,
        to: NodeKey,
        address: SocketAddr,
    ) -> Result<Live, Attempt> {
        for attempt in 0..DUPLICATES_MAX {
            let shaken = timeout(
                self.timing.connect,
                self.shake_hands(to, address, attempt > 0),
            );
            match shaken.await {
                Ok(Err(Attempt::Duplicate)) => {
                    sleep(DUPLICATE_WAIT).await;
                    let book = self.book();
                    if let Some(live) = book.get(&to).and_then(|slot| slot.open()) {
                        return Ok(live.clone());
                    }
                }
                Ok(outcome) => return outcome,
                Err(_) => return Err(Attempt::Silent("no answer to the handshake".to_owned())),
            }
        }
        Err(Attempt::Duplicate)
    }

    /// One handshake and one hello.
    async fn shake_hands(
        self: &Arc<Self>,
        to: NodeKey,
        address: SocketAddr,
        has_none: bool,
    ) -> Result<Live, Attempt> {
        let failed = |error: &dyn std::fmt::Display| Attempt::Silent(error.to_string());
        let tls = self.tls.client(to).map_err(|error| failed(&error))?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::clone(&self.transport));
        let connecting = self.endpoint.connect_with(config, address, "luc");
        let connecting = connecting.map_err(|error| failed(&error))?;
        let connection = connecting.await.map_err(|error| handshake_failed(&error))?;
        // The other side may have been quicker.
        if let Some(live) = self.book().get(&to).and_then(|slot| slot.open()) {
            connection.close(DUPLICATE, b"another connection counts");
            return Ok(live.clone());
        }
        let counters = Arc::clone(&self.book().entry(to).or_default().counters);
        let hello = Hello {
            incarnation: self.incarnation,
            has_none,
        };
        let said = async {
            let (send, mut recv) = connection.open_bi().await.map_err(|error| closed(&error))?;
            let mut send = Sending::new(send);
            let body = Bytes::copy_from_slice(&hello.encode());
            let written = send.write(Kind::Hello, Channel(0), body, &counters).await;
            written.map_err(|error| failed(&error))?;
            send.finish();
            let unreadable = |error: super::wire::ReadFrameError| match connection.close_reason() {
                Some(reason) => closed(&reason),
                None => failed(&error),
            };
            let header = read_header(&mut recv).await.map_err(unreadable)?;
            let body = read_body(&mut recv, header, &counters).await;
            let body = body.map_err(unreadable)?;
            let welcome = Hello::decode(header.kind, &body).map_err(|error| failed(&error))?;
            (header.kind == Kind::Welcome)
                .then_some(welcome)
                .ok_or_else(|| Attempt::Silent("it gave no welcome".to_owned()))
        };
        let welcome = match said.await {
            Ok(welcome) => welcome,
            Err(attempt) => {
                connection.close(MALFORMED, b"no welcome");
                return Err(attempt);
            }
        };
        let live = Live {
            connection,
            counters,
            incarnation: welcome.incarnation,
            dialled: true,
        };
        self.register(to, live.clone());
        Ok(live)
    }
}

/// What a failed handshake says of the other side.
fn handshake_failed(error: &ConnectionError) -> Attempt {
    match error {
        // Our own verifier: it is not the key that was called.
        ConnectionError::TransportError(failure) if is_alert(failure.code, BAD_CERTIFICATE) => {
            Attempt::Silent("a node of another key answers there".to_owned())
        }
        ConnectionError::ConnectionClosed(close)
            if is_alert(close.error_code, NO_APPLICATION_PROTOCOL) =>
        {
            Attempt::Refused("it speaks no luc/1".to_owned())
        }
        ConnectionError::TransportError(failure)
            if is_alert(failure.code, NO_APPLICATION_PROTOCOL) =>
        {
            Attempt::Refused("it speaks no luc/1".to_owned())
        }
        other => closed(other),
    }
}

/// TLS alerts (RFC 8446 section 6.2).
const BAD_CERTIFICATE: [u8; 3] = [42, 49, 50];
const NO_APPLICATION_PROTOCOL: [u8; 3] = [120, 120, 120];

/// Whether a transport error is one of these TLS alerts (RFC 9001 section 4.8).
fn is_alert(code: quinn::TransportErrorCode, alerts: [u8; 3]) -> bool {
    let code = u64::from(code);
    alerts.iter().any(|alert| code == 0x100 + u64::from(*alert))
}

/// What a closed connection says.
fn closed(error: &ConnectionError) -> Attempt {
    match error {
        ConnectionError::ApplicationClosed(close) if close.error_code == DUPLICATE => {
            Attempt::Duplicate
        }
        ConnectionError::ApplicationClosed(close) if close.error_code == NOT_ADMITTED => {
            Attempt::Refused("not admitted".to_owned())
        }
        ConnectionError::TimedOut => Attempt::Silent("no answer to the handshake".to_owned()),
        other => Attempt::Silent(other.to_string()),
    }
}
