//! Which scheduler a node runs, and with which parameters.

use luc_core::PeerId;

use crate::{relay, star};

/// The parameters of one node's scheduler.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The node it serves.
    pub me: PeerId,
    /// What its randomness (jitter only) is drawn from.
    pub seed: u64,
    /// The protocol.
    pub protocol: Choice,
}

/// The protocols to choose from. All nodes of a cloud run the same one.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "read once when a scheduler is made; a box would only be in the way"
)]
pub enum Choice {
    /// Ours, the default.
    Star(star::Config),
    /// The published one.
    Relay(relay::Config),
}

impl Config {
    /// The default scheduler of the node `me`.
    pub fn new(me: PeerId, seed: u64) -> Self {
        Self {
            me,
            seed,
            protocol: Choice::Star(star::Config::default()),
        }
    }
}
