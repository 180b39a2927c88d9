//! What the feed does inside a transaction: rows whose type is not named, of any home.
//!
//! [`Tx::insert`] and its like write this site's records and are all that services have. The feed
//! also writes the copies of others' records, and tombstones where a record of this site goes out
//! of somebody's sight. Nothing here checks who may write what; `feed::follower` does.

use std::sync::Arc;

use luc_core::SitePrefix;

use super::Tx;
use crate::broken::Broken;
use crate::envelope::Erased;
use crate::feed::Tombstone;
use crate::key::{EngineKey, IndexKey};
use crate::kinds::{KINDS, Kind};
use crate::record::{Envelope, Record, Stored};
use crate::revision::Stamp;
use crate::scope::Scope;
use crate::table::{Row, Write};

impl Tx<'_> {
    /// Takes `stamp` for everything this transaction writes, which must not have written yet: so
    /// that records can be read from their stored form before the transaction runs. The stamp may
    /// be used by several runs of one transaction, of which at most one is committed.
    pub(crate) fn adopt(&mut self, stamp: &Stamp) {
        debug_assert!(self.writes.is_empty(), "too late to change the stamp");
        self.stamp = stamp.clone();
    }

    /// The record of any type with this id.
    pub(crate) fn erased(&self, kind: Kind, id: &str) -> Option<Erased> {
        let found = self.table(kind).row(id).map(|(_, row)| &row.record);
        if self.shared {
            let seen = EngineKey::Record(kind, id.into());
            self.saw(seen, found.map(|record| record.stamp()));
        }
        found.cloned()
    }

    /// The same, with the keys under which indexes have it.
    pub(crate) fn row(&self, kind: Kind, id: &str) -> Option<Row> {
        self.erased(kind, id)?;
        self.table(kind).row(id).map(|(_, row)| row.clone())
    }

    /// The record that `bytes` are, as this transaction would write it.
    pub(crate) fn read_row(&self, kind: Kind, id: &str, bytes: &[u8]) -> Option<Row> {
        let spec = self.head.schema.spec(kind)?;
        (spec.decode)(id, bytes, self.stamp.clone())
            .ok()
            .map(Row::new)
    }

    /// The site whose store this is.
    pub(crate) const fn site(&self) -> SitePrefix {
        self.site
    }

    /// Every record whose home is `home`.
    pub(crate) fn of_home(&self, home: SitePrefix) -> Vec<(Kind, Arc<str>)> {
        let held = KINDS.iter().flat_map(|line| {
            let rows = self.table(line.kind).rows();
            rows.filter(|(_, row)| row.record.envelope().home == home)
                .map(|(id, _)| (line.kind, Arc::clone(id)))
        });
        held.collect()
    }

    /// Who holds a key of a unique index that `row` would take, with the name of the index and the
    /// key; a record never stands in its own way.
    pub(crate) fn holders(&self, kind: Kind, row: &Row) -> Vec<(Erased, Arc<str>, IndexKey)> {
        let (table, id) = (self.table(kind), row.record.id());
        let mut found = Vec::new();
        for (position, spec) in table.specs().iter().enumerate().filter(|(_, s)| s.unique) {
            for key in &row.keys[position] {
                let holder = table.holder(position, key);
                let claim = EngineKey::Claim(kind, Arc::clone(&spec.name), key.clone());
                self.saw(claim, holder.map(|(_, stamp)| stamp));
                if let Some((holder, _)) = holder.filter(|(holder, _)| holder.id() != id) {
                    found.push((Arc::clone(holder), Arc::clone(&spec.name), key.clone()));
                }
            }
        }
        found
    }

    /// Makes `after` what stands under `id`, whatever was there and whoever is its home.
    pub(crate) fn set(&mut self, kind: Kind, id: &Arc<str>, after: Option<Row>) {
        let before = self.table(kind).row(id).map(|(_, row)| row.clone());
        let seen = before.as_ref().map(|row| row.record.stamp());
        self.saw(EngineKey::Record(kind, Arc::clone(id)), seen);
        if before.is_none() && after.is_none() {
            return;
        }
        self.change(Write {
            kind,
            id: Arc::clone(id),
            before,
            after,
            stamp: self.stamp.clone(),
        });
    }

    /// Writes a record of the feed's own, whose home is this site.
    pub(crate) fn note<R: Record>(&mut self, value: R) {
        let id: Arc<str> = value.id().into();
        let stored = Stored {
            envelope: Envelope {
                home: self.site,
                epoch: 0,
                scope: value.scope(),
                schema: R::SCHEMA,
            },
            value,
            stamp: self.stamp.clone(),
            unknown: None,
        };
        self.set(R::KIND, &id, Some(Row::new(Arc::new(stored))));
    }

    /// Leaves a tombstone where a record of this site had the scope `was` and has `is` now, so that
    /// sites which may only have held it before hear that it is gone; takes it away where it is
    /// seen again.
    pub(super) fn bury(&mut self, kind: Kind, id: &str, was: Option<&Scope>, is: Option<&Scope>) {
        let kept = self.head.schema.spec(Kind::Tombstone).is_some();
        let dropped = self.is_broken(Broken::TombstonesDropped);
        if !kept || dropped || was == is || matches!(is.or(was), None | Some(Scope::Site)) {
            return;
        }
        let grave = Tombstone::id_of(kind, id);
        let old = self.erased(Kind::Tombstone, &grave);
        let old = old.as_ref().and_then(crate::envelope::typed::<Tombstone>);
        let before = old.as_ref().map_or(&[][..], |old| &old.scopes);
        let mut scopes = before.to_vec();
        scopes.extend(was.filter(|was| !before.contains(was)).cloned());
        scopes.retain(|scope| Some(scope) != is);
        if scopes.is_empty() {
            self.set(Kind::Tombstone, &grave, None);
        } else if scopes != before || was.is_some() {
            self.note(Tombstone::new(kind, id, scopes));
        }
    }
}
