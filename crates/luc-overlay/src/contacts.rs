//! The few nodes of other sites that a node remembers, as a way out of its own.
//!
//! They are delegates named by delegates of the own site, on packets that flow anyway. A node
//! becomes a delegate through them, measures the way to other sites with them, and starts spirals
//! that leave the site with them. They are not members: nobody tells when one dies, so the newest
//! are kept and those that do not answer are dropped.

use luc_core::entropy::{Entropy, SplitMix64};
use luc_core::{PeerId, SitePrefix};

/// The remembered nodes, newest last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contacts {
    peers: Vec<PeerId>,
}

impl Contacts {
    /// Remembers `peer` as the newest of at most `most`, unless it is of the site `own`. Says
    /// whether it was not remembered before.
    pub(crate) fn remember(&mut self, peer: PeerId, own: SitePrefix, most: u8) -> bool {
        if peer.site == own || most == 0 {
            return false;
        }
        if let Some(at) = self.peers.iter().position(|one| *one == peer) {
            self.peers[at..].rotate_left(1);
            return false;
        }
        if self.peers.len() >= usize::from(most) {
            // Ways to many sites are worth more than several to one.
            let same = self.peers.iter().position(|one| one.site == peer.site);
            self.peers.remove(same.unwrap_or(0));
        }
        self.peers.push(peer);
        true
    }

    /// Forgets `peer`, except when it is the last one: a doubtful way out is better than none.
    pub(crate) fn forget(&mut self, peer: PeerId) {
        if self.peers.len() > 1 {
            self.peers.retain(|one| *one != peer);
        }
    }

    /// All of them, oldest first.
    pub(crate) fn as_slice(&self) -> &[PeerId] {
        &self.peers
    }

    /// One of them.
    pub(crate) fn draw(&self, entropy: &mut SplitMix64) -> Option<PeerId> {
        draw(&self.peers, entropy)
    }
}

/// One of `peers`.
pub(crate) fn draw(peers: &[PeerId], entropy: &mut SplitMix64) -> Option<PeerId> {
    let at = entropy.next_u64().checked_rem(peers.len() as u64)?;
    peers.get(at as usize).copied()
}

/// Up to `count` different ones of `peers`.
pub(crate) fn draw_some(
    mut peers: Vec<PeerId>,
    count: usize,
    entropy: &mut SplitMix64,
) -> Vec<PeerId> {
    let count = count.min(peers.len());
    for at in 0..count {
        let left = (peers.len() - at) as u64;
        peers.swap(at, at + (entropy.next_u64() % left) as usize);
    }
    peers.truncate(count);
    peers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(site: u8, node: u64) -> PeerId {
        PeerId::new(SitePrefix::from_bytes([site; 6]), node)
    }

    #[test]
    fn the_newest_are_kept_and_one_way_to_each_site_rather_than_two() {
        let own = peer(0, 0).site;
        let mut contacts = Contacts::default();
        assert!(!contacts.remember(peer(0, 5), own, 3));
        for site in 1..=3 {
            assert!(contacts.remember(peer(site, 1), own, 3));
        }
        assert!(contacts.remember(peer(2, 2), own, 3));
        assert_eq!(contacts.as_slice(), [peer(1, 1), peer(3, 1), peer(2, 2)]);
        assert!(!contacts.remember(peer(1, 1), own, 3));
        assert!(contacts.remember(peer(4, 1), own, 3));
        assert_eq!(contacts.as_slice(), [peer(2, 2), peer(1, 1), peer(4, 1)]);
    }

    #[test]
    fn the_last_way_out_is_not_forgotten() {
        let own = peer(0, 0).site;
        let mut contacts = Contacts::default();
        contacts.remember(peer(1, 1), own, 3);
        contacts.remember(peer(2, 1), own, 3);
        contacts.forget(peer(1, 1));
        contacts.forget(peer(2, 1));
        assert_eq!(contacts.as_slice(), [peer(2, 1)]);
    }

    #[test]
    fn a_draw_names_nobody_twice() {
        let mut entropy = SplitMix64::new(1);
        let peers: Vec<_> = (0..10).map(|node| peer(1, node)).collect();
        let mut drawn = draw_some(peers.clone(), 7, &mut entropy);
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), 7);
        assert_eq!(draw_some(peers, 99, &mut entropy).len(), 10);
        assert_eq!(draw(&[], &mut entropy), None);
    }
}
