//! What this node knows of the live peers it keeps: its own site, and delegates if it is one.
//!
//! Filled by membership (the pools of [`crate::pool`]), read by searches. It is not the membership
//! protocol: suspicion and incarnations live in the pools. A node that sleeps stays here with its
//! standing; one that left or failed does not. Nobody else of the cloud is listed, so the table
//! stays as small as a site is, except at delegates.

use luc_core::{PeerId, SitePrefix};

use crate::coordinate::Coordinate;
use crate::neighbour::{Room, Standing};

/// One peer as last heard of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// Who.
    pub peer: PeerId,
    /// Where, once heard.
    pub coordinate: Option<Coordinate>,
    /// Which of its coordinates this is, counted by the peer itself; 0 is none.
    pub edition: u16,
    /// Whether it serves or sleeps.
    pub standing: Standing,
    /// How much room it had when it last said so.
    pub room: Room,
}

impl Known {
    /// A peer of which nothing but the name is known.
    pub const fn unheard(peer: PeerId) -> Self {
        Self {
            peer,
            coordinate: None,
            edition: 0,
            standing: Standing::Awake,
            room: Room(0),
        }
    }
}

/// What has just changed about a peer; told to searches after the table was changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// It was met for the first time, or again after it had failed or left.
    Joined(PeerId),
    /// It left for good.
    Left(PeerId),
    /// It is held dead.
    Failed(PeerId),
    /// It is still there, but this node does not keep it any more (it ceased to be a delegate, or
    /// this node did).
    Dropped(PeerId),
    /// Its standing changed.
    Stood(PeerId, Standing),
    /// A delegate of another site was named: a way out of the own site. It is not in the table.
    Contact(PeerId),
}

/// The peers this node keeps, in order of their names.
#[derive(Clone, Debug, Default)]
pub struct Members {
    known: Vec<Known>,
}

impl Members {
    /// An empty table.
    pub const fn new() -> Self {
        Self { known: Vec::new() }
    }

    /// A table of these peers; of two entries for one peer the first stays.
    pub fn of(mut known: Vec<Known>) -> Self {
        known.sort_by_key(|one| one.peer);
        known.dedup_by_key(|one| one.peer);
        known.shrink_to_fit();
        Self { known }
    }

    /// How many peers are kept.
    pub const fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nobody is kept.
    pub const fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is known of `peer`.
    pub fn get(&self, peer: PeerId) -> Option<&Known> {
        let at = self.position(peer).ok()?;
        self.known.get(at)
    }

    /// What is known of `peer`, to be brought up to date.
    pub(crate) fn get_mut(&mut self, peer: PeerId) -> Option<&mut Known> {
        let at = self.position(peer).ok()?;
        self.known.get_mut(at)
    }

    /// Everybody kept, in order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Known> + DoubleEndedIterator {
        self.known.iter()
    }

    /// The one at `index` in the order of names, for drawing at random.
    pub fn at(&self, index: usize) -> Option<&Known> {
        self.known.get(index)
    }

    /// Everybody kept of one site, in order of their names.
    pub fn iter_site(
        &self,
        site: SitePrefix,
    ) -> impl ExactSizeIterator<Item = &Known> + DoubleEndedIterator {
        let from = self.before_site(site);
        let rest = &self.known[from..];
        let until = rest.partition_point(|one| one.peer.site == site);
        rest[..until].iter()
    }

    /// How many peers are kept whose site is before `site`.
    pub(crate) fn before_site(&self, site: SitePrefix) -> usize {
        self.known.partition_point(|one| one.peer.site < site)
    }

    /// Adds a peer unless it is there; says whether it was added.
    pub(crate) fn insert(&mut self, known: Known) -> bool {
        match self.position(known.peer) {
            Ok(_) => false,
            Err(at) => {
                self.known.insert(at, known);
                true
            }
        }
    }

    /// Takes a peer out.
    pub(crate) fn remove(&mut self, peer: PeerId) -> Option<Known> {
        let at = self.position(peer).ok()?;
        Some(self.known.remove(at))
    }

    /// Takes everybody out for whom `keep` is false and says who they were.
    pub(crate) fn extract(&mut self, mut keep: impl FnMut(&Known) -> bool) -> Vec<PeerId> {
        let mut gone = Vec::new();
        self.known.retain(|one| {
            let stays = keep(one);
            if !stays {
                gone.push(one.peer);
            }
            stays
        });
        gone
    }

    fn position(&self, peer: PeerId) -> Result<usize, usize> {
        self.known.binary_search_by(|one| one.peer.cmp(&peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(site: u8, node: u64) -> PeerId {
        PeerId::new(SitePrefix::from_bytes([site; 6]), node)
    }

    fn table() -> Members {
        let mut members = Members::new();
        for (site, node) in [(2, 1), (1, 7), (3, 4), (2, 9), (2, 5)] {
            assert!(members.insert(Known::unheard(peer(site, node))));
        }
        members
    }

    #[test]
    fn the_members_of_a_site_come_in_order() {
        let members = table();
        let site = SitePrefix::from_bytes([2; 6]);
        let found: Vec<_> = members.iter_site(site).map(|one| one.peer.node).collect();
        assert_eq!(found, [1, 5, 9]);
        let nobody = SitePrefix::from_bytes([9; 6]);
        assert_eq!(members.iter_site(nobody).len(), 0);
    }

    #[test]
    fn a_peer_is_kept_once() {
        let mut members = table();
        assert!(!members.insert(Known::unheard(peer(2, 5))));
        assert_eq!(members.len(), 5);
        assert_eq!(
            members.remove(peer(2, 5)).map(|one| one.peer),
            Some(peer(2, 5))
        );
        assert!(members.get(peer(2, 5)).is_none());
        let twice = vec![Known::unheard(peer(1, 1)), Known::unheard(peer(1, 1))];
        assert_eq!(Members::of(twice).len(), 1);
    }

    #[test]
    fn a_node_of_a_large_cloud_keeps_little_per_peer() {
        assert!(size_of::<Known>() <= 72, "{}", size_of::<Known>());
    }
}
