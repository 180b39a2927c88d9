//! Snapshots: every table at one revision, immutable, shared by all who read.

use std::fmt;
use std::sync::Arc;

use crate::key::IndexKey;
use crate::record::{Index, Record, Stored};
use crate::revision::Revision;
use crate::schema::position;
use crate::table::State;

/// Every table at one revision. Taken by [`Store::snapshot`](crate::Store::snapshot) without a
/// lock; what it shows is durable and never changes.
///
/// Every method panics if the store was opened without a table for the record type.
pub struct Snapshot {
    pub(crate) state: State,
    pub(crate) revision: Revision,
}

impl Snapshot {
    /// The revision of the newest commit in it.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The record with this id.
    pub fn get<R: Record>(&self, id: impl AsRef<str>) -> Option<Arc<Stored<R>>> {
        self.state.schema.expect::<R>();
        self.state.table(R::KIND).get(id.as_ref())
    }

    /// The records under `key` of `index`, in the order of their ids.
    pub fn find<R: Record>(
        &self,
        index: &Index<R>,
        key: &IndexKey,
    ) -> impl Iterator<Item = Arc<Stored<R>>> + use<'_, R> {
        self.state.schema.expect::<R>();
        self.state.table(R::KIND).find(index, key)
    }

    /// The record that holds `key` of the unique index `index`.
    pub fn one<R: Record>(&self, index: &Index<R>, key: &IndexKey) -> Option<Arc<Stored<R>>> {
        self.find(index, key).next()
    }

    /// All records of the type, in the order of their ids.
    pub fn all<R: Record>(&self) -> impl DoubleEndedIterator<Item = Arc<Stored<R>>> + use<'_, R> {
        self.state.schema.expect::<R>();
        self.state.table(R::KIND).all()
    }

    /// How many records of the type there are.
    pub fn count<R: Record>(&self) -> usize {
        self.state.schema.expect::<R>();
        self.state.table(R::KIND).len()
    }

    /// How many records are under `key` of `index`.
    pub fn count_of<R: Record>(&self, index: &Index<R>, key: &IndexKey) -> usize {
        self.state.schema.expect::<R>();
        self.state.table(R::KIND).count(position(index), key)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
