//! The middle of the places of some nodes of one site.
//!
//! Nodes of a site are a LAN apart, so their coordinates are many measurements of one place. The
//! middle averages their noise away: roots and sites of the spiral are middles. Sure coordinates
//! count more than doubtful ones.

use crate::coordinate::{Coordinate, DIMENSIONS};

/// A growing mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Centre {
    sum: Coordinate,
    weight: f32,
}

impl Centre {
    pub(super) const fn new() -> Self {
        Self {
            sum: Coordinate {
                vector: [0.0; DIMENSIONS],
                height: 0.0,
                adjustment: 0.0,
                error: 0.0,
            },
            weight: 0.0,
        }
    }

    pub(super) fn add(&mut self, place: &Coordinate) {
        // Errors come from peers: no claim of certainty may drown the others.
        let error = if place.error >= 0.0 { place.error } else { 2.0 };
        let weight = 1.0 / (0.05 + error);
        for (sum, part) in self.sum.vector.iter_mut().zip(&place.vector) {
            *sum += weight * part;
        }
        self.sum.height += weight * place.height;
        self.sum.adjustment += weight * place.adjustment;
        self.sum.error += weight * error.min(2.0);
        self.weight += weight;
    }

    /// The mean; none of nothing.
    pub(super) fn place(&self) -> Option<Coordinate> {
        if self.weight <= 0.0 {
            return None;
        }
        let share = 1.0 / self.weight;
        Some(Coordinate {
            vector: self.sum.vector.map(|part| part * share),
            height: self.sum.height * share,
            adjustment: self.sum.adjustment * share,
            error: self.sum.error * share,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, error: f32) -> Coordinate {
        let mut place = Coordinate::origin(0.001, error);
        place.vector[2] = x;
        place
    }

    #[test]
    fn the_middle_lies_nearer_to_the_surer_place() {
        let mut centre = Centre::new();
        assert_eq!(centre.place(), None);
        centre.add(&at(0.0, 0.05));
        centre.add(&at(0.004, 0.25));
        let place = centre.place().expect("two places have a middle");
        assert!((place.vector[2] - 0.001).abs() < 1e-6, "{place:?}");
        assert!((place.height - 0.001).abs() < 1e-6);
    }

    #[test]
    fn a_claim_of_impossible_certainty_is_doubted() {
        let mut centre = Centre::new();
        centre.add(&at(0.0, 0.1));
        centre.add(&at(0.010, f32::NAN));
        centre.add(&at(0.010, -5.0));
        let place = centre.place().expect("three places have a middle");
        assert!(place.vector[2] < 0.002, "{place:?}");
    }
}
