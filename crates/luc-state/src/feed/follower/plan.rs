//! The one transaction that applies a batch.

use std::sync::Arc;

use luc_core::SitePrefix;

use super::Expectations;
use super::aside::{self, Verdict};
use crate::broken::Broken;
use crate::feed::incoming::Incoming;
use crate::feed::records::{FeedCursor, FeedFilter};
use crate::feed::refusal::BatchRefused;
use crate::feed::{Filter, Withheld, rules};
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
    /// What the site is called, if that decides how its domains are.
    pub(super) called: Option<&'a str>,
}

impl Plan<'_> {
    pub(super) fn run(&self, tx: &mut Tx<'_>) -> Result<(), Halt> {
        tx.adopt(&self.incoming.stamp);
        let held = tx.get::<FeedCursor>(&self.cursor.site);
        let checked = !tx.is_broken(Broken::CursorUnchecked);
        if checked && held.as_ref().map(|held| held.value()) != self.saved {
            return Err(Halt::Superseded);
        }
        // First, for it says how far the site is trusted.
        tx.note(self.cursor.clone());
        let crowded = !tx.all::<Withheld>().is_empty();
        if self.forget || self.narrow.is_some() {
            self.purge(tx);
        }
        for (kind, id) in &self.incoming.gone {
            let own = tx.erased(*kind, id);
            if own.is_some_and(|record| record.envelope().home == self.home) {
                tx.set(*kind, id, None);
            }
        }
        if crowded {
            let told = self.incoming.gone.iter().chain(self.incoming.puts.keys());
            told.for_each(|(kind, id)| aside::release(tx, self.home, *kind, id));
        }
        let mut placed = Vec::new();
        for ((kind, id), row) in &self.incoming.puts {
            self.check_belief(*kind, id, row)?;
            if self.make_room(tx, (*kind, id), row)? {
                placed.push(((*kind, id), row));
            }
        }
        for ((kind, id), row) in &placed {
            tx.set(*kind, id, Some((*row).clone()));
        }
        for ((kind, id), row) in &placed {
            self.check_place(tx, (*kind, id), row)?;
        }
        if let Some(filter) = self.filter {
            tx.note(FeedFilter {
                site: self.cursor.site.clone(),
                filter: filter.clone(),
            });
        }
        aside::settle(tx);
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
        for aside in tx.all::<Withheld>() {
            let row = aside::row_of(tx, &aside);
            let outside = |filter: &Filter| {
                let unwanted =
                    |(kind, row): &(_, Row)| !filter.admits(*kind, &row.record.envelope().scope);
                row.as_ref().is_some_and(unwanted)
            };
            let goes = self.forget || self.narrow.is_some_and(outside);
            if aside.home == self.home && goes {
                tx.set(Kind::Withheld, &aside.id.as_str().into(), None);
            }
        }
    }

    /// Takes the keys of unique indexes from copies that have them no longer at their home: of what
    /// the same step changes too, in this batch or a later part. Puts aside what is weaker, or the
    /// record itself; whether it can stand.
    fn make_room(
        &self,
        tx: &mut Tx<'_>,
        (kind, id): (Kind, &Arc<str>),
        row: &Row,
    ) -> Result<bool, BatchRefused> {
        let there = tx.erased(kind, id).map(|record| record.envelope().home);
        let home = there.filter(|home| *home != self.home);
        if let Some(home) = home.filter(|_| kind == Kind::Domain && &**id == DEFAULT_DOMAIN) {
            // Nobody makes it in a split: there is one from the founding on.
            let id = id.to_string();
            return Err(BatchRefused::Foreign { kind, id, home });
        }
        for (holder, _, _) in tx.holders(kind, row) {
            if holder.envelope().home == self.home {
                tx.set(kind, &Arc::from(holder.id()), None);
            }
        }
        match aside::judge(tx, kind, row) {
            Verdict::Stands(weaker) => {
                for (weaker, against) in weaker {
                    aside::withhold(tx, kind, &weaker, &against);
                }
                Ok(true)
            }
            Verdict::GivesWay(against) => {
                aside::withhold(tx, kind, row, &against);
                Ok(false)
            }
        }
    }

    /// What is not believed of a site whatever else is held.
    fn check_belief(&self, kind: Kind, id: &Arc<str>, row: &Row) -> Result<(), BatchRefused> {
        if self.expectations.trusted {
            return Ok(());
        }
        if kind == Kind::Domain && &**id == DEFAULT_DOMAIN {
            return Err(BatchRefused::Untrusted);
        }
        let named = match self.called {
            Some(called) if kind == Kind::Domain => rules::check_name(called, &row.record),
            _ => Ok(()),
        };
        let placed = rules::check_untrusted(kind, id, row.record.envelope());
        named.and(placed).map_err(|reason| {
            let id = id.to_string();
            BatchRefused::Misplaced { kind, id, reason }
        })
    }

    fn check_place(
        &self,
        tx: &mut Tx<'_>,
        (kind, id): (Kind, &Arc<str>),
        row: &Row,
    ) -> Result<(), BatchRefused> {
        let domains = |domain: &str| {
            let found = tx.erased(Kind::Domain, domain);
            found.map(|record| record.envelope().home)
        };
        let Err(reason) = rules::check(kind, id, row.record.envelope(), domains) else {
            return Ok(());
        };
        if let Some(against) = aside::excuse(tx, self.home, &reason) {
            aside::withhold(tx, kind, row, &against);
            return Ok(());
        }
        let id = id.to_string();
        Err(BatchRefused::Misplaced { kind, id, reason })
    }
}
