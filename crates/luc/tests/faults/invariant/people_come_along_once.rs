//! A site that joins with people of its own has brought all of them along, each once, as those of a
//! domain that every site knows, or it has not joined and nobody has heard of them. State contract,
//! section "Joining".

use std::collections::BTreeSet;
use std::sync::Arc;

use luc_core::SitePrefix;
use luc_state::kinds::DEFAULT_DOMAIN;
use luc_state::{Kind, Scope};

use crate::ledger::{Book, Cell};
use crate::shares::of_kind;

/// The invariant.
pub(crate) const PEOPLE_COME_ALONG_ONCE: &str =
    "a site that joins brings its people along, each once, or has not joined";

/// What a site has that joins: kinds and names.
pub(crate) struct People<'p> {
    /// What its default domain is called in the cloud that it joins.
    pub(crate) domain: &'p str,
    /// What was in that.
    pub(crate) of_domain: &'p [(&'p str, &'p str)],
    /// What was in no domain or another one.
    pub(crate) own: &'p [(&'p str, &'p str)],
    /// What was of a project.
    pub(crate) of_project: &'p [(&'p str, &'p str)],
}

/// What is wrong at the end with what `site` has brought, nothing of which may be anywhere if it
/// has not joined.
pub(crate) fn judge(books: &[Book], site: SitePrefix, joined: Option<&People<'_>>) -> Vec<String> {
    let others = || books.iter().filter(|book| book.joined && book.site != site);
    let Some(people) = joined else {
        let heard = others().flat_map(|book| {
            let cells = book.now.values().filter(|cell| cell.home == site);
            cells.map(|cell| format!("{} has {}, and {site} has not joined", book.site, cell.key))
        });
        return heard.collect();
    };
    let Some(own) = books.iter().find(|book| book.site == site) else {
        return vec!["has no disk".to_owned()];
    };
    let mut found = left_over(own);
    let brought = single(own, ("domain", people.domain), &mut found);
    let id = brought.and_then(|cell| cell.value()["id"].as_str().map(str::to_owned));
    for named in people.of_domain {
        let cell = single(own, *named, &mut found);
        let scope = cell.map(|cell| cell.scope.clone());
        let inside =
            matches!(&scope, Some(Scope::Domain(of)) if Some(of.as_str()) == id.as_deref());
        if !inside {
            found.push(format!(
                "{named:?} is of {scope:?}, not of the domain {id:?}"
            ));
        }
    }
    for named in people.own.iter().chain(people.of_project) {
        single(own, *named, &mut found);
    }
    for book in others() {
        for name in names(own) {
            let copies = named(book, Kind::Domain, &name).count();
            if copies != 1 {
                found.push(format!(
                    "{} knows {copies} domains called {name}",
                    book.site
                ));
            }
        }
    }
    found
}

/// The names of the domains whose home `own` is.
fn names(own: &Book) -> BTreeSet<String> {
    let cells = of_kind(own, Kind::Domain).filter(|cell| cell.home == own.site);
    cells
        .filter_map(|cell| cell.value()["name"].as_str().map(str::to_owned))
        .collect()
}

fn named<'b>(book: &'b Book, kind: Kind, name: &str) -> impl Iterator<Item = &'b Arc<Cell>> {
    of_kind(book, kind).filter(move |cell| cell.value()["name"] == name)
}

/// The only record of the site's own that is called so.
fn single<'b>(
    own: &'b Book,
    (kind, name): (&str, &str),
    found: &mut Vec<String>,
) -> Option<&'b Arc<Cell>> {
    let kind = Kind::named(kind)?;
    let cells: Vec<_> = named(own, kind, name)
        .filter(|cell| cell.home == own.site)
        .collect();
    // The same names may be in several domains.
    let mut scopes = BTreeSet::new();
    if !cells
        .iter()
        .all(|cell| scopes.insert(format!("{:?}", cell.scope)))
        || cells.is_empty()
    {
        found.push(format!("there are {} of {kind} {name}", cells.len()));
    }
    cells.first().copied()
}

/// What the site still has of what every cloud has once.
fn left_over(own: &Book) -> Vec<String> {
    let cells = own.now.values().filter(|cell| cell.home == own.site);
    let of_default = |cell: &&Arc<Cell>| match &cell.scope {
        Scope::Domain(domain) => domain.as_str() == DEFAULT_DOMAIN,
        Scope::Cloud => matches!(
            cell.kind,
            Kind::Role | Kind::Flavor | Kind::Service | Kind::Admission
        ),
        _ => false,
    };
    let left = cells.filter(of_default);
    left.map(|cell| format!("{} has not become the cloud's", cell.key))
        .collect()
}
