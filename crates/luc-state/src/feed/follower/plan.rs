//! The one transaction that applies a batch.

use std::sync::Arc;

use luc_core::SitePrefix;

use super::Expectations;
use crate::broken::Broken;
use crate::feed::incoming::Incoming;
use crate::feed::records::{FeedCursor, FeedFilter};
use crate::feed::refusal::BatchRefused;
use crate::feed::{Filter, rules};
use crate::kinds::{DEFAULT_DOMAIN, Kind};
use crate::table::Row;
use crate::tx::Tx;

/// Why the transaction was given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    #[error(transparent)]
    Refused(#[from] BatchRefused),
    #[error("the cursor is not where it was left")]
    Superseded,
}

/// What is to be done in one transaction.
pub(super) struct Plan<'a> {
    pub(super) home: SitePrefix,
    /// The cursor as this follower left it.
    pub(super) saved: Option<&'a FeedCursor>,
    pub(super) cursor: &'a FeedCursor,
    /// The filter that is held from now on, if it is another.
    pub(super) filter: Option<&'a Filter>,
    /// Whether all copies go that the batch does not bring.
    pub(super) forget: bool,
    /// Whether the copies go that this filter does not admit.
    pub(super) narrow: Option<&'a Filter>,
    pub(super) incoming: &'a Incoming,
    pub(super) expectations: Expectations,
}

impl Plan<'_> {
    pub(super) fn run(&self, tx: &mut Tx<'_>) -> Result<(), Halt> {
        tx.adopt(&self.incoming.stamp);
        let held = tx.get::<FeedCursor>(&self.cursor.site);
        let checked = !tx.is_broken(Broken::CursorUnchecked);
        if checked && held.as_ref().map(|held| held.value()) != self.saved {
            return Err(Halt::Superseded);
        }
        if self.forget || self.narrow.is_some() {
            self.purge(tx);
        }
        for (kind, id) in &self.incoming.gone {
            let own = tx.erased(*kind, id);
            if own.is_some_and(|record| record.envelope().home == self.home) {
                tx.set(*kind, id, None);
            }
        }
        for ((kind, id), row) in &self.incoming.puts {
            self.make_room(tx, (*kind, id), row)?;
        }
        for ((kind, id), row) in &self.incoming.puts {
            tx.set(*kind, id, Some(row.clone()));
        }
        for ((kind, id), row) in &self.incoming.puts {
            self.check_place(tx, (*kind, id), row)?;
        }
        if let Some(filter) = self.filter {
            tx.note(FeedFilter {
                site: self.cursor.site.clone(),
                filter: filter.clone(),
            });
        }
        tx.note(self.cursor.clone());
        Ok(())
    }

    /// Removes the copies that are not wanted any more.
    fn purge(&self, tx: &mut Tx<'_>) {
        for (kind, id) in tx.of_home(self.home) {
            let place = (kind, id);
            let comes = self.incoming.puts.contains_key(&place);
            let (kind, id) = place;
            let outside = |filter: &Filter| {
                let record = tx.erased(kind, &id);
                record.is_some_and(|record| !filter.admits(kind, &record.envelope().scope))
            };
            if !comes && (self.forget || self.narrow.is_some_and(outside)) {
                tx.set(kind, &id, None);
            }
        }
    }

    /// Takes the keys of unique indexes from copies that have them no longer at their home: of what
    /// the same step changes too, in this batch or a later part.
    fn make_room(
        &self,
        tx: &mut Tx<'_>,
        (kind, id): (Kind, &Arc<str>),
        row: &Row,
    ) -> Result<(), BatchRefused> {
        let there = tx.erased(kind, id).map(|record| record.envelope().home);
        if let Some(home) = there.filter(|home| *home != self.home) {
            let id = id.to_string();
            return Err(BatchRefused::Foreign { kind, id, home });
        }
        for (holder, index, key) in tx.holders(kind, row) {
            if holder.envelope().home != self.home {
                return Err(BatchRefused::Duplicate {
                    kind,
                    id: id.to_string(),
                    index: index.to_string(),
                    key,
                    holder: holder.id().to_owned(),
                });
            }
            tx.set(kind, &Arc::from(holder.id()), None);
        }
        Ok(())
    }

    fn check_place(
        &self,
        tx: &Tx<'_>,
        (kind, id): (Kind, &Arc<str>),
        row: &Row,
    ) -> Result<(), BatchRefused> {
        if kind == Kind::Domain && &**id == DEFAULT_DOMAIN && !self.expectations.trusted {
            return Err(BatchRefused::Untrusted);
        }
        if !self.expectations.trusted {
            rules::check_untrusted(kind, id, row.record.envelope()).map_err(|reason| {
                let id = id.to_string();
                BatchRefused::Misplaced { kind, id, reason }
            })?;
        }
        let domains = |domain: &str| {
            let found = tx.erased(Kind::Domain, domain);
            found.map(|record| record.envelope().home)
        };
        rules::check(kind, id, row.record.envelope(), domains).map_err(|reason| {
            let id = id.to_string();
            BatchRefused::Misplaced { kind, id, reason }
        })
    }
}
