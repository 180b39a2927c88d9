//! What a scheduler is told by its host and by the overlay.

use luc_core::PeerId;
use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;
use crate::host::Host;
use crate::plan::StepId;

/// Names one search for neighbours of this scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SearchId(pub u64);

/// A node that the overlay offers for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Candidate {
    /// Who.
    pub peer: PeerId,
    /// The expected round trip to it; zero where the overlay does not know distances.
    pub distance: Duration,
    /// It sleeps and would have to be woken.
    pub asleep: bool,
    /// Room it last advertised, in per cent of its processor capacity; a hint.
    pub room: i8,
}

/// Names one live migration: no two commands to migrate ever share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MigrationId {
    /// Under which reservation it was ordered.
    pub ballot: Ballot,
    /// Which step of the plan.
    pub step: StepId,
}

/// How a live migration ended, as its source's host saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MigrationEnd {
    /// The machine runs at the target and only there.
    Moved,
    /// The machine runs at the source and only there.
    Failed,
}

/// What a scheduler is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// The host's state, sampled each second and whenever a machine came, went or moved.
    Sample(Host),
    /// The next neighbours of a search, in the overlay's order.
    Neighbours {
        /// The search.
        search: SearchId,
        /// The neighbours.
        found: Vec<Candidate>,
    },
    /// The overlay has nobody left; the search is closed.
    Exhausted {
        /// The search.
        search: SearchId,
    },
    /// A node is held dead by the membership protocol.
    PeerFailed(PeerId),
    /// A node was met, or met again.
    PeerJoined(PeerId),
    /// A migration that this node was the source of has ended.
    MigrationEnded {
        /// Which.
        migration: MigrationId,
        /// How.
        end: MigrationEnd,
    },
    /// The host has been woken, by whomever, and serves again.
    Woken,
}
