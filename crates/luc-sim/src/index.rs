//! Numbers for nodes, machines and sites: what the simulator indexes its tables with.
//!
//! Protocols speak of [`PeerId`]s and [`VmId`]s; the simulator gives each the bits of its number,
//! so that both directions cost nothing. Peers are ordered as their numbers are, because the nodes
//! of one site are numbered in a row.

use std::fmt;

use luc_core::{PeerId, SitePrefix, Uuid};
use luc_dvms::VmId;
use serde::{Deserialize, Serialize};

/// A node of the simulated cloud, counted from 0 through all sites.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NodeIndex(pub u32);

/// A virtual machine, counted from 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct VmIndex(pub u32);

/// A site, counted from 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SiteIndex(pub u16);

impl SiteIndex {
    /// The prefix by which protocols know the site.
    pub const fn prefix(self) -> SitePrefix {
        let [high, low] = self.0.to_be_bytes();
        SitePrefix::from_bytes([0, 0, 0, 1, high, low])
    }

    /// The site whose prefix this is.
    pub const fn of_prefix(prefix: SitePrefix) -> Self {
        let [_, _, _, _, high, low] = *prefix.as_bytes();
        Self(u16::from_be_bytes([high, low]))
    }

    /// The index as a table wants it.
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

impl NodeIndex {
    /// The name by which protocols know the node, which is at `site`.
    pub const fn peer(self, site: SiteIndex) -> PeerId {
        PeerId::new(site.prefix(), self.0 as u64)
    }

    /// The node whose name this is.
    pub const fn of_peer(peer: PeerId) -> Self {
        Self(peer.node as u32)
    }

    /// The index as a table wants it.
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

impl VmIndex {
    /// The name by which protocols know the machine.
    pub const fn id(self) -> VmId {
        VmId(Uuid::from_bytes((self.0 as u128).to_be_bytes()))
    }

    /// The machine whose name this is.
    pub const fn of_id(id: VmId) -> Self {
        Self(u128::from_be_bytes(*id.0.as_bytes()) as u32)
    }

    /// The index as a table wants it.
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl fmt::Display for VmIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vm{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_to_each_other() {
        let node = NodeIndex(77_777);
        let site = SiteIndex(513);
        let peer = node.peer(site);
        assert_eq!(NodeIndex::of_peer(peer), node);
        assert_eq!(SiteIndex::of_prefix(peer.site), site);
        assert_eq!(VmIndex::of_id(VmIndex(1_234_567).id()), VmIndex(1_234_567));
    }

    #[test]
    fn peers_are_ordered_as_their_numbers_are() {
        let before = NodeIndex(255).peer(SiteIndex(255));
        let after = NodeIndex(256).peer(SiteIndex(256));
        assert!(before < after);
    }
}
