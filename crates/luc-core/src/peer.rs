//! The compact name by which protocols address a node.
//!
//! A [`PeerId`] is `Copy`, so that overlay and scheduler can keep thousands of them. It says the
//! node's site at once: locality, pins and residency need no lookup. It is not the node's record
//! id (`crate::id::NodeId`) and not an address; the fabric knows which key and which connection
//! belong to it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::SitePrefix;

/// A node as other nodes address it. Ordered by site, then by node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PeerId {
    /// The site the node belongs to.
    pub site: SitePrefix,
    /// The first 64 bits of the SHA-256 of the node's public key; the simulator counts instead.
    pub node: u64,
}

impl PeerId {
    /// The peer with these very bits.
    pub const fn new(site: SitePrefix, node: u64) -> Self {
        Self { site, node }
    }

    /// The peer at `site` whose node key is `key`.
    pub fn of_key(site: SitePrefix, key: &[u8]) -> Self {
        let digest = Sha256::digest(key);
        let mut node = [0u8; 8];
        node.copy_from_slice(&digest[..8]);
        Self {
            site,
            node: u64::from_be_bytes(node),
        }
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:x}", self.site, self.node)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_is_the_same_peer_at_one_site_only() {
        let here = SitePrefix::from_bytes([1; 6]);
        let there = SitePrefix::from_bytes([2; 6]);
        assert_eq!(PeerId::of_key(here, b"key"), PeerId::of_key(here, b"key"));
        assert_ne!(PeerId::of_key(here, b"key"), PeerId::of_key(there, b"key"));
        assert_ne!(PeerId::of_key(here, b"key"), PeerId::of_key(here, b"other"));
    }

    #[test]
    fn peers_are_ordered_by_site_first() {
        let near = PeerId::new(SitePrefix::from_bytes([1; 6]), 9);
        let far = PeerId::new(SitePrefix::from_bytes([2; 6]), 1);
        assert!(near < far);
    }
}
