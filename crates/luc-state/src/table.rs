//! Tables in memory: the records of one kind in the order of their ids, and its indexes.
//!
//! Tables are persistent maps: a copy shares everything with its original, so that a snapshot, the
//! speculative head and a running transaction are three cheap copies. A table changes only by
//! [`Table::apply`], which changes the record and every index entry of it together. Nothing here
//! calls code of a record type; the keys of a record are computed once, before ([`Row::new`]).

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};
use imbl::OrdMap;

use crate::envelope::{Erased, typed};
use crate::key::{EngineKey, IndexKey};
use crate::kinds::{KINDS, Kind};
use crate::record::{Index, Record, Stored};
use crate::revision::Stamp;
use crate::schema::{IndexSpec, Schema, position};

/// A record with the keys under which each index has it.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) record: Erased,
    pub(crate) keys: Arc<[Vec<IndexKey>]>,
}

impl Row {
    pub(crate) fn new(record: Erased) -> Self {
        let keys = record.index_keys().into();
        Self { record, keys }
    }
}

/// The change of one record.
#[derive(Clone)]
pub(crate) struct Write {
    pub(crate) kind: Kind,
    pub(crate) id: Arc<str>,
    pub(crate) before: Option<Row>,
    pub(crate) after: Option<Row>,
    pub(crate) stamp: Stamp,
}

impl Write {
    /// The keys of the index at `index` that the record gives up.
    pub(crate) fn released(&self, index: usize) -> impl Iterator<Item = &IndexKey> {
        let new = keys_at(self.after.as_ref(), index);
        keys_at(self.before.as_ref(), index)
            .iter()
            .filter(|key| new.binary_search(key).is_err())
    }

    /// The keys of the index at `index` that the record takes.
    pub(crate) fn claimed(&self, index: usize) -> impl Iterator<Item = &IndexKey> {
        let old = keys_at(self.before.as_ref(), index);
        keys_at(self.after.as_ref(), index)
            .iter()
            .filter(|key| old.binary_search(key).is_err())
    }
}

/// The keys of a row in one index: sorted and without doubles, as `Index::keys_of` makes them.
fn keys_at(row: Option<&Row>, index: usize) -> &[IndexKey] {
    row.map_or(&[], |row| &row.keys[index])
}

/// The place of an index entry: by key, then by id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    key: IndexKey,
    id: Arc<str>,
}

/// A place that is looked for without owning its parts.
struct Probe<'a> {
    key: &'a str,
    id: &'a str,
}

impl Equivalent<Place> for Probe<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        self.compare(place) == Ordering::Equal
    }
}

impl Comparable<Place> for Probe<'_> {
    fn compare(&self, place: &Place) -> Ordering {
        self.key
            .cmp(place.key.as_str())
            .then_with(|| self.id.cmp(&place.id))
    }
}

#[derive(Clone)]
struct Entry {
    record: Erased,
    /// Of the engine's record of the claim; means nothing in a plain index.
    stamp: Stamp,
}

/// The records of one kind.
#[derive(Clone)]
pub(crate) struct Table {
    records: OrdMap<Arc<str>, Row>,
    specs: Arc<[IndexSpec]>,
    indexes: Vec<OrdMap<Place, Entry>>,
}

impl Table {
    fn new(specs: Arc<[IndexSpec]>) -> Self {
        let indexes = specs.iter().map(|_| OrdMap::new()).collect();
        Self {
            records: OrdMap::new(),
            specs,
            indexes,
        }
    }

    pub(crate) fn specs(&self) -> &Arc<[IndexSpec]> {
        &self.specs
    }

    pub(crate) fn row(&self, id: &str) -> Option<(&Arc<str>, &Row)> {
        self.records.get_key_value(id)
    }

    pub(crate) fn rows(&self) -> impl DoubleEndedIterator<Item = (&Arc<str>, &Row)> {
        self.records.iter()
    }

