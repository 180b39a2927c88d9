//! Putting hosts to sleep, and waking them.
//!
//! ```text
//! Awake ──idle for a while──▶ (partition: empty me) ──emptied──▶ Leaving ──▶ asleep
//!   ▲                                                                          │
//!   └──────────────────────────────── woken ───────────────────────────────────┘
//! ```

use luc_core::PeerId;
use luc_core::time::Instant;

use super::protocol::Star;
use super::turn::Turn;
use crate::event::PartitionEnd;

/// Whether the host stays awake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Slumber {
    /// It is empty and about to be powered down, or is down already.
    leaving: bool,
    /// Awake since then; it stays so for a while.
    awake_since: Instant,
    /// Makes earlier timers stale.
    epoch: u32,
    /// Whether a timer is on its way.
    watching: bool,
}

impl Slumber {
    /// Whether it is about to sleep or sleeps.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }
}

impl Star {
    /// The plan to empty this host is over.
    pub(super) fn emptied(&mut self, turn: &mut Turn<'_>, succeeded: bool) {
        let end = if succeeded {
            PartitionEnd::Solved
        } else {
            PartitionEnd::Unsolved
        };
        self.end(turn, end);
    }

    /// No neighbours could take this host's machines in.
    pub(super) fn stay_awake(&mut self, _turn: &mut Turn<'_>) {}

    /// A sleeping candidate may help where those awake could not.
    pub(super) fn wake_somebody(&mut self, _turn: &mut Turn<'_>) {}

    pub(super) fn note_awake(&mut self, _peer: PeerId) {}

    /// A member whose own host needs help parts from a partition that only wants to save energy.
    pub(super) fn note_need(&mut self, _turn: &mut Turn<'_>) {}

    pub(super) fn watch_idleness(&mut self, _turn: &mut Turn<'_>) {}

    pub(super) fn on_idle_timer(&mut self, turn: &mut Turn<'_>, epoch: u32) {
        if epoch != self.slumber.epoch {
            turn.ignore("idle timer", "of an earlier wait");
        }
    }

    pub(super) fn on_woken(&mut self, turn: &mut Turn<'_>) {
        self.slumber.leaving = false;
        self.slumber.awake_since = turn.now;
    }
}
