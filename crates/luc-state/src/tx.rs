//! One run of a transaction: reads and writes against the speculative head.
//!
//! A [`Tx`] sees the head as it was when the run began, and what it wrote itself. It changes
//! nothing but copies of the tables it touches; the ledger takes those over if the run succeeds.
//! It notes what it saw, so that the engine can tell whether another controller changed it.

mod raw;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use luc_core::SitePrefix;

use crate::broken::Broken;
use crate::envelope::Erased;
use crate::key::{EngineKey, IndexKey};
use crate::kinds::{DEFAULT_DOMAIN, HomeRule, Kind};
use crate::record::{Envelope, Index, Record, Stored};
use crate::revision::Stamp;
use crate::schema::position;
use crate::scope::Scope;
use crate::table::{Row, State, Table, Write};

/// The longest id in bytes. Ids of several parts (`IdForm::Parts`) are longer than those of one.
const ID_BYTES_MAX: usize = 2048;

/// A running transaction, given to the closure of [`Store::transact`](crate::Store::transact).
///
/// Every method panics if the store was opened without a table for the record type.
pub struct Tx<'a> {
    head: &'a State,
    site: SitePrefix,
    shared: bool,
    stamp: Stamp,
    touched: BTreeMap<Kind, Table>,
    writes: Vec<Write>,
    reads: RefCell<Reads>,
    /// A rule that is not kept; never in production.
    pub(crate) broken: Option<Broken>,
}

/// What a transaction saw: each engine key with the stamp it had, `None` if it was absent.
pub(crate) type Reads = BTreeMap<EngineKey, Option<Stamp>>;

/// Why a change was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// An insert of an id that is taken.
    #[error("there is already a {kind} '{id}'")]
    Exists {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
    },
    /// An update or delete of a record that is not there.
    #[error("there is no {kind} '{id}'")]
    Missing {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
    },
    /// A key of a unique index is taken by another record.
    #[error("the {index} '{key}' belongs to another {kind}")]
    Duplicate {
        /// The kind.
        kind: Kind,
        /// The name of the index.
        index: &'static str,
        /// The key that is taken.
        key: IndexKey,
        /// The id of the record that has it.
        holder: String,
    },
    /// The scope of the record does not fit the rule of its kind.
    #[error("a {kind} cannot have the scope '{scope}'")]
    Scope {
        /// The kind.
        kind: Kind,
        /// The scope the record names.
        scope: Scope,
    },
    /// The id is empty or too long.
    #[error("a {kind} cannot have an id of {length} bytes: 1 to {ID_BYTES_MAX} are possible")]
    Id {
        /// The kind.
        kind: Kind,
        /// The length in bytes.
        length: usize,
    },
    /// Another site is the home of the record, and only it may write it.
    #[error("the {kind} '{id}' is written by site {home} alone")]
    Elsewhere {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
        /// The site that must do it.
        home: SitePrefix,
    },
}

/// What a run leaves behind.
pub(crate) struct Run {
    pub(crate) stamp: Stamp,
    pub(crate) touched: BTreeMap<Kind, Table>,
    pub(crate) writes: Vec<Write>,
    pub(crate) reads: Reads,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(head: &'a State, site: SitePrefix, shared: bool) -> Self {
        Self {
            head,
            site,
            shared,
            stamp: Stamp::pending(),
            touched: BTreeMap::new(),
            writes: Vec::new(),
            reads: RefCell::default(),
            broken: None,
        }
    }

    /// Whether this transaction, for a test, does not keep `rule`.
    pub(crate) fn is_broken(&self, rule: Broken) -> bool {
        self.broken == Some(rule)
    }

    pub(crate) fn finish(self) -> Run {
        Run {
            stamp: self.stamp,
            touched: self.touched,
            writes: self.writes,
            reads: self.reads.into_inner(),
        }
    }

