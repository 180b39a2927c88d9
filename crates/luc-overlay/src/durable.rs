//! What an overlay needs back after a crash.
//!
//! Only the incarnation has to be durable before a message that uses it leaves: a node that came
//! back with an old one would be told that it is dead. The coordinate is worth keeping as well
//! ([`crate::Event::Moved`]), at the host's leisure.

use serde::{Deserialize, Serialize};

use crate::coordinate::Coordinate;

/// What has to survive a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Durable {
    /// The highest incarnation this node has used in any pool.
    Incarnation(u32),
}

/// What was kept, handed to a new overlay of the same node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The highest incarnation used; 0 for a new node.
    pub incarnation: u32,
    /// Where the node was.
    pub coordinate: Option<Coordinate>,
}

impl Kept {
    /// Takes in one record.
    pub const fn replay(&mut self, record: Durable) {
        match record {
            Durable::Incarnation(incarnation) => {
                if incarnation > self.incarnation {
                    self.incarnation = incarnation;
                }
            }
        }
    }
}
