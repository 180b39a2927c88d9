//! What a scheduler of our protocol asks to be woken for.
//!
//! Timers are never cancelled; each carries what makes a late one recognisable as stale.

use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;
use crate::command::MigrationId;

/// A timer of our protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// At a leader: whoever has not answered by now will not be waited for.
    Answers {
        /// The partition, by the ballot it began with.
        partition: Ballot,
        /// Which round of questions.
        round: u32,
    },
    /// At a leader: the phase has lasted as long as it may.
    Phase {
        /// The partition, by the ballot it began with.
        partition: Ballot,
        /// Which phase.
        phase: u32,
    },
    /// At a leader: time to renew the leases of all members.
    Renew {
        /// The partition, by the ballot it began with.
        partition: Ballot,
    },
    /// At a member: the lease may have run out.
    Lease {
        /// The reservation.
        ballot: Ballot,
    },
    /// At a source: the target should have answered by now.
    Prepare {
        /// The step.
        migration: MigrationId,
    },
    /// At a target: the machine should be on its way by now.
    Expected {
        /// The step.
        migration: MigrationId,
    },
    /// At an initiator: try again.
    Retry {
        /// Which wait.
        epoch: u32,
    },
    /// At a host that could sleep: look again.
    Idle {
        /// Which wait.
        epoch: u32,
    },
}
