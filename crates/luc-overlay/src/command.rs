//! What the local host and its services ask of the overlay.

use std::collections::BTreeSet;

use luc_core::PeerId;
use luc_core::time::Duration;

use crate::neighbour::{RequestId, Room, Standing};

/// What the local host and its services ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Start taking part. Without contacts the node founds its own pools and waits to be found.
    Start {
        /// Nodes to announce ourselves to: of the own site, and delegates of other sites.
        contacts: Vec<PeerId>,
    },
    /// Leave for good: tell the others, then fall silent.
    Leave,
    /// Find the next neighbours outside a set, nearest first as this overlay understands it.
    /// Answered by one `Neighbours` or by `Exhausted`; stays open until [`Command::End`].
    Search {
        /// Chosen by the asker, unique among its open requests.
        request: RequestId,
        /// Nodes that must not be offered; the asker itself never is.
        outside: BTreeSet<PeerId>,
        /// How many neighbours are wanted in the answer (fewer only when exhausted or slow, and
        /// where the own site ends: what is left of it is an answer of its own).
        count: u16,
    },
    /// The next `count` neighbours of an open request; none is ever offered twice.
    More {
        /// The open request.
        request: RequestId,
        /// How many.
        count: u16,
    },
    /// Close a request; whatever is on its way for it is dropped.
    End {
        /// The open request.
        request: RequestId,
    },
    /// A round trip that the transport measured on traffic that flows anyway (QUIC's path RTT).
    RoundTrip {
        /// The other end.
        peer: PeerId,
        /// The measured time.
        rtt: Duration,
    },
    /// What others should know of this node from now on: awake or asleep, and how much room.
    /// Rides on membership messages as a hint; never relied upon.
    Advertise {
        /// Whether it serves, is about to sleep, or sleeps.
        standing: Standing,
        /// How much room it has.
        room: Room,
    },
}
