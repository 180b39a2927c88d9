//! Opening connections, from the side that is dialled.

use std::sync::Arc;

use bytes::Bytes;
use quinn::{Connection, Incoming};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

use super::Core;
use super::book::Live;
use super::dial::{CLOSED, DUPLICATE, MALFORMED, NOT_ADMITTED};
use super::tls::key_of;
use super::wire::{Sending, read_body, read_header};
use crate::fabric::frame::{FrameError, Hello, Kind};
use crate::fabric::{Channel, Standing};
use crate::identity::NodeKey;

/// How many peers are remembered before strangers that are gone are forgotten.
const STRANGERS_MAX: usize = 1024;

/// How many guests may be connected at a time.
const GUESTS_MAX: usize = 64;

/// How many handshakes may be under way at a time; more are turned away with one packet each.
pub(super) const HANDSHAKES_MAX: usize = 1024;

/// From how many handshakes on a sender must first show that it receives at its address (RFC 9000,
/// section 8.1.2): a first packet under a made-up address then costs one packet and no memory.
const RETRY_FROM: usize = 32;

impl Core {
    /// Takes connections until the endpoint is closed.
    pub(super) async fn accept_all(self: Arc<Self>) {
        while let Some(incoming) = self.endpoint.accept().await {
            self.answer(incoming);
        }
    }

    /// Begins a handshake, or has the sender prove its address first.
    fn answer(self: &Arc<Self>, incoming: Incoming) {
        let under_way = HANDSHAKES_MAX - self.handshakes.available_permits();
        let proven = incoming.remote_address_validated();
        if under_way >= RETRY_FROM && !proven && incoming.may_retry() {
            let address = incoming.remote_address();
            if incoming.retry().is_err() {
                tracing::debug!(%address, "an address could not be asked to prove itself");
            }
            return;
        }
        let Ok(place) = Arc::clone(&self.handshakes).try_acquire_owned() else {
            return incoming.refuse();
        };
        let core = Arc::clone(self);
        self.spawn(async move {
            core.accept(incoming).await;
            drop(place);
        });
    }

    /// One connection, from its first packet to its welcome.
    async fn accept(self: &Arc<Self>, incoming: Incoming) {
        let address = incoming.remote_address();
        let connecting = match incoming.accept() {
            Ok(connecting) => connecting,
            Err(error) => return tracing::debug!(%address, %error, "handshake failed"),
        };
        let connection = match timeout(self.timing.connect, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return tracing::debug!(%address, %error, "handshake failed"),
            Err(_) => return tracing::debug!(%address, "handshake took too long"),
        };
        let Some(key) = key_of_peer(&connection) else {
            return connection.close(NOT_ADMITTED, b"no key");
        };
        self.forget_strangers();
        if self.inbound.standing(key) == Standing::Refused {
            self.inbound
                .log_refusal(key, "connection not admitted", &address);
            self.count_refusal(key);
            return connection.close(NOT_ADMITTED, b"not admitted");
        }
        if self.is_full_of_guests(key) {
            self.inbound.log_refusal(key, "too many guests", &address);
            return connection.close(NOT_ADMITTED, b"too many guests");
        }
        match timeout(self.timing.connect, self.welcome(key, &connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.inbound.log_refusal(key, "no hello", &error);
                self.count_refusal(key);
                connection.close(MALFORMED, b"no hello");
            }
            Err(_) => connection.close(MALFORMED, b"no hello in time"),
        }
    }

    /// Whether `key` would be one guest too many.
    fn is_full_of_guests(&self, key: NodeKey) -> bool {
        let is_guest = |key| self.inbound.standing(key) == Standing::Guest;
        if !is_guest(key) {
            return false;
        }
        let book = self.book();
        let open = book.iter().filter(|(_, slot)| slot.open().is_some());
        open.filter(|(key, _)| is_guest(**key)).count() >= GUESTS_MAX
    }

