//! Revisions: the numbers that order everything an engine has committed.
//!
//! A [`Revision`] is given by the engine, one per commit, strictly growing. A transaction that is
//! not durable yet has none; what it wrote carries a [`Stamp`], a cell that all its records share
//! and that is filled once, when the engine says the commit is durable. Published snapshots hold
//! only filled stamps.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// The number of a commit. Zero is the state of an engine that has committed nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(u64);

impl Revision {
    /// Before the first commit.
    pub const ZERO: Self = Self(0);

    /// The revision with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The revision after this one in an engine whose revisions are contiguous.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What the cell of a stamp holds as long as its commit is not durable.
const PENDING: u64 = u64::MAX;

/// The revision of something written, known or still to come.
#[derive(Clone)]
pub(crate) struct Stamp(Arc<AtomicU64>);

impl Stamp {
    /// The stamp of a transaction that is not durable yet.
    pub(crate) fn pending() -> Self {
        Self(Arc::new(AtomicU64::new(PENDING)))
    }

    /// The stamp of something that the engine holds at `revision`.
    pub(crate) fn at(revision: Revision) -> Self {
        Self(Arc::new(AtomicU64::new(revision.0)))
    }

    /// The revision, once it is durable.
    pub(crate) fn revision(&self) -> Option<Revision> {
        match self.0.load(Ordering::Acquire) {
            PENDING => None,
            number => Some(Revision(number)),
        }
    }

    /// Says that the commit is durable at `revision`.
    pub(crate) fn fill(&self, revision: Revision) {
        self.0.store(revision.0, Ordering::Release);
    }

    /// Whether both belong to the same transaction.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision() {
            Some(revision) => write!(f, "Stamp({revision})"),
            None => f.write_str("Stamp(pending)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_of_a_stamp_learns_its_revision() {
        let stamp = Stamp::pending();
        let copy = stamp.clone();
        assert_eq!(copy.revision(), None);
        stamp.fill(Revision::new(7));
        assert_eq!(copy.revision(), Some(Revision::new(7)));
        assert!(copy.same(&stamp));
        assert!(!copy.same(&Stamp::at(Revision::new(7))));
    }
}