    /// The rows behind `id`, or all.
    pub(crate) fn rows_after<'a>(
        &'a self,
        id: Option<&str>,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Row)> + use<'a> {
        let first = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.records.range::<_, str>((first, Bound::Unbounded))
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn get<R: Record>(&self, id: &str) -> Option<Arc<Stored<R>>> {
        self.records.get(id).and_then(|row| typed(&row.record))
    }

    pub(crate) fn all<R: Record>(&self) -> impl DoubleEndedIterator<Item = Arc<Stored<R>>> {
        self.records.values().filter_map(|row| typed(&row.record))
    }

    /// The records under `key`, in the order of their ids.
    pub(crate) fn find<R: Record>(
        &self,
        index: &Index<R>,
        key: &IndexKey,
    ) -> impl Iterator<Item = Arc<Stored<R>>> + use<'_, R> {
        self.entries(position(index), key)
            .filter_map(|entry| typed(&entry.record))
    }

    /// The record that holds `key` of the unique index at `index`, and the stamp of its claim.
    pub(crate) fn holder(&self, index: usize, key: &IndexKey) -> Option<(&Erased, &Stamp)> {
        self.entries(index, key)
            .next()
            .map(|entry| (&entry.record, &entry.stamp))
    }

    pub(crate) fn count(&self, index: usize, key: &IndexKey) -> usize {
        self.entries(index, key).count()
    }

    fn entries(&self, index: usize, key: &IndexKey) -> impl Iterator<Item = &Entry> + use<'_> {
        let key = key.clone();
        let first = Probe {
            key: key.as_str(),
            id: "",
        };
        self.indexes[index]
            .range(first..)
            .take_while(move |(place, _)| place.key == key)
            .map(|(_, entry)| entry)
    }

    /// Changes the record and every index entry of it.
    pub(crate) fn apply(&mut self, write: &Write) {
        for index in 0..self.indexes.len() {
            self.apply_index(index, write);
        }
        match &write.after {
            Some(row) => self.records.insert(Arc::clone(&write.id), row.clone()),
            None => self.records.remove(&*write.id),
        };
    }

    fn apply_index(&mut self, index: usize, write: &Write) {
        let entries = &mut self.indexes[index];
        for key in write.released(index) {
            entries.remove(&Probe {
                key: key.as_str(),
                id: &write.id,
            });
        }
        let Some(row) = &write.after else { return };
        let old = keys_at(write.before.as_ref(), index);
        for key in &row.keys[index] {
            if old.binary_search(key).is_ok() {
                let probe = Probe {
                    key: key.as_str(),
                    id: &write.id,
                };
                if let Some(entry) = entries.get_mut(&probe) {
                    entry.record = Arc::clone(&row.record);
                }
            } else {
                let place = Place {
                    key: key.clone(),
                    id: Arc::clone(&write.id),
                };
                let record = Arc::clone(&row.record);
                entries.insert(
                    place,
                    Entry {
                        record,
                        stamp: write.stamp.clone(),
                    },
                );
            }
        }
    }

    fn restamp(&mut self, index: usize, key: &IndexKey, stamp: Stamp) {
        let Some((holder, _)) = self.holder(index, key) else {
            return;
        };
        let holder = Arc::clone(holder);
        let probe = Probe {
            key: key.as_str(),
            id: holder.id(),
        };
        if let Some(entry) = self.indexes[index].get_mut(&probe) {
            entry.stamp = stamp;
        }
    }
}

/// All tables and fences at one point of the history.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) schema: Arc<Schema>,
    tables: Vec<Arc<Table>>,
    pub(crate) fences: OrdMap<EngineKey, Stamp>,
}

impl State {
    pub(crate) fn new(schema: Arc<Schema>) -> Self {
        let empty: Arc<[IndexSpec]> = Arc::from([]);
        let tables = KINDS
            .iter()
            .map(|line| schema.spec(line.kind).map_or(&empty, |spec| &spec.indexes))
            .map(|specs| Arc::new(Table::new(Arc::clone(specs))))
            .collect();
        Self {
            schema,
            tables,
            fences: OrdMap::new(),
        }
    }

    pub(crate) fn table(&self, kind: Kind) -> &Table {
        &self.tables[kind as usize]
    }

    pub(crate) fn table_mut(&mut self, kind: Kind) -> &mut Table {
        Arc::make_mut(&mut self.tables[kind as usize])
    }

    pub(crate) fn replace(&mut self, kind: Kind, table: Table) {
        self.tables[kind as usize] = Arc::new(table);
    }

    pub(crate) fn apply(&mut self, write: &Write) {
        self.table_mut(write.kind).apply(write);
    }

    /// Says when the engine last wrote a fence, or the claim of a key that is held.
    pub(crate) fn restamp(&mut self, key: &EngineKey, stamp: Stamp) {
        match key {
            EngineKey::Fence(..) | EngineKey::Census(_) => {
                self.fences.insert(key.clone(), stamp);
            }
            EngineKey::Claim(kind, name, key) => {
                let specs = self.table(*kind).specs();
                if let Some(index) = specs.iter().position(|s| s.unique && s.name == *name) {
                    self.table_mut(*kind).restamp(index, key, stamp);
                }
            }
            // A record carries its own.
            EngineKey::Record(..) => {}
        }
    }
}
