//! What a reserved node is doing in its partition.
//!
//! ```text
//!  free ─ISP─▶ Asking ─valid─▶ Gathering ─solution─▶ Applying ─done─▶ free
//!    │           │ not valid      │  ▲ no solution        │ another leader
//!    │ overload  ▼                ▼  │ (token sent)       ▼
//!    └─────────▶ free            Idle ──merge agreed── Merging
//! ```

use luc_core::PeerId;
use luc_core::time::Instant;
use serde::Serialize;

use super::message::Order;
use super::partition::{Partition, Token};
use crate::host::Host;

/// A node's place in the one partition it is in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Seat {
    /// The partition as this node knows it; itself is a member even while it still asks.
    pub(super) partition: Partition,
    /// What it does.
    pub(super) role: Role,
    /// When there was last word of the partition.
    pub(super) heard: Instant,
    /// Until when it refuses to be merged with.
    pub(super) locked: Instant,
}

/// A machine that will come.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Coming {
    pub(super) order: Order,
    /// Its source has been asked and has not answered since.
    pub(super) asked: bool,
}

/// What it does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) enum Role {
    /// Waits: a member, or a leader whose token is on its way.
    Idle,
    /// Has reserved itself and asks the initiator whether the event is still valid.
    Asking {
        /// Which question.
        epoch: u64,
    },
    /// The leader waits for what its members carry.
    Gathering {
        /// Which question.
        epoch: u64,
        /// What has come.
        reports: Vec<Host>,
        /// Who has not answered.
        missing: Vec<PeerId>,
    },
    /// The leader applies a plan, one step after the other.
    Applying {
        /// Which work.
        epoch: u64,
        /// The steps still to do, the last one first; the last one is under way.
        orders: Vec<Order>,
        /// When there was last word of the step under way.
        heard: Instant,
    },
    /// Asks the leader of a partition whose token it holds whether to merge.
    Merging {
        /// Which question.
        epoch: u64,
        /// The token.
        token: Token,
    },
}
