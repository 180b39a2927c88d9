//! Runs a [`luc_node::Brain`] for real: its clock, its timers, its messages, its memory.
//!
//! The brain is the very code that the simulator runs; here its effects become facts. Messages go
//! as datagrams of [`Channel::OVERLAY`], timers are the executor's, what must be durable is kept
//! before anything that follows it is sent. One task owns the brain and takes one input at a time.
//!
//! ```text
//!   fabric handler ── deliver, round_trip ──▶ ┌──────┐ ── datagrams ──▶ fabric
//!   the host       ── sample ───────────────▶ │ task │ ── keep ──────▶ Keeper
//!   people         ── status, explain ──────▶ └──────┘
//! ```
//!
//! **Dry run**: the scheduler sees the real hosts, makes plans and explains them, and its orders
//! are written down instead of carried out. To the scheduler each such migration has failed, so
//! nothing is ever believed to have moved.
//!
//! Not here: who is a member and where keys are reached (`luc`), and what a host's machines ask
//! for (the agent).

mod driver;
mod keeper;
mod sights;
mod status;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use luc_core::PeerId;
use luc_dvms::Host;
use luc_node::{Config, Kept};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use keeper::{FileKeeper, Keeper, KeeperError};
pub use sights::{Gone, Sight};
pub use status::{Member, Move, PassedBy, Size, Status, Story};

use crate::fabric::{Channel, Fabric};
use crate::identity::NodeKey;
use driver::Driver;

/// How many inputs may wait; datagrams beyond that are dropped, as a busy network drops them.
const WAITING_MAX: usize = 4096;

/// Which key a peer of the protocols has.
pub trait Keys: Send + Sync + 'static {
    /// The key of `peer`, if it is a member.
    fn key_of(&self, peer: PeerId) -> Option<NodeKey>;
}

/// What a brain needs to run.
pub struct Setup {
    /// The brain's own parameters.
    pub config: Config,
    /// What an earlier life of this node left.
    pub kept: Kept,
    /// The way to others.
    pub fabric: Arc<dyn Fabric>,
    /// Their keys.
    pub keys: Arc<dyn Keys>,
    /// Where durable facts go.
    pub keeper: Arc<dyn Keeper>,
    /// Whom to announce this node to.
    pub contacts: Vec<PeerId>,
}

/// What the task is told.
enum Input {
    /// A message of a peer.
    Message(PeerId, Bytes),
    /// A measured round trip.
    RoundTrip(PeerId, Duration),
    /// The host as it is.
    Sample(Box<Host>),
    /// More nodes to announce this one to.
    Contacts(Vec<PeerId>),
    /// Somebody wants to know.
    Status(oneshot::Sender<Status>),
    /// Somebody wants to hear who comes and goes.
    Follow(mpsc::UnboundedSender<Sight>),
    /// Leave for good and end.
    Leave,
}

/// A running brain, to talk to. Cheap to clone; the task ends when the last clone is gone or after
/// [`BrainHandle::leave`].
#[derive(Clone)]
pub struct BrainHandle {
    inputs: mpsc::Sender<Input>,
}

impl BrainHandle {
    /// Hands over a datagram of [`Channel::OVERLAY`]. Never waits.
    pub fn deliver(&self, from: PeerId, body: Bytes) {
        let _ = self.inputs.try_send(Input::Message(from, body));
    }

    /// [`Self::deliver`], for a peer as the fabric names it; strangers are not heard.
    pub fn deliver_from(&self, peer: crate::fabric::Peer, body: Bytes) {
        if let Some(from) = peer.id() {
            self.deliver(from, body);
        }
    }

    /// Tells of a round trip that the transport measured.
    pub fn round_trip(&self, peer: PeerId, rtt: Duration) {
        let _ = self.inputs.try_send(Input::RoundTrip(peer, rtt));
    }

    /// Tells how the host is: each second, and whenever a machine came or went.
    pub fn sample(&self, host: Host) {
        let _ = self.inputs.try_send(Input::Sample(Box::new(host)));
    }

    /// Announces this node to more nodes, such as those of a site that has just joined.
    pub async fn meet(&self, contacts: Vec<PeerId>) {
        let _ = self.inputs.send(Input::Contacts(contacts)).await;
    }

    /// What it knows and has thought lately; `None` when it has ended.
    pub async fn status(&self) -> Option<Status> {
        let (answer, shown) = oneshot::channel();
        self.inputs.send(Input::Status(answer)).await.ok()?;
        shown.await.ok()
    }

    /// Who comes and goes from now on. Read it: nothing of it is dropped.
    pub async fn follow(&self) -> mpsc::UnboundedReceiver<Sight> {
        let (follower, sights) = mpsc::unbounded_channel();
        let _ = self.inputs.send(Input::Follow(follower)).await;
        sights
    }

    /// Tells the others that this node leaves for good, and ends.
    pub async fn leave(&self) {
        let _ = self.inputs.send(Input::Leave).await;
    }
}

/// Starts a brain.
pub fn start(setup: Setup) -> (BrainHandle, JoinHandle<()>) {
    let (inputs, waiting) = mpsc::channel(WAITING_MAX);
    let driver = Driver::new(setup);
    let task = tokio::spawn(driver.run(waiting));
    (BrainHandle { inputs }, task)
}

/// The channel that brains speak on.
pub const CHANNEL: Channel = Channel::OVERLAY;

#[cfg(test)]
mod tests;