    /// Which records were written or removed so far, in that order; tombstones aside.
    pub(crate) fn written(&self) -> impl Iterator<Item = (Kind, Arc<str>)> + '_ {
        let named = |write: &Write| (write.kind, Arc::clone(&write.id));
        let tombstone = |write: &&Write| write.kind == Kind::Tombstone;
        self.writes
            .iter()
            .filter(move |write| !tombstone(write))
            .map(named)
    }

    /// The record with this id.
    pub fn get<R: Record>(&self, id: impl AsRef<str>) -> Option<Arc<Stored<R>>> {
        self.head.schema.expect::<R>();
        let id = id.as_ref();
        let found = self.table(R::KIND).get::<R>(id);
        if self.shared {
            let stamp = found.as_ref().map(|stored| &stored.stamp);
            self.saw(EngineKey::Record(R::KIND, id.into()), stamp);
        }
        found
    }

    /// The records under `key` of `index`, in the order of their ids.
    ///
    /// In a site with several controllers this makes the transaction run again if another
    /// controller changed one of these records, or which records have the key.
    pub fn find<R: Record>(&self, index: &Index<R>, key: &IndexKey) -> Vec<Arc<Stored<R>>> {
        self.head.schema.expect::<R>();
        if index.is_unique() {
            return self.one(index, key).into_iter().collect();
        }
        if self.shared {
            let name = &self.head.table(R::KIND).specs()[position(index)].name;
            self.saw_fence(EngineKey::fence(R::KIND, name, key));
        }
        let found: Vec<_> = self.table(R::KIND).find(index, key).collect();
        self.saw_all(&found);
        found
    }

    /// The record that holds `key` of the unique index `index`.
    pub fn one<R: Record>(&self, index: &Index<R>, key: &IndexKey) -> Option<Arc<Stored<R>>> {
        self.head.schema.expect::<R>();
        if !index.is_unique() {
            return self.find(index, key).into_iter().next();
        }
        let position = position(index);
        let table = self.table(R::KIND);
        if self.shared {
            let stamp = table.holder(position, key).map(|(_, stamp)| stamp);
            let name = Arc::clone(&table.specs()[position].name);
            self.saw(EngineKey::Claim(R::KIND, name, key.clone()), stamp);
        }
        let found = table.find(index, key).next();
        self.saw_all(found.as_slice());
        found
    }

    /// All records of the type, in the order of their ids. What [`Self::find`] says of several
    /// controllers holds here for the whole table.
    pub fn all<R: Record>(&self) -> Vec<Arc<Stored<R>>> {
        self.head.schema.expect::<R>();
        self.saw_fence(EngineKey::Census(R::KIND));
        let found: Vec<_> = self.table(R::KIND).all().collect();
        self.saw_all(&found);
        found
    }

    /// How many records of the type there are.
    pub fn count<R: Record>(&self) -> usize {
        self.head.schema.expect::<R>();
        self.saw_fence(EngineKey::Census(R::KIND));
        self.table(R::KIND).len()
    }

    /// Adds a record. The table of kinds says which site is its home; this must be that site.
    pub fn insert<R: Record>(&mut self, value: R) -> Result<Arc<Stored<R>>, TxError> {
        self.write(value, |kind, id, before| match before {
            Some(_) => Err(TxError::Exists {
                kind,
                id: id.to_owned(),
            }),
            None => Ok(()),
        })
    }

    /// Replaces a record that is there; home and epoch stay.
    pub fn update<R: Record>(&mut self, value: R) -> Result<Arc<Stored<R>>, TxError> {
        self.write(value, |kind, id, before| match before {
            Some(_) => Ok(()),
            None => Err(TxError::Missing {
                kind,
                id: id.to_owned(),
            }),
        })
    }

    /// Adds a record, or replaces the one with its id.
    pub fn put<R: Record>(&mut self, value: R) -> Result<Arc<Stored<R>>, TxError> {
        self.write(value, |_, _, _| Ok(()))
    }

    /// Removes a record and gives back what it was.
    pub fn delete<R: Record>(&mut self, id: impl AsRef<str>) -> Result<Arc<Stored<R>>, TxError> {
        self.head.schema.expect::<R>();
        let id = id.as_ref();
        let (table, kind) = (self.table(R::KIND), R::KIND);
        let found = table.row(id).map(|(id, row)| (Arc::clone(id), row.clone()));
        let gone = table.get::<R>(id);
        let (Some((id, before)), Some(gone)) = (found, gone) else {
            self.saw(EngineKey::Record(kind, id.into()), None);
            return Err(TxError::Missing {
                kind,
                id: id.to_owned(),
            });
        };
        self.saw(
            EngineKey::Record(kind, Arc::clone(&id)),
            Some(before.record.stamp()),
        );
        self.check_home(kind, &id, gone.home())?;
        self.bury(kind, &id, Some(gone.scope()), None);
        let stamp = self.stamp.clone();
        self.change(Write {
            kind,
            id,
            before: Some(before),
            after: None,
            stamp,
        });
        Ok(gone)
    }

    fn write<R: Record>(
        &mut self,
        value: R,
        allowed: impl FnOnce(Kind, &str, Option<&Stored<R>>) -> Result<(), TxError>,
    ) -> Result<Arc<Stored<R>>, TxError> {
        self.head.schema.expect::<R>();
        let kind = R::KIND;
        let scope = value.scope();
        if !kind.spec().scope.allows(&scope) {
            return Err(TxError::Scope { kind, scope });
        }
        let length = value.id().len();
        if length == 0 || length > ID_BYTES_MAX {
            return Err(TxError::Id { kind, length });
        }
        let table = self.table(kind);
        let old = table.get::<R>(value.id());
        let row = table
            .row(value.id())
            .map(|(id, row)| (Arc::clone(id), row.clone()));
        let (id, before) = match row {
            Some((id, row)) => (id, Some(row)),
            None => (Arc::from(value.id()), None),
        };
        let seen = before.as_ref().map(|row| row.record.stamp());
        self.saw(EngineKey::Record(kind, Arc::clone(&id)), seen);
        allowed(kind, &id, old.as_deref())?;
        let home = match &old {
            Some(old) => old.home(),
            None if self.is_broken(Broken::HomesIgnored) => self.site,
            None => self.home_of_new(kind, &scope),
        };
        self.check_home(kind, &id, home)?;
        let old_scope = old.as_ref().map(|old| old.scope().clone());

        let envelope = Envelope {
            home,
            epoch: old.as_ref().map_or(0, |old| old.epoch()),
            scope,
            schema: old
                .as_ref()
                .map_or(0, |old| old.envelope.schema)
                .max(R::SCHEMA),
        };
        let unknown = old.and_then(|old| old.unknown.clone());
        let stored = Arc::new(Stored {
            value,
            envelope,
            stamp: self.stamp.clone(),
            unknown,
        });
        let record: Erased = Arc::clone(&stored) as Erased;
        let after = Some(Row::new(record));
        let write = Write {
            kind,
            id,
            before,
            after,
            stamp: self.stamp.clone(),
        };
        self.check_unique::<R>(&write)?;
        let was = old_scope.as_ref();
        self.bury(kind, &write.id, was, Some(stored.scope()));
        self.change(write);
        Ok(stored)
    }

    fn check_home(&self, kind: Kind, id: &str, home: SitePrefix) -> Result<(), TxError> {
        if home == self.site || self.is_broken(Broken::CopiesWritable) {
            return Ok(());
        }
        let id = id.to_owned();
        Err(TxError::Elsewhere { kind, id, home })
    }

    /// The home of a new record, by the rule of its kind. Where the domain that decides is not
    /// known here, nothing says that it is another site.
    fn home_of_new(&self, kind: Kind, scope: &Scope) -> SitePrefix {
        let domain = match (kind.spec().home, scope) {
            (HomeRule::OfDomain, Scope::Domain(domain)) => domain.as_str(),
            (HomeRule::OfDefaultDomain, _) => DEFAULT_DOMAIN,
            _ => return self.site,
        };
        let found = self.table(Kind::Domain).row(domain);
        let record = found.map(|(_, row)| &row.record);
        if self.shared {
            let seen = EngineKey::Record(Kind::Domain, domain.into());
            self.saw(seen, record.map(|record| record.stamp()));
        }
        record.map_or(self.site, |record| record.envelope().home)
    }

    fn check_unique<R: Record>(&self, write: &Write) -> Result<(), TxError> {
        let table = self.table(R::KIND);
        for (position, index) in R::INDEXES.iter().enumerate().filter(|(_, i)| i.is_unique()) {
            for key in write.claimed(position) {
                let holder = table.holder(position, key);
                let name = Arc::clone(&table.specs()[position].name);
                let claim = EngineKey::Claim(R::KIND, name, key.clone());
                self.saw(claim, holder.map(|(_, stamp)| stamp));
                if let Some((holder, _)) = holder {
                    return Err(TxError::Duplicate {
                        kind: R::KIND,
                        index: index.name(),
                        key: key.clone(),
                        holder: holder.id().to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    fn change(&mut self, write: Write) {
        let table = self.table(write.kind);
        for (position, spec) in table.specs().iter().enumerate().filter(|(_, s)| s.unique) {
            for key in write.released(position) {
                let stamp = table.holder(position, key).map(|(_, stamp)| stamp);
                let claim = EngineKey::Claim(write.kind, Arc::clone(&spec.name), key.clone());
                self.saw(claim, stamp);
            }
        }
        let head = self.head;
        let touched = self.touched.entry(write.kind);
        touched
            .or_insert_with(|| head.table(write.kind).clone())
            .apply(&write);
        self.writes.push(write);
    }

    fn table(&self, kind: Kind) -> &Table {
        self.touched
            .get(&kind)
            .unwrap_or_else(|| self.head.table(kind))
    }

    /// Notes the state in which the transaction found `key`; the first sight counts.
    fn saw(&self, key: EngineKey, stamp: Option<&Stamp>) {
        if !stamp.is_some_and(|stamp| stamp.same(&self.stamp)) {
            self.reads
                .borrow_mut()
                .entry(key)
                .or_insert_with(|| stamp.cloned());
        }
    }

    fn saw_fence(&self, fence: EngineKey) {
        if self.shared {
            let stamp = self.head.fences.get(&fence);
            self.saw(fence, stamp);
        }
    }

    fn saw_all<R: Record>(&self, found: &[Arc<Stored<R>>]) {
        if self.shared {
            for stored in found {
                self.saw(
                    EngineKey::Record(R::KIND, stored.id().into()),
                    Some(&stored.stamp),
                );
            }
        }
    }
}
