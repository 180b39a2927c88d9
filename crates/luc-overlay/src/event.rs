//! What the overlay tells the local host and its services.

use luc_core::PeerId;

use crate::coordinate::Coordinate;
use crate::neighbour::{Neighbour, RequestId, Standing};

/// What the overlay tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A node was met for the first time, or again after it had failed or left.
    Joined(PeerId),
    /// A node said that it leaves for good.
    Left(PeerId),
    /// A node is held dead after suspicion.
    Failed(PeerId),
    /// A node's standing changed (it sleeps, it is awake again).
    Stood {
        /// The node.
        peer: PeerId,
        /// Its standing now.
        standing: Standing,
    },
    /// The next neighbours of an open request, in the overlay's order; never empty, and never one
    /// twice.
    Neighbours {
        /// The request.
        request: RequestId,
        /// The neighbours.
        found: Vec<Neighbour>,
    },
    /// Nobody is left outside the set of an open request. The request is closed.
    Exhausted {
        /// The request.
        request: RequestId,
    },
    /// The own coordinate moved far enough to be worth keeping and telling.
    Moved(Coordinate),
    /// An input was not acted upon; for logs and metrics.
    Ignored {
        /// Why, in words that a log line can carry.
        reason: &'static str,
    },
}
