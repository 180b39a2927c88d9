//! Which copies stand in the tables and which are kept aside, where records of several homes have
//! one id or one key of a unique index.
//!
//! **Invariant** after each transaction the copies in the tables are those that one gets by taking
//! all records in the order of their ranks and leaving out each that an earlier one excludes. So
//! it does not matter in which order they came. Called by the plan of a batch, and when this site's
//! own records have changed.

use std::sync::Arc;

use luc_core::SitePrefix;

use crate::envelope::Erased;
use crate::feed::records::FeedCursor;
use crate::feed::rules::{self, Misplaced};
use crate::feed::withheld::{Against, Rank, Standing, Withheld};
use crate::kinds::{HomeRule, Kind};
use crate::scope::Scope;
use crate::table::Row;
use crate::tx::Tx;

/// Whether a record can stand in its table.
pub(super) enum Verdict {
    /// It can, once these have made way.
    Stands(Vec<(Row, Against)>),
    /// It cannot, because of this one.
    GivesWay(Against),
}

fn rank(tx: &Tx<'_>, record: &Erased) -> Rank {
    let (id, envelope) = (record.id(), record.envelope());
    let standing = if envelope.home == tx.site() {
        Standing::Own
    } else {
        match tx.get::<FeedCursor>(envelope.home.to_string()) {
            Some(cursor) if !cursor.edge => Standing::Trusted,
            _ => Standing::Edge,
        }
    };
    Rank::of(standing, id, envelope)
}

fn against(kind: Kind, record: &Erased, index: Option<&str>) -> Against {
    Against {
        kind: kind.name().to_owned(),
        record: record.id().to_owned(),
        home: record.envelope().home,
        index: index.map(str::to_owned),
    }
}

/// Whether `row`, which is not in its table, can stand there.
pub(super) fn judge(tx: &Tx<'_>, kind: Kind, row: &Row) -> Verdict {
    let record = &row.record;
    let same = tx.row(kind, record.id());
    let same = same.filter(|found| found.record.envelope().home != record.envelope().home);
    let same = same.map(|found| (found, None));
    let named = tx.holders(kind, row).into_iter();
    let named = named.filter_map(|(holder, index, _)| Some((tx.row(kind, holder.id())?, index)));
    let named = named.map(|(found, index)| (found, Some(index)));
    let in_the_way: Vec<_> = same.into_iter().chain(named).collect();
    if in_the_way.is_empty() {
        return Verdict::Stands(Vec::new());
    }
    let mine = rank(tx, record);
    let mut weaker = Vec::new();
    for (found, index) in in_the_way {
        if rank(tx, &found.record) <= mine {
            return Verdict::GivesWay(against(kind, &found.record, index.as_deref()));
        }
        weaker.push((found, against(kind, record, index.as_deref())));
    }
    Verdict::Stands(weaker)
}

/// Keeps `row` aside; out of its table, if it stands there, and with all that depends on it.
pub(super) fn withhold(tx: &mut Tx<'_>, kind: Kind, row: &Row, against: &Against) {
    put_aside(tx, kind, row, against);
    if kind != Kind::Domain {
        return;
    }
    // What a domain owns is believed of its home alone, and this home is not that any more.
    let home = row.record.envelope().home;
    for (kind, id) in tx.of_home(home) {
        let found = tx.row(kind, &id).filter(|found| {
            let scope = &found.record.envelope().scope;
            let inside =
                matches!(scope, Scope::Domain(domain) if domain.as_str() == row.record.id());
            inside && kind.spec().home == HomeRule::OfDomain
        });
        if let Some(found) = found {
            put_aside(tx, kind, &found, against);
        }
    }
}

fn put_aside(tx: &mut Tx<'_>, kind: Kind, row: &Row, against: &Against) {
    let (id, home) = (row.record.id(), row.record.envelope().home);
    let there = tx.erased(kind, id).map(|record| record.envelope().home);
    if there == Some(home) {
        tx.set(kind, &id.into(), None);
    }
    let stored = row.record.encode().ok();
    let stored = stored.and_then(|stored| serde_json::from_str(stored.get()).ok());
    tx.note(Withheld {
        id: Withheld::id_of(home, kind, id).to_string(),
        home,
        kind: kind.name().to_owned(),
        record: id.to_owned(),
        against: against.clone(),
        stored: stored.unwrap_or_default(),
    });
}

/// Forgets that a record of `home` is kept aside.
pub(super) fn release(tx: &mut Tx<'_>, home: SitePrefix, kind: Kind, id: &str) {
    tx.set(Kind::Withheld, &Withheld::id_of(home, kind, id), None);
}

/// What the domain of a misplaced record gives way to, if that is why it is misplaced.
pub(super) fn excuse(tx: &Tx<'_>, home: SitePrefix, reason: &Misplaced) -> Option<Against> {
    let (Misplaced::Domain { domain, .. } | Misplaced::NoDomain(domain)) = reason else {
        return None;
    };
    let aside = tx.get::<Withheld>(Withheld::id_of(home, Kind::Domain, domain))?;
    Some(aside.against.clone())
}

/// The record that is kept aside, as its table would have it.
pub(super) fn row_of(tx: &Tx<'_>, aside: &Withheld) -> Option<(Kind, Row)> {
    let kind = Kind::named(&aside.kind)?;
    let bytes = serde_json::to_vec(&aside.stored).ok()?;
    Some((kind, tx.read_row(kind, &aside.record, &bytes)?))
}

/// Lets all stand that nothing stands in the way of any more.
pub(in crate::feed) fn settle(tx: &mut Tx<'_>) {
    // Each pass lets something stand that is stronger than all that it puts aside, so they end.
    while pass(tx) {}
}

fn pass(tx: &mut Tx<'_>) -> bool {
    let aside = tx.all::<Withheld>();
    let mut rows: Vec<_> = aside
        .iter()
        .filter_map(|aside| {
            let (kind, row) = row_of(tx, aside)?;
            Some((rank(tx, &row.record), kind, row, Arc::clone(aside)))
        })
        .collect();
    rows.sort_by(|left, right| {
        let place = |of: &(Rank, Kind, Row, _)| (of.0, of.1, of.2.record.id().to_owned());
        place(left).cmp(&place(right))
    });
    let mut moved = false;
    for (_, kind, row, aside) in rows {
        let domains = |domain: &str| {
            let found = tx.erased(Kind::Domain, domain);
            found.map(|record| record.envelope().home)
        };
        let (id, envelope) = (row.record.id(), row.record.envelope());
        if rules::check(kind, id, envelope, domains).is_err() {
            continue;
        }
        match judge(tx, kind, &row) {
            Verdict::Stands(weaker) => {
                stand(tx, kind, &row, weaker);
                moved = true;
            }
            Verdict::GivesWay(against) if against != aside.against => {
                put_aside(tx, kind, &row, &against);
            }
            Verdict::GivesWay(_) => {}
        }
    }
    moved
}

/// Puts `row` into its table, in place of those that are weaker.
fn stand(tx: &mut Tx<'_>, kind: Kind, row: &Row, weaker: Vec<(Row, Against)>) {
    for (weaker, against) in weaker {
        withhold(tx, kind, &weaker, &against);
    }
    release(tx, row.record.envelope().home, kind, row.record.id());
    tx.set(kind, &row.record.id().into(), Some(row.clone()));
}
