//! A node's links on the ring: who follows it, who precedes it.
//!
//! Nobody becomes a successor without having answered: what others say of third nodes is only a
//! reason to ask those. Stoica et al., "Chord", SIGCOMM 2001, section 4.4 (stabilization) and
//! section 5.2 (successor lists).

use luc_core::PeerId;
use luc_core::time::Instant;

use crate::search::point::{Assignment, Point};

/// The links of one node.
#[derive(Clone, Debug)]
pub(super) struct Links {
    me: PeerId,
    point: Point,
    assignment: Assignment,
    /// How many successors are kept.
    length: usize,
    /// In ring order from this node on; never this node itself.
    successors: Vec<PeerId>,
    predecessor: Option<PeerId>,
    /// When the predecessor was last heard of.
    heard: Instant,
}

impl Links {
    pub(super) fn new(me: PeerId, assignment: Assignment, length: usize) -> Self {
        Self {
            me,
            point: Point::of(me, assignment),
            assignment,
            length,
            successors: Vec::new(),
            predecessor: None,
            heard: Instant::ORIGIN,
        }
    }

    pub(super) const fn point(&self) -> Point {
        self.point
    }

    pub(super) fn point_of(&self, peer: PeerId) -> Point {
        Point::of(peer, self.assignment)
    }

    pub(super) fn successors(&self) -> &[PeerId] {
        &self.successors
    }

    pub(super) fn successor(&self) -> Option<PeerId> {
        self.successors.first().copied()
    }

    pub(super) const fn predecessor(&self) -> Option<PeerId> {
        self.predecessor
    }

    /// Whether `peer` would follow this node more closely than its successor does.
    pub(super) fn is_closer(&self, peer: PeerId) -> bool {
        let Some(successor) = self.successor() else {
            return peer != self.me;
        };
        let between = |point: Point| point.is_between(self.point, self.point_of(successor));
        peer != self.me && between(self.point_of(peer))
    }

    /// `peer` has answered and says who follows it: it is the successor now if it is the closest,
    /// and the list behind it is its list. Says whether it is.
    pub(super) fn adopt(&mut self, peer: PeerId, theirs: &[PeerId]) -> bool {
        if self.successor() != Some(peer) && !self.is_closer(peer) {
            return false;
        }
        self.successors.clear();
        self.successors.push(peer);
        let mut last = self.point_of(peer);
        for next in theirs {
            let point = self.point_of(*next);
            // The list ends where it reaches around to this node, or makes no sense.
            if self.successors.len() >= self.length || !point.is_between(last, self.point) {
                break;
            }
            self.successors.push(*next);
            last = point;
        }
        true
    }

    /// A node says that it precedes this one, or shows a sign of life.
    pub(super) fn notified(&mut self, peer: PeerId, now: Instant) {
        let closer = self.predecessor.is_none_or(|held| {
            let point = self.point_of(peer);
            point.is_between(self.point_of(held), self.point)
        });
        if peer != self.me && (closer || self.predecessor == Some(peer)) {
            self.predecessor = Some(peer);
            self.heard = now;
        }
    }

    /// A sign of life, which only counts if it is the predecessor's.
    pub(super) fn heard_of(&mut self, peer: PeerId, now: Instant) {
        if self.predecessor == Some(peer) {
            self.heard = now;
        }
    }

    /// Forgets a predecessor that has not been heard of since `since`.
    pub(super) fn expire_predecessor(&mut self, since: Instant) {
        if self.heard < since {
            self.predecessor = None;
        }
    }

    /// The predecessor leaves and names its own.
    pub(super) fn inherit_predecessor(
        &mut self,
        leaver: PeerId,
        theirs: Option<PeerId>,
        now: Instant,
    ) {
        if self.predecessor == Some(leaver) {
            self.predecessor = theirs.filter(|peer| *peer != self.me);
            self.heard = now;
        }
    }

