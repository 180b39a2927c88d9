//! A node's place in the network: eight dimensions and a height, in seconds of round trip.
//!
//! The distance of two coordinates predicts the round-trip time between their nodes. Dabek et al.,
//! "Vivaldi: A Decentralized Network Coordinate System", SIGCOMM 2004, section 5.4 (height);
//! eight dimensions and the adjustment term as in Serf.
//!
//! This is the form that is sent, kept and compared: 44 bytes in single precision, which resolves
//! 10 ns at 100 ms. [`crate::vivaldi`] computes in double precision and says which values it
//! believes.

use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

/// How many dimensions the Euclidean part has.
pub const DIMENSIONS: usize = 8;

/// A place. All parts in seconds, except the error, which is relative.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coordinate {
    /// The Euclidean part.
    pub vector: [f32; DIMENSIONS],
    /// The access link that every path of this node crosses; never below the configured minimum.
    pub height: f32,
    /// What recent samples say is missing from vector and height; may be negative.
    pub adjustment: f32,
    /// How wrong the node believes it is: 0 is sure, the configured maximum is ignorant.
    pub error: f32,
}

impl Coordinate {
    /// The place of a node that knows nothing yet: the origin, with this height and error.
    pub const fn origin(height: f32, error: f32) -> Self {
        Self {
            vector: [0.0; DIMENSIONS],
            height,
            adjustment: 0.0,
            error,
        }
    }

    /// The round trip that these two coordinates predict; never negative.
    pub fn distance(&self, other: &Self) -> Duration {
        Duration::try_from_secs_f64(self.seconds(other)).unwrap_or(Duration::MAX)
    }

    /// [`Self::distance`] in seconds, for sorting many; not a number if a part is none.
    pub fn seconds(&self, other: &Self) -> f64 {
        let squares: f64 = self
            .vector
            .iter()
            .zip(&other.vector)
            .map(|(left, right)| f64::from(left - right))
            .map(|difference| difference * difference)
            .sum();
        let raw = squares.sqrt() + f64::from(self.height) + f64::from(other.height);
        let adjusted = raw + f64::from(self.adjustment) + f64::from(other.adjustment);
        // The adjustment may be off by more than the distance; then it is not applied.
        if adjusted > 0.0 { adjusted } else { raw }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_the_straight_line_and_both_heights() {
        let mut left = Coordinate::origin(0.001, 1.0);
        let mut right = Coordinate::origin(0.002, 1.0);
        left.vector[0] = 0.003;
        right.vector[7] = 0.004;
        assert_eq!(left.distance(&right).as_micros(), 8_000);
        assert_eq!(left.distance(&right), right.distance(&left));
        left.adjustment = -0.001;
        assert_eq!(left.distance(&right).as_micros(), 7_000);
    }

    #[test]
    fn an_adjustment_beyond_the_distance_is_not_applied() {
        let left = Coordinate {
            adjustment: -1.0,
            ..Coordinate::origin(0.001, 1.0)
        };
        let right = Coordinate::origin(0.001, 1.0);
        assert_eq!(left.distance(&right).as_micros(), 2_000);
    }

    #[test]
    fn a_coordinate_is_small_enough_to_keep_thousands() {
        assert_eq!(size_of::<Coordinate>(), 44);
    }
}
