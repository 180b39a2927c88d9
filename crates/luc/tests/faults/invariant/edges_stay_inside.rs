//! A site of the label edge holds records of the domains that its admission lists, or listed once,
//! and after the heal of those only that it lists now. What it feeds counts inside of them: of
//! what it says beyond, nothing is anywhere. State contract, "Trust between sites"; decision 0034.
//!
//! What every site must know of the others it may say, also that others join or are gone; that this
//! counts for nothing is for the members to agree on.

use std::collections::BTreeSet;
use std::sync::Arc;

use luc_core::SitePrefix;
use luc_state::feed::may_name;
use luc_state::kinds::HomeRule;
use luc_state::{Kind, Scope};
use serde_json::Value;

use super::one_home::home_of_domain;
use crate::ledger::{Book, Cell, Step, Violation};

/// The invariant.
pub(crate) const EDGES_STAY_INSIDE: &str =
    "an edge site holds nothing outside of its domains, and what it feeds beyond is nowhere";

/// What the admission of an edge site says.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    name: String,
    /// The domains that it may hold.
    now: BTreeSet<String>,
    /// Those that it may or might once.
    ever: BTreeSet<String>,
}

/// Takes over what a site that admits others has written of an edge site.
pub(crate) fn note(books: &mut [Book], at: usize, written: &[Arc<Cell>]) {
    let own = books[at].site;
    let admissions = written.iter().filter(|cell| cell.kind == Kind::Admission);
    for cell in admissions.filter(|cell| cell.home == own) {
        let said = cell.value();
        let of = |book: &&mut Book| said["site"] == book.site.to_string();
        let edge = books.iter_mut().find(of);
        let Some(edge) = edge.filter(|_| said["label"] == "edge") else {
            continue;
        };
        let listed = edge.edge.get_or_insert_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        listed.name = text(&said["name"]).unwrap_or_default();
        let domains = said["domains"].as_array().into_iter().flatten();
        listed.now = domains.filter_map(text).collect();
        listed.ever.extend(listed.now.iter().cloned());
    }
}

/// Whether the admission of the site lists the domain of `cell` now, as far as it says so itself.
pub(crate) fn lists(listed: &Listed, cell: &Cell) -> bool {
    match &cell.scope {
        Scope::Domain(domain) => listed.now.contains(domain.as_str()),
        _ => false,
    }
}

/// Looks at what a site has written.
pub(crate) fn look(books: &[Book], site: usize, steps: &[Step]) -> Vec<Violation> {
    let book = &books[site];
    let mut found = Vec::new();
    for cell in steps.iter().filter_map(|step| step.after.as_ref()) {
        if cell.home == book.site {
            continue;
        }
        if let Some(listed) = &book.edge
            && let Some(domain) = outside(books, (book.site, &listed.ever), cell)
        {
            found.push(accuse(format!(
                "{} holds {} of {domain}, which it was never allowed",
                book.site, cell.key
            )));
        }
        let home = books.iter().find(|home| home.site == cell.home);
        if let Some(listed) = home.and_then(|home| home.edge.as_ref())
            && let Some(why) = beyond(books, listed, cell)
        {
            found.push(accuse(format!(
                "{} has {} of the edge site {}: {why}",
                book.site, cell.key, cell.home
            )));
        }
    }
    found
}

/// What edge sites hold and may not, after everything is healed.
pub(crate) fn settled(books: &[Book]) -> Vec<Violation> {
    let mut found = Vec::new();
    for book in books.iter().filter(|book| book.joined && !book.gone) {
        let Some(listed) = &book.edge else { continue };
        for cell in book.now.values().filter(|cell| cell.home != book.site) {
            if let Some(domain) = outside(books, (book.site, &listed.now), cell) {
                found.push(accuse(format!(
                    "after the heal {} holds {} of {domain}",
                    book.site, cell.key
                )));
            }
        }
    }
    found
}

fn accuse(seen: String) -> Violation {
    Violation {
        invariant: EDGES_STAY_INSIDE,
        seen,
    }
}

/// Whether `domain` is one of `allowed`, or the site's own.
fn lives(books: &[Book], (site, allowed): (SitePrefix, &BTreeSet<String>), domain: &str) -> bool {
    allowed.contains(domain) || home_of_domain(books, domain) == Some(site)
}

/// The domain of `project`; nothing if it is gone.
fn domain_of(books: &[Book], project: &str) -> Option<String> {
    let key = format!("r/project/{project}");
    let held = books.iter().find_map(|book| book.now.get(key.as_str()))?;
    match &held.scope {
        Scope::Domain(domain) => Some(domain.to_string()),
        _ => None,
    }
}

/// The domain of what a site holds, if it is none of those that it may hold.
fn outside(books: &[Book], of: (SitePrefix, &BTreeSet<String>), cell: &Cell) -> Option<String> {
    let domain = match &cell.scope {
        // The names of all domains go everywhere.
        Scope::Domain(_) if cell.kind == Kind::Domain => None,
        Scope::Domain(domain) => Some(domain.to_string()),
        Scope::Project(project) => domain_of(books, project.as_str()),
        Scope::Cloud | Scope::Site => None,
    };
    domain.filter(|domain| !lives(books, of, domain))
}

/// Why an edge site may not be the home of what another site has of it.
fn beyond(books: &[Book], listed: &Listed, cell: &Cell) -> Option<String> {
    match &cell.scope {
        Scope::Domain(_) if cell.kind == Kind::Domain => {
            let value = cell.value();
            let name = value["name"].as_str().unwrap_or_default();
            (!may_name(&listed.name, name)).then(|| format!("it is called {name}"))
        }
        Scope::Domain(domain) => {
            let home = home_of_domain(books, domain.as_str());
            (home != Some(cell.home)).then(|| format!("the home of {domain} is {home:?}"))
        }
        Scope::Project(project) => {
            let domain = domain_of(books, project.as_str());
            let domain = domain.filter(|it| !lives(books, (cell.home, &listed.ever), it));
            domain.map(|domain| format!("it was never allowed {domain}"))
        }
        Scope::Cloud => {
            let says_itself = cell.kind.spec().home == HomeRule::Itself
                || matches!(cell.kind, Kind::Admission | Kind::Removal);
            (!says_itself).then(|| "it is for every site".to_owned())
        }
        Scope::Site => Some("it never leaves its site".to_owned()),
    }
}
