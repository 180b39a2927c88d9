//! What a site holds of another is what that one held at the revision and under the filter that
//! the follower says: a prefix of its home's history. Rule 3 of the state contract.
//!
//! While the parts of a step are applied records of two states are held; then nothing is said. Nor
//! of what an edge site lacks of domains and projects, or a site that is removed of anything: what
//! they ask for they may not be given. What a site feeds that is in the wrong hands is not its
//! history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use luc_core::SitePrefix;
use luc_state::Scope;

use super::edges_stay_inside;
use crate::ledger::{Book, Cell, Ledger, Mirror, Step, Violation};

/// The invariant.
pub(crate) const REPLICAS_ARE_PREFIXES: &str =
    "replicas are prefixes of their home's history under their filter";

/// Looks at what a site has written, and at what moved at the homes it follows.
pub(crate) fn look(
    (books, book): (&[Book], &Book),
    steps: &[Step],
    moved: &BTreeMap<SitePrefix, Vec<Arc<str>>>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let captured = |home: &SitePrefix| {
        let mut captured = books.iter().filter(|book| book.captured);
        captured.any(|book| book.site == *home)
    };
    let mirrors = book.mirrors.iter().filter(|(home, _)| !captured(home));
    for (home, mirror) in mirrors.filter(|(_, mirror)| mirror.whole) {
        if mirror.unsure {
            found.extend(compare(book, *home, mirror, false));
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
                .filter_map(|key| differs((book, false), *home, mirror, key)),
        );
    }
    let followed = |cell: &Cell| book.mirrors.contains_key(&cell.home);
    let strange = steps.iter().filter_map(|step| step.after.as_ref());
    let strange = strange.filter(|cell| cell.home != book.site && !followed(cell));
    found.extend(strange.map(|cell| accuse(book, &cell.key, "its home is not followed")));
    found
}

/// Every difference between what a site holds of `home` and what it should, `ending` if that is all
/// that it may hold.
fn compare(book: &Book, home: SitePrefix, mirror: &Mirror, ending: bool) -> Vec<Violation> {
    let held = book.now.values().filter(|cell| cell.home == home);
    let mut keys: BTreeSet<&Arc<str>> = held.map(|cell| &cell.key).collect();
    keys.extend(mirror.held.keys());
    let differing = keys
        .into_iter()
        .filter_map(|key| differs((book, ending), home, mirror, key));
    differing.collect()
}

/// Whether `book` surely holds a copy of `cell`.
fn holds(book: &Book, ending: bool, cell: &Cell) -> bool {
    let listed = |listed| ending && edges_stay_inside::lists(listed, cell);
    !book.removed && (cell.scope == Scope::Cloud || book.edge.as_ref().is_none_or(listed))
}

fn differs(
    (book, ending): (&Book, bool),
    home: SitePrefix,
    mirror: &Mirror,
    key: &Arc<str>,
) -> Option<Violation> {
    let admits = |cell: &&Arc<Cell>| mirror.filter.admits(cell.kind, &cell.scope);
    let should = mirror.held.get(key).filter(|cell| cell.home == home);
    let should = should.filter(admits);
    let is = book.now.get(key).filter(|cell| cell.home == home);
    let revision = mirror.revision;
    let seen = match (should, is) {
        (None, None) => return None,
        (Some(should), Some(is)) if should.same(is) => return None,
        (Some(_), Some(is)) => format!("is not what {home} had at {revision}: {}", is.value()),
        (Some(should), None) if !holds(book, ending, should) => return None,
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
        let others = joined().filter(|other| other.site != book.site && !other.captured);
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
            found.extend(compare(book, home.site, &newest, true));
        }
    }
    found
}
