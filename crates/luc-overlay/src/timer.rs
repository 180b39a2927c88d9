//! What an overlay asks to be woken for.
//!
//! None is cancelled: each carries the epoch of what it belongs to, and one of an earlier epoch
//! finds nothing to do.

use crate::message::Scope;
use crate::pool::identity::Identity;
use crate::search;

/// What an overlay asks to be woken for.
#[derive(Clone, Debug, PartialEq)]
pub enum Timer {
    /// A pool's own: a probe, the end of a suspicion, an announcement.
    Swim {
        /// Whose.
        scope: Scope,
        /// Which life of the pool.
        epoch: u16,
        /// What is due.
        due: foca::Timer<Identity>,
    },
    /// A pool has news that should not wait for the next probe.
    Gossip {
        /// Whose.
        scope: Scope,
        /// Which life of the pool.
        epoch: u16,
    },
    /// A pool that knows nobody tries its contacts again.
    Join {
        /// Whose.
        scope: Scope,
        /// Which life of the pool.
        epoch: u16,
        /// How often it has tried.
        attempt: u8,
    },
    /// The site's members have settled: is this node a delegate?
    Role {
        /// Which life of the node.
        epoch: u16,
    },
    /// A farewell is said again, in case the first ones were lost.
    Farewell {
        /// Which life of the node.
        epoch: u16,
        /// How many times more.
        left: u8,
    },
    /// Time to measure the way to a node of another site.
    Echo {
        /// Which life of the node.
        epoch: u16,
    },
    /// A search's.
    Search(search::Timer),
}

#[cfg(test)]
impl Timer {
    /// Whether it starts a probe within the site.
    pub(crate) const fn is_site_probe(&self) -> bool {
        matches!(
            self,
            Self::Swim {
                scope: Scope::Site,
                due: foca::Timer::ProbeRandomMember(_),
                ..
            }
        )
    }
}
