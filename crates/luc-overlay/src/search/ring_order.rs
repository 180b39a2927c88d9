//! The ring of a [`Directory`](crate::directory::Directory) as everybody would see it if everybody
//! knew everybody: computed once, shared by all nodes of a simulation.

use luc_core::PeerId;

use crate::search::point::{Assignment, Point};

/// Peers, by their index in the order of names, in the order of the ring.
#[derive(Clone, Debug)]
pub struct RingOrder {
    /// The index of the peer at each place of the ring.
    places: Vec<u32>,
    /// The place of the peer with each index.
    place_of: Vec<u32>,
}

impl RingOrder {
    /// The ring of these peers.
    pub fn new(peers: &[PeerId], assignment: Assignment) -> Self {
        let mut points: Vec<(Point, u32)> = peers
            .iter()
            .zip(0..)
            .map(|(peer, index)| (Point::of(*peer, assignment), index))
            .collect();
        points.sort_unstable();
        let mut place_of = vec![0; points.len()];
        for ((_, index), place) in points.iter().zip(0..) {
            if let Some(slot) = place_of.get_mut(*index as usize) {
                *slot = place;
            }
        }
        let places = points.into_iter().map(|(_, index)| index).collect();
        Self { places, place_of }
    }

    /// The index of the peer `steps` places after the one with `index`; none outside the ring.
    pub fn after(&self, index: usize, steps: usize) -> Option<usize> {
        let place = *self.place_of.get(index)? as usize;
        let place = (place + steps).checked_rem(self.places.len())?;
        self.places.get(place).map(|index| *index as usize)
    }
}

#[cfg(test)]
mod tests {
    use luc_core::SitePrefix;

    use super::*;

    #[test]
    fn walking_the_ring_meets_everybody_once() {
        let site = SitePrefix::from_bytes([1; 6]);
        let peers: Vec<_> = (0..20).map(|node| PeerId::new(site, node)).collect();
        let ring = RingOrder::new(&peers, Assignment::Hashed);
        let mut met: Vec<_> = (1..=20).filter_map(|step| ring.after(3, step)).collect();
        assert_eq!(met.last(), Some(&3), "the last step closes the ring");
        let points: Vec<_> = met
            .iter()
            .map(|at| Point::of(peers[*at], Assignment::Hashed))
            .collect();
        let falls = points.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(falls <= 1, "points rise but where the ring closes");
        met.sort_unstable();
        assert_eq!(met, (0..20).collect::<Vec<_>>());
        assert_eq!(ring.after(20, 1), None);
    }
}