    /// Forgets strangers that are gone: keys cost nothing, so whoever makes up new ones must not
    /// fill the memory.
    fn forget_strangers(&self) {
        let mut book = self.book();
        if book.len() < STRANGERS_MAX {
            return;
        }
        let stranger = |key| !matches!(self.inbound.standing(key), Standing::Member(_));
        book.retain(|key, slot| !slot.is_idle() || !stranger(*key));
    }

    /// Hears the hello and answers it, or turns the connection away as a duplicate.
    async fn welcome(
        self: &Arc<Self>,
        key: NodeKey,
        connection: &Connection,
    ) -> Result<(), WelcomeError> {
        let (send, mut recv) = connection.accept_bi().await?;
        let mut send = Sending::new(send);
        let header = read_header(&mut recv).await?;
        if header.kind != Kind::Hello {
            let found = header.kind;
            let expected = "a hello";
            return Err(FrameError::Unexpected { found, expected }.into());
        }
        let counters = Arc::clone(&self.book().entry(key).or_default().counters);
        let body = read_body(&mut recv, header, &counters).await?;
        let hello = Hello::decode(header.kind, &body)?;
        if self.is_duplicate(key, hello) {
            connection.close(DUPLICATE, b"another connection counts");
            return Ok(());
        }
        let live = Live {
            connection: connection.clone(),
            counters: Arc::clone(&counters),
            incarnation: hello.incarnation,
            dialled: false,
        };
        self.register(key, live);
        let welcome = Hello {
            incarnation: self.incarnation,
            has_none: false,
        };
        let body = Bytes::copy_from_slice(&welcome.encode());
        send.write(Kind::Welcome, Channel(0), body, &counters)
            .await?;
        send.finish();
        Ok(())
    }

    /// Whether the peer's connection loses against one that this node dials or dialled.
    fn is_duplicate(&self, key: NodeKey, hello: Hello) -> bool {
        let book = self.book();
        let Some(slot) = book.get(&key) else {
            return false;
        };
        let ours = match slot.open() {
            Some(live) => live.dialled && live.incarnation == hello.incarnation,
            None => slot.dial.is_some(),
        };
        ours && self.me < key && !hello.has_none
    }

    /// Makes a connection the one that counts, and serves it.
    ///
    /// One that it replaces is closed at once if the peer has restarted; else it is only not used
    /// any more, so that what is under way on it ends in peace.
    pub(super) fn register(self: &Arc<Self>, key: NodeKey, live: Live) {
        let replaced = {
            let mut book = self.book();
            let slot = book.entry(key).or_default();
            let was_open = slot.open().is_some();
            (slot.take(live.clone()), was_open)
        };
        if let (Some(old), was_open) = replaced {
            if old.incarnation != live.incarnation {
                old.connection.close(CLOSED, b"the peer has restarted");
            } else if was_open {
                let grace = self.timing.idle;
                self.spawn(async move {
                    tokio::time::sleep(grace).await;
                    old.connection
                        .close(DUPLICATE, b"another connection counts");
                });
            }
        }
        self.inbound.handler().connected(self.inbound.peer(key));
        let core = Arc::clone(self);
        self.spawn(async move { core.serve(key, live).await });
        // The admission may have changed while the hands were shaken.
        if self.inbound.standing(key) == Standing::Refused {
            self.close_key(key, NOT_ADMITTED, b"not admitted any more");
        }
    }
}

/// Why a connection got no welcome.
#[derive(Debug, thiserror::Error)]
enum WelcomeError {
    #[error(transparent)]
    Connection(#[from] quinn::ConnectionError),
    #[error(transparent)]
    Read(#[from] super::wire::ReadFrameError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Write(#[from] quinn::WriteError),
}

/// The key that the other side has proven.
fn key_of_peer(connection: &Connection) -> Option<NodeKey> {
    let identity = connection.peer_identity()?;
    let shown = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    shown.first().and_then(key_of)
}
