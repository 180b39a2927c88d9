//! Brings what comes in over the fabric to whoever serves its channel.
//!
//! A fabric needs its handler before there are services to handle anything, so those are plugged
//! in later; until then everything is refused as busy, which callers try again.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use luc_runtime::fabric::{Channel, Handler, Peer, RecvHalf, Refusal, SendHalf};

/// The handlers by channel.
#[derive(Default)]
pub struct Switchboard {
    plugged: RwLock<BTreeMap<Channel, Arc<dyn Handler>>>,
}

impl Switchboard {
    /// Gives everything on `channel` to `handler` from now on.
    pub fn plug(&self, channel: Channel, handler: Arc<dyn Handler>) {
        let mut plugged = self.plugged.write().unwrap_or_else(PoisonError::into_inner);
        plugged.insert(channel, handler);
    }

    /// Serves nothing any more, and lets go of what was plugged in.
    pub fn clear(&self) {
        let mut plugged = self.plugged.write().unwrap_or_else(PoisonError::into_inner);
        plugged.clear();
    }

    fn of(&self, channel: Channel) -> Option<Arc<dyn Handler>> {
        let plugged = self.plugged.read().unwrap_or_else(PoisonError::into_inner);
        plugged.get(&channel).cloned()
    }

    fn all(&self) -> Vec<Arc<dyn Handler>> {
        let plugged = self.plugged.read().unwrap_or_else(PoisonError::into_inner);
        plugged.values().cloned().collect()
    }
}

#[async_trait]
impl Handler for Switchboard {
    async fn request(&self, from: Peer, channel: Channel, body: Bytes) -> Result<Bytes, Refusal> {
        match self.of(channel) {
            Some(handler) => handler.request(from, channel, body).await,
            None => Err(Refusal::Busy),
        }
    }

    fn datagram(&self, from: Peer, channel: Channel, body: Bytes) {
        if let Some(handler) = self.of(channel) {
            handler.datagram(from, channel, body);
        }
    }

    async fn stream(&self, from: Peer, channel: Channel, send: SendHalf, recv: RecvHalf) {
        if let Some(handler) = self.of(channel) {
            handler.stream(from, channel, send, recv).await;
        }
    }

    fn rtt(&self, peer: Peer, sample: Duration) {
        for handler in self.all() {
            handler.rtt(peer, sample);
        }
    }

    fn connected(&self, peer: Peer) {
        for handler in self.all() {
            handler.connected(peer);
        }
    }

    fn lost(&self, peer: Peer, why: &str) {
        for handler in self.all() {
            handler.lost(peer, why);
        }
    }
}
