//! Which record types a store holds: one table per kind.
//!
//! Records of kinds without a table stay in the engine untouched, for a newer release or another
//! program may own them.

use std::any::TypeId;
use std::sync::Arc;

use crate::envelope::{self, DecodeError, Erased};
use crate::kinds::{KINDS, Kind};
use crate::record::{Index, Record};
use crate::revision::Stamp;

/// The tables of a store, given to [`Store::open`](crate::Store::open).
#[derive(Clone, Default)]
pub struct Schema {
    tables: Vec<Option<TableSpec>>,
}

/// How one table is read and indexed.
#[derive(Clone)]
pub(crate) struct TableSpec {
    pub(crate) kind: Kind,
    pub(crate) indexes: Arc<[IndexSpec]>,
    pub(crate) decode: fn(&str, &[u8], Stamp) -> Result<Erased, DecodeError>,
    record: TypeId,
}

/// One index of a table.
#[derive(Clone, Debug)]
pub(crate) struct IndexSpec {
    pub(crate) name: Arc<str>,
    pub(crate) unique: bool,
}

impl Schema {
    /// A schema without tables.
    pub fn new() -> Self {
        Self {
            tables: vec![None; KINDS.len()],
        }
    }

    /// Adds the table of `R`.
    ///
    /// # Panics
    /// If the kind has a table of another type already, or if a name of an index is used twice or
    /// is not made of lower-case letters and `_`: mistakes of the program, seen at its first start.
    #[must_use]
    pub fn table<R: Record>(mut self) -> Self {
        let record = TypeId::of::<R>();
        let indexes: Arc<[IndexSpec]> = R::INDEXES
            .iter()
            .map(|index| IndexSpec {
                name: index.name().into(),
                unique: index.is_unique(),
            })
            .collect();
        for (position, index) in indexes.iter().enumerate() {
            let good = !index.name.is_empty()
                && index
                    .name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(
                good,
                "'{}' is no name for an index of {}",
                index.name,
                R::KIND
            );
            let again = indexes[..position]
                .iter()
                .any(|other| other.name == index.name);
            assert!(
                !again,
                "{} has two indexes of the name '{}'",
                R::KIND,
                index.name
            );
        }
        let slot = &mut self.tables[R::KIND as usize];
        let free = slot.as_ref().is_none_or(|spec| spec.record == record);
        assert!(free, "two record types for the kind '{}'", R::KIND);
        *slot = Some(TableSpec {
            kind: R::KIND,
            indexes,
            decode: envelope::decode::<R>,
            record,
        });
        self
    }

    /// All tables of both.
    ///
    /// # Panics
    /// As [`Self::table`], if both have a table of one kind with different types.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (slot, spec) in self.tables.iter_mut().zip(other.tables) {
            let Some(spec) = spec else { continue };
            let free = slot.as_ref().is_none_or(|mine| mine.record == spec.record);
            assert!(free, "two record types for the kind '{}'", spec.kind);
            *slot = Some(spec);
        }
        self
    }

    pub(crate) fn spec(&self, kind: Kind) -> Option<&TableSpec> {
        self.tables.get(kind as usize).and_then(Option::as_ref)
    }

    /// Makes sure that `R` is the type of its table.
    pub(crate) fn expect<R: Record>(&self) {
        let held = self
            .spec(R::KIND)
            .is_some_and(|spec| spec.record == TypeId::of::<R>());
        assert!(
            held,
            "the store was opened without a table of '{}' for this type",
            R::KIND
        );
    }
}

/// The place of `index` among the indexes of its record.
pub(crate) fn position<R: Record>(index: &Index<R>) -> usize {
    let found = R::INDEXES
        .iter()
        .position(|other| other.name() == index.name());
    assert!(
        found.is_some(),
        "'{}' is not in the indexes of '{}'",
        index.name(),
        R::KIND
    );
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Note, Person};

    #[test]
    fn schemas_add_up() {
        let both = Schema::new()
            .table::<Person>()
            .and(Schema::new().table::<Note>());
        both.expect::<Person>();
        both.expect::<Note>();
    }

    #[test]
    #[should_panic(expected = "without a table of 'user'")]
    fn a_table_that_was_not_named_is_a_mistake_of_the_program() {
        Schema::new().table::<Note>().expect::<Person>();
    }
}