    /// Takes a node out; says whether it was the successor.
    pub(super) fn remove(&mut self, peer: PeerId) -> bool {
        let was_successor = self.successor() == Some(peer);
        self.successors.retain(|one| *one != peer);
        if self.predecessor == Some(peer) {
            self.predecessor = None;
        }
        was_successor
    }

    pub(super) fn clear(&mut self) {
        self.successors.clear();
        self.predecessor = None;
    }

    /// The last node before `point` among `known`, and those linked to.
    pub(super) fn closest_before(
        &self,
        point: Point,
        known: impl Iterator<Item = PeerId>,
    ) -> Option<PeerId> {
        let linked = self.successors.iter().chain(&self.predecessor).copied();
        let mut best: Option<(Point, PeerId)> = None;
        for peer in known.chain(linked) {
            let at = self.point_of(peer);
            let closer = best.is_none_or(|(held, _)| at.is_between(held, point));
            if at != point && peer != self.me && closer {
                best = Some((at, peer));
            }
        }
        best.map(|(_, peer)| peer)
    }
}

#[cfg(test)]
mod tests {
    use luc_core::SitePrefix;
    use luc_core::time::Duration;

    use super::*;

    /// Peers of one site in ring order.
    fn ring(count: u64) -> Vec<PeerId> {
        let site = SitePrefix::from_bytes([1; 6]);
        let mut peers: Vec<_> = (0..count).map(|node| PeerId::new(site, node)).collect();
        peers.sort_by_key(|peer| Point::of(*peer, Assignment::Hashed));
        peers
    }

    fn links(me: PeerId) -> Links {
        Links::new(me, Assignment::Hashed, 3)
    }

    #[test]
    fn a_closer_node_takes_the_place_of_the_successor() {
        let peers = ring(6);
        let mut links = links(peers[1]);
        assert!(links.adopt(peers[4], &[peers[5], peers[0], peers[1], peers[2]]));
        assert_eq!(links.successors(), [peers[4], peers[5], peers[0]]);
        assert!(!links.adopt(peers[5], &[peers[0]]), "it is farther");
        assert!(links.is_closer(peers[2]) && !links.is_closer(peers[0]));
        assert!(links.adopt(peers[2], &[peers[3], peers[4], peers[5]]));
        assert_eq!(links.successors(), [peers[2], peers[3], peers[4]]);
    }

    #[test]
    fn a_list_that_jumps_back_is_cut_there() {
        let peers = ring(6);
        let mut links = links(peers[0]);
        assert!(links.adopt(peers[1], &[peers[3], peers[2], peers[4]]));
        assert_eq!(links.successors(), [peers[1], peers[3]]);
        assert!(links.adopt(peers[1], &[peers[0], peers[2]]));
        assert_eq!(links.successors(), [peers[1]], "the list reached around");
    }

    #[test]
    fn a_silent_predecessor_gives_way() {
        let peers = ring(4);
        let mut links = links(peers[2]);
        let start = Instant::ORIGIN + Duration::from_secs(1);
        links.notified(peers[1], start);
        links.notified(peers[0], start);
        assert_eq!(links.predecessor(), Some(peers[1]), "the closer one stays");
        links.expire_predecessor(start + Duration::from_secs(1));
        links.notified(peers[0], start);
        assert_eq!(links.predecessor(), Some(peers[0]));
    }

    #[test]
    fn the_closest_before_a_point_is_found_over_the_end_of_the_ring() {
        let peers = ring(8);
        let links = links(peers[3]);
        let known = || [peers[0], peers[6], peers[7]].into_iter();
        let at = |index: usize| Point::of(peers[index], Assignment::Hashed);
        assert_eq!(links.closest_before(at(0), known()), Some(peers[7]));
        assert_eq!(links.closest_before(at(7), known()), Some(peers[6]));
        assert_eq!(links.closest_before(at(2), known()), Some(peers[0]));
    }
}
