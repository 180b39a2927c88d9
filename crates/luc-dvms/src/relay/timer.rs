//! What the published protocol asks to be woken for.

use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;
use crate::command::MigrationId;

/// A timer. It is late when the partition or the epoch it names is not the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Is the host still overloaded?
    Monitor,
    /// Has there been word of this partition?
    Stale {
        /// The partition.
        partition: Ballot,
    },
    /// The initiator, a member or another leader should have answered by now.
    Answer {
        /// Which question.
        epoch: u64,
    },
    /// The leader at work tells its members so.
    Snooze {
        /// Which work.
        epoch: u64,
    },
    /// Is a machine that was announced still to come?
    Expecting {
        /// Its migration.
        migration: MigrationId,
    },
}
