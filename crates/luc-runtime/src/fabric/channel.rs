//! What a message is about, as a number on the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A subject that peers talk about. A number that this release does not know is carried as it is
/// and refused by the handler, so that nodes of two releases can talk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Channel(pub u16);

impl Channel {
    /// Becoming a member: the only channel that a guest may speak.
    pub const JOIN: Self = Self(1);
    /// Messages of a node's brain: membership, coordinates, partitions.
    pub const OVERLAY: Self = Self(2);
    /// API requests that run at another site or node.
    pub const FORWARD: Self = Self(3);
    /// Reads that are gathered from many sites.
    pub const GATHER: Self = Self(4);
    /// A site's history for its followers.
    pub const FEED: Self = Self(5);
    /// Images, disks and memory of VMs.
    pub const BULK: Self = Self(6);
    /// Addresses, votes and leases: what sites settle among themselves.
    pub const SITES: Self = Self(7);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::JOIN, "join"),
        (Self::OVERLAY, "overlay"),
        (Self::FORWARD, "forward"),
        (Self::GATHER, "gather"),
        (Self::FEED, "feed"),
        (Self::BULK, "bulk"),
        (Self::SITES, "sites"),
    ];
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(channel, _)| channel == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "channel {}", self.0),
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({self})")
    }
}
