//! What a scheduler asks to be woken for: the timer of whichever protocol runs.

use serde::{Deserialize, Serialize};

use crate::{relay, star};

/// A timer of a scheduler. Late ones are stale by what they carry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Of our protocol.
    Star(star::Timer),
    /// Of the published protocol.
    Relay(relay::Timer),
}

impl From<star::Timer> for Timer {
    fn from(of: star::Timer) -> Self {
        Self::Star(of)
    }
}

impl From<relay::Timer> for Timer {
    fn from(of: relay::Timer) -> Self {
        Self::Relay(of)
    }
}
