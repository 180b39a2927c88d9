//! A site joins with a ticket that is good once, under a name and a prefix that are its own, and
//! only with the promises of a majority of the registered sites; or it is not of the cloud at all.
//! State contract, section "Joining".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use luc_core::SitePrefix;
use luc_state::Kind;
use serde_json::Value;

use crate::ledger::{Book, Cell, Step, Violation};
use crate::shares::of_kind;

/// The invariant.
pub(crate) const JOINS_ARE_WHOLE: &str =
    "a site joins once, by a majority, under its own name, or not at all";

/// How many sites were registered when a site began to ask for promises for another.
pub(crate) type Asked = BTreeMap<(SitePrefix, String), usize>;

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// The sites of which `book` has records of this kind, but for what an edge site says of others.
fn sites(books: &[Book], book: &Book, kind: Kind) -> BTreeSet<String> {
    let is_edge = |site: SitePrefix| {
        let mut edges = books.iter().filter(|book| book.edge.is_some());
        edges.any(|edge| edge.site == site)
    };
    let cells = of_kind(book, kind);
    let said = cells.map(|cell| (cell.home, text(&cell.value(), "site")));
    let said = said.filter(|(home, site)| !is_edge(*home) || *site == home.to_string());
    said.map(|(_, site)| site).collect()
}

/// The sites that `book` knows as registered.
fn registered(books: &[Book], book: &Book) -> BTreeSet<String> {
    let gone = sites(books, book, Kind::Removal);
    let mut all = sites(books, book, Kind::Admission);
    all.retain(|site| !gone.contains(site));
    all
}

/// The sites that anybody has admitted.
pub(crate) fn admitted(books: &[Book]) -> BTreeSet<SitePrefix> {
    let own = books.iter().flat_map(own_admissions);
    own.filter_map(|cell| text(&cell.value(), "site").parse().ok())
        .collect()
}

fn own_admissions(book: &Book) -> impl Iterator<Item = &Arc<Cell>> {
    of_kind(book, Kind::Admission).filter(|cell| cell.home == book.site)
}

/// Whether this changes nothing of an admission but the domains that an edge site may hold.
fn lists_domains(step: &Step) -> bool {
    let rest = |cell: &Arc<Cell>| {
        let mut admission = cell.value();
        admission["domains"] = Value::Null;
        admission
    };
    let (Some(before), Some(after)) = (&step.before, &step.after) else {
        return false;
    };
    after.kind == Kind::Admission && rest(before) == rest(after)
}

/// Looks at what a site has written.
pub(crate) fn look(
    books: &[Book],
    asked: &mut Asked,
    site: usize,
    steps: &[Step],
) -> Vec<Violation> {
    let book = &books[site];
    let mut found = Vec::new();
    let written = steps.iter().filter(|step| !lists_domains(step));
    let written = written.filter_map(|step| step.after.as_ref());
    for cell in written.filter(|cell| cell.home == book.site) {
        if cell.kind == Kind::Promise {
            let of = (book.site, text(&cell.value(), "site"));
            asked.insert(of, registered(books, book).len());
        }
        if cell.kind == Kind::Node {
            let node = cell.value();
            let others = of_kind(book, Kind::Node).filter(|other| other.home == book.site);
            let others = others.filter(|other| other.key != cell.key);
            let mut tickets = others.map(|other| other.value()["ticket"].clone());
            if node["ticket"].is_string() && tickets.any(|ticket| ticket == node["ticket"]) {
                found.push(format!("two nodes have joined with the ticket of {node}"));
            }
        }
        if cell.kind == Kind::Admission {
            let admission = cell.value();
            // The founder admits itself.
            if text(&admission, "site") != book.site.to_string() {
                found.extend(wrong(books, asked, book, &admission, steps));
            }
        }
    }
    let accuse = |seen: String| Violation {
        invariant: JOINS_ARE_WHOLE,
        seen: format!("admission at {}: {seen}", book.site),
    };
    found.into_iter().map(accuse).collect()
}

/// What is wrong with an admission at the moment it is made durable at `book`.
fn wrong(
    books: &[Book],
    asked: &Asked,
    book: &Book,
    admission: &Value,
    steps: &[Step],
) -> Vec<String> {
    let mut found = Vec::new();
    let (site, name) = (text(admission, "site"), text(admission, "name"));
    let gone = sites(books, book, Kind::Removal);
    let others = books.iter().flat_map(own_admissions);
    let others = others
        .map(|cell| cell.value())
        .filter(|other| other["id"] != admission["id"]);
    for other in others {
        if admission["ticket"].is_string() && other["ticket"] == admission["ticket"] {
            found.push(format!(
                "the ticket of {} was used again",
                text(&other, "site")
            ));
        }
        // The name of a site that is gone is free again; its prefix is not.
        let gone = gone.contains(&text(&other, "site"));
        if (text(&other, "name") == name && !gone) || text(&other, "site") == site {
            found.push(format!("{site} is called {name}, as {other}"));
        }
    }
    let hash = &admission["ticket"];
    let used = steps.iter().filter(|step| step.after.is_none());
    let mut used = used.filter_map(|step| step.before.as_ref());
    if !used.any(|cell| cell.kind == Kind::Ticket && cell.value()["hash"] == *hash) {
        found.push("the ticket is not used up with it".to_owned());
    }
    let known = registered(books, book);
    let key = format!("r/promise/{site}");
    // Once the admission is there the promise may go, even in the same commit.
    let ended = steps
        .iter()
        .any(|step| *step.key == *key && step.before.is_some());
    let promised = books.iter().filter(|one| {
        let has = one.now.contains_key(key.as_str()) || (ended && one.site == book.site);
        has && known.contains(&one.site.to_string())
    });
    let (promised, now) = (promised.count(), known.len() - 1);
    let then = asked
        .get(&(book.site, site.clone()))
        .copied()
        .unwrap_or(now);
    if promised * 2 <= now.min(then) {
        found.push(format!("{promised} of {now} have promised {site} its name"));
    }
    found
}

/// What is wrong at the end with the join of `site`, which was told to be welcome or not, and may
/// be `excused` if it is not, for a rival has what it wanted.
pub(crate) fn judge(
    books: &[Book],
    site: SitePrefix,
    welcome: bool,
    excused: bool,
) -> Option<String> {
    let is_there = admitted(books).contains(&site);
    if books.iter().any(|book| book.site == site && book.gone) {
        return None;
    }
    match (welcome, is_there) {
        (true, false) => Some("was welcome and is not of the cloud".to_owned()),
        (false, true) => Some("is of the cloud, and was not told after the heal".to_owned()),
        (false, false) if !excused => Some("cannot join although nothing is wrong".to_owned()),
        _ => None,
    }
}
