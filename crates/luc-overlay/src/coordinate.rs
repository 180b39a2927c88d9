//! A node's place in the network: eight dimensions and a height, in seconds of round trip.
//!
//! The distance of two coordinates predicts the round-trip time between their nodes. Dabek et al.,
//! "Vivaldi: A Decentralized Network Coordinate System", SIGCOMM 2004, section 5.4 (height);
//! eight dimensions and the adjustment term as in Serf.

use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

/// How many dimensions the Euclidean part has.
pub const DIMENSIONS: usize = 8;

/// A place. All parts in seconds, except the error, which is relative.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coordinate {
    /// The Euclidean part.
    pub vector: [f64; DIMENSIONS],
    /// The access link that every path of this node crosses; never below the configured minimum.
    pub height: f64,
    /// What recent samples say is missing from vector and height; may be negative.
    pub adjustment: f64,
    /// How wrong the node believes it is: 0 is sure, the configured maximum is ignorant.
    pub error: f64,
}

impl Coordinate {
    /// The round trip that these two coordinates predict; never negative.
    pub fn distance(&self, other: &Self) -> Duration {
        let squares: f64 = self
            .vector
            .iter()
            .zip(&other.vector)
            .map(|(left, right)| (left - right) * (left - right))
            .sum();
        let raw = squares.sqrt() + self.height + other.height;
        let adjusted = raw + self.adjustment + other.adjustment;
        // The adjustment may be off by more than the distance; then it is not applied.
        let seconds = if adjusted > 0.0 { adjusted } else { raw };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}
