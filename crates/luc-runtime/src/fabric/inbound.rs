//! What every fabric does with what comes in: asks the admission, calls the handler, turns a panic
//! into an outcome, and logs each kind of refusal of a peer once.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::frame::{FrameError, Header, Outcome};
use super::{BODY_BYTES_MAX, GUEST_BODY_BYTES_MAX};
use super::{Channel, Ends, Peer, RecvHalf, Refusal, SendHalf, Standing};
use crate::identity::NodeKey;

/// How many refusals are remembered as logged; more are not logged at all.
const LOGGED_MAX: usize = 1024;

/// The receiving side of one node.
pub(super) struct Inbound {
    ends: Ends,
    logged: Mutex<BTreeSet<(NodeKey, &'static str)>>,
}

impl Inbound {
    pub(super) fn new(ends: Ends) -> Self {
        Self {
            ends,
            logged: Mutex::default(),
        }
    }

    /// What `key` may do now.
    pub(super) fn standing(&self, key: NodeKey) -> Standing {
        self.ends.admission.standing(&key)
    }

    /// `key` as a peer, if it may speak `channel`; else the refusal has been logged.
    pub(super) fn admit(&self, key: NodeKey, channel: Channel) -> Option<Peer> {
        let peer = self.peer(key);
        let admitted = peer.standing.may_speak(channel);
        if !admitted {
            self.log_refusal(key, "not admitted", &channel);
        }
        admitted.then_some(peer)
    }

    /// Whether what `header` announces is too much from `key`, so that none of it is read.
    pub(super) fn check_size(&self, key: NodeKey, header: Header) -> Result<(), FrameError> {
        let guest = !matches!(self.standing(key), Standing::Member(_));
        if guest && header.length > GUEST_BODY_BYTES_MAX {
            return Err(FrameError::TooLong {
                kind: header.kind,
                length: header.length,
                bytes_max: GUEST_BODY_BYTES_MAX,
            });
        }
        Ok(())
    }

    /// `key` with what it may do now.
    pub(super) fn peer(&self, key: NodeKey) -> Peer {
        Peer {
            key,
            standing: self.standing(key),
        }
    }

    /// Runs a request to its outcome.
    pub(super) async fn serve(&self, key: NodeKey, channel: Channel, body: Bytes) -> Outcome {
        let Some(peer) = self.admit(key, channel) else {
            return Outcome::Refused(Refusal::NotAdmitted);
        };
        let answer = self.ends.handler.request(peer, channel, body);
        match AssertUnwindSafe(answer).catch_unwind().await {
            Ok(Ok(body)) if body.len() > BODY_BYTES_MAX => {
                tracing::error!(peer = %key, %channel, bytes = body.len(), "answer too large");
                Outcome::Failed("its answer was too large".to_owned())
            }
            Ok(Ok(body)) => Outcome::Answer(body),
            Ok(Err(refusal)) => Outcome::Refused(refusal),
            Err(panic) => {
                let panic = text_of(panic.as_ref());
                tracing::error!(peer = %key, %channel, panic, "handler panicked");
                Outcome::Failed("its handler panicked".to_owned())
            }
        }
    }

    /// Serves a stream to its end. The caller has asked [`Self::admit`].
    pub(super) async fn serve_stream(
        &self,
        peer: Peer,
        channel: Channel,
        halves: (SendHalf, RecvHalf),
    ) {
        let served = self.ends.handler.stream(peer, channel, halves.0, halves.1);
        if let Err(panic) = AssertUnwindSafe(served).catch_unwind().await {
            let panic = text_of(panic.as_ref());
            tracing::error!(peer = %peer.key, %channel, panic, "handler of a stream panicked");
        }
    }

    /// Hands a datagram over, if its sender may speak.
    pub(super) fn datagram(&self, key: NodeKey, channel: Channel, body: Bytes) -> bool {
        let Some(peer) = self.admit(key, channel) else {
            return false;
        };
        self.ends.handler.datagram(peer, channel, body);
        true
    }

    /// The handler, for what concerns connections.
    pub(super) fn handler(&self) -> &dyn super::Handler {
        self.ends.handler.as_ref()
    }

    /// Logs that something of `key` was refused: once for each kind of reason.
    pub(super) fn log_refusal(
        &self,
        key: NodeKey,
        kind: &'static str,
        detail: &(dyn std::fmt::Display + Send + Sync),
    ) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < LOGGED_MAX && logged.insert((key, kind)) {
            tracing::warn!(peer = %key, kind, %detail, "refused a peer (logged once)");
        }
    }
}

/// Runs a task, unless the node is stopped: then not a step more.
pub(super) async fn until_stopped<T>(
    stopped: &CancellationToken,
    task: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        () = stopped.cancelled() => None,
        done = task => Some(done),
    }
}

/// What a panic said.
fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text")
}
