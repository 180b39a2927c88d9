//! What a scheduler of our protocol must find again after a crash.

use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;

/// The one record: written before the answer that depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Durable {
    /// The highest ballot accepted. Nothing lower or equal is accepted ever again.
    pub promised: Ballot,
}
