//! Where a node stands on the ring: a 160-bit identifier.
//!
//! How identifiers are assigned decides how many ring neighbours share a site, so it is explicit:
//! hashed identifiers scatter the nodes of a site over the whole ring, site-ordered ones keep them
//! in one arc. Stoica et al., "Chord", SIGCOMM 2001, section 4.1 (identifiers).

use std::fmt;

use luc_core::PeerId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How identifiers are assigned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Assignment {
    /// Uniform over the ring: the truncated SHA-256 of the node's name.
    #[default]
    Hashed,
    /// The site first, then the hash of the node: a site is an arc.
    SiteOrdered,
}

/// A point on the ring, big end first; the ring closes after the greatest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Point([u8; 20]);

impl Point {
    /// How many bytes it takes on the wire.
    pub const WIRE_BYTES: usize = 20;

    /// The point of `peer`.
    pub fn of(peer: PeerId, assignment: Assignment) -> Self {
        let mut hash = Sha256::new();
        hash.update(peer.site.as_bytes());
        hash.update(peer.node.to_be_bytes());
        let digest = hash.finalize();
        let mut bits = [0; 20];
        bits.copy_from_slice(&digest[..20]);
        if assignment == Assignment::SiteOrdered {
            bits[..6].copy_from_slice(peer.site.as_bytes());
        }
        Self(bits)
    }

    /// Whether `self` is met strictly between `from` and `to` when walking upwards from `from`.
    /// From a point around to itself lies the whole rest of the ring.
    pub fn is_between(self, from: Self, to: Self) -> bool {
        if from < to {
            from < self && self < to
        } else {
            self > from || self < to
        }
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use luc_core::SitePrefix;

    use super::*;

    fn peer(site: u8, node: u64) -> PeerId {
        PeerId::new(SitePrefix::from_bytes([site; 6]), node)
    }

    #[test]
    fn the_ring_closes_after_the_greatest_point() {
        let [low, middle, high] = [1, 5, 9].map(|bits| Point([bits; 20]));
        assert!(middle.is_between(low, high));
        assert!(!middle.is_between(high, low));
        assert!(low.is_between(high, middle));
        assert!(high.is_between(middle, low));
        assert!(!low.is_between(low, high) && !high.is_between(low, high));
        assert!(middle.is_between(low, low), "a ring of one reaches around");
        assert!(!low.is_between(low, low));
    }

    #[test]
    fn site_ordered_points_keep_a_site_in_one_arc() {
        let ordered = |site, node| Point::of(peer(site, node), Assignment::SiteOrdered);
        let (first, last): (Vec<_>, Vec<_>) = (
            (0..50).map(|node| ordered(1, node)).collect(),
            (0..50).map(|node| ordered(2, node)).collect(),
        );
        assert!(first.iter().max() < last.iter().min());
        let hashed = |site, node| Point::of(peer(site, node), Assignment::Hashed);
        let first: Vec<_> = (0..50).map(|node| hashed(1, node)).collect();
        let last: Vec<_> = (0..50).map(|node| hashed(2, node)).collect();
        assert!(first.iter().max() > last.iter().min());
        assert!(last.iter().max() > first.iter().min());
    }
}
