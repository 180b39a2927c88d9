//! What a scheduler asks to be woken for: the timer of whichever protocol runs.

use serde::{Deserialize, Serialize};

use crate::star;

/// A timer of a scheduler. Late ones are stale by what they carry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Of our protocol.
    Star(star::Timer),
}
