//! What the published protocol needs after a crash: nothing but names that were never used.

use serde::{Deserialize, Serialize};

/// The one record: written before the first use of a new number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Durable {
    /// The last number given to a partition or to a plan of this node.
    pub counter: u64,
}
