//! What a site holds of another is what that one held at the revision and under the filter that
//! the follower says: a prefix of its home's history. Rule 3 of the state contract.
//!
//! While the parts of a step are applied records of two states are held; then nothing is said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use luc_core::SitePrefix;

use crate::ledger::{Book, Cell, Ledger, Mirror, Step, Violation};

/// The invariant.
pub(crate) const REPLICAS_ARE_PREFIXES: &str =
    "replicas are prefixes of their home's history under their filter";

/// Looks at what a site has written, and at what moved at the homes it follows.
pub(crate) fn look(
    book: &Book,
    steps: &[Step],
    moved: &BTreeMap<SitePrefix, Vec<Arc<str>>>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for (home, mirror) in book.mirrors.iter().filter(|(_, mirror)| mirror.whole) {
        if mirror.unsure {
            found.extend(compare(book, *home, mirror));
            continue;
        }
        let of_home = |cell: &Option<Arc<Cell>>| cell.as_ref().is_some_and(|c| c.home == *home);
        let written = steps
            .iter()
            .filter(|s| of_home(&s.before) || of_home(&s.after));
        let mut keys: BTreeSet<&Arc<str>> = written.map(|step| &step.key).collect();
        keys.extend(moved.get(home).into_iter().flatten());
        found.extend(
            keys.into_iter()
                .filter_map(|key| differs(book, *home, mirror, key)),
        );
    }
    let followed = |cell: &Cell| book.mirrors.contains_key(&cell.home);
    let strange = steps.iter().filter_map(|step| step.after.as_ref());
    let strange = strange.filter(|cell| cell.home != book.site && !followed(cell));
    found.extend(strange.map(|cell| accuse(book, &cell.key, "its home is not followed")));
    found
}

/// Every difference between what a site holds of `home` and what it should.
fn compare(book: &Book, home: SitePrefix, mirror: &Mirror) -> Vec<Violation> {
    let held = book.now.values().filter(|cell| cell.home == home);
    let mut keys: BTreeSet<&Arc<str>> = held.map(|cell| &cell.key).collect();
    keys.extend(mirror.held.keys());
    let differing = keys
        .into_iter()
        .filter_map(|key| differs(book, home, mirror, key));
    differing.collect()
}

fn differs(book: &Book, home: SitePrefix, mirror: &Mirror, key: &Arc<str>) -> Option<Violation> {
    let admits = |cell: &&Arc<Cell>| mirror.filter.admits(cell.kind, &cell.scope);
    let should = mirror.held.get(key).filter(|cell| cell.home == home);
    let should = should.filter(admits);
    let is = book.now.get(key).filter(|cell| cell.home == home);
    let revision = mirror.revision;
    let seen = match (should, is) {
        (None, None) => return None,
        (Some(should), Some(is)) if should.same(is) => return None,
        (Some(_), Some(is)) => format!("is not what {home} had at {revision}: {}", is.value()),
        (Some(_), None) => format!("is missing, {home} had it at {revision}"),
        (None, Some(_)) => format!("is held, {home} had no such at {revision}"),
    };
    Some(accuse(book, key, &seen))
}

fn accuse(book: &Book, key: &str, seen: &str) -> Violation {
    Violation {
        invariant: REPLICAS_ARE_PREFIXES,
        seen: format!("at {}: {key} {seen}", book.site),
    }
}

/// Whether every site holds of every other exactly what that one holds now: the end of a run.
pub(crate) fn behind(ledger: &Ledger) -> Vec<Violation> {
    let mut found = Vec::new();
    let joined = || ledger.books().iter().filter(|book| book.joined);
    for book in joined() {
        let others = joined().filter(|other| other.site != book.site);
        for home in others {
            let Some(mirror) = book.mirrors.get(&home.site) else {
                let seen = format!("follows nothing of {}", home.site);
                found.push(accuse(book, "", &seen));
                continue;
            };
            let newest = Mirror {
                revision: u64::MAX,
                filter: mirror.filter.clone(),
                held: home.now.clone(),
                ..Mirror::default()
            };
            found.extend(compare(book, home.site, &newest));
        }
    }
    found
}
