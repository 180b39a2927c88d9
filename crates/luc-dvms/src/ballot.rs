//! The number that fences an old leader: a node obeys the highest it has accepted.

use std::fmt;

use luc_core::PeerId;
use serde::{Deserialize, Serialize};

/// A claim to lead a partition. Compared as a pair: counter first, then leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Higher than every counter the leader has seen.
    pub counter: u64,
    /// Who claims.
    pub leader: PeerId,
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.counter, self.leader)
    }
}
