//! What must hold in every state, by the names of the simulator's invariants.
//!
//! Facts come from the nodes themselves (who is reserved under which ballot, until when) and from
//! the hosts (which machine runs where). A law that breaks is kept in the state, with the words
//! that say how, so that the checker can show the way to it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use luc_core::PeerId;
use luc_core::time::Duration;

/// The properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Law {
    OneLeaderPerNode,
    OneHostPerVm,
    NoStaleStep,
    MemoryAndDiskFit,
    EveryPartitionEnds,
    FreeWhenQuiet,
}

impl Law {
    pub(crate) const ALL: [Self; 6] = [
        Self::OneLeaderPerNode,
        Self::OneHostPerVm,
        Self::NoStaleStep,
        Self::MemoryAndDiskFit,
        Self::EveryPartitionEnds,
        Self::FreeWhenQuiet,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OneLeaderPerNode => "one_leader_per_node",
            Self::OneHostPerVm => "one_host_per_vm",
            Self::NoStaleStep => "no_stale_step",
            Self::MemoryAndDiskFit => "memory_and_disk_fit",
            Self::EveryPartitionEnds => "every_partition_ends",
            Self::FreeWhenQuiet => "free_when_quiet",
        }
    }
}

/// A law that does not hold, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wrong {
    pub(crate) law: Law,
    pub(crate) what: String,
}

/// Growing (4 s), executing ([`super::node::EXECUTING_MAX`]) and the last answers.
pub(crate) const LIFE_MAX: Duration = Duration::from_secs(16);

/// With nothing left to do, all are free within this time.
pub(crate) const FREE_WITHIN: Duration = Duration::from_secs(8);

/// Who handed its members over to whom.
pub(crate) type HandedOver = (PeerId, PeerId);

/// Facts that some path has reached: a check that reaches none of them checks nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached(Arc<Mutex<BTreeSet<&'static str>>>);

impl Reached {
    pub(crate) fn note(&self, fact: &'static str) {
        if let Ok(mut facts) = self.0.lock() {
            facts.insert(fact);
        }
    }

    pub(crate) fn names(&self) -> BTreeSet<&'static str> {
        self.0.lock().map(|facts| facts.clone()).unwrap_or_default()
    }
}
