//! Every record has one home: no two sites hold a record of one key as their own, and each record
//! is where the table of kinds puts it. Rule 1 of the state contract.

use luc_core::SitePrefix;
use luc_state::Scope;
use luc_state::kinds::{DEFAULT_DOMAIN, HomeRule};

use crate::ledger::{Book, Cell, Step, Violation};

/// The invariant.
pub(crate) const ONE_HOME: &str = "every record has one home";

/// Looks at what a site has written.
pub(crate) fn look(books: &[Book], site: usize, steps: &[Step]) -> Vec<Violation> {
    let own = books[site].site;
    let written = steps.iter().filter_map(|step| step.after.as_ref());
    let written = written.filter(|cell| cell.home == own && cell.scope != Scope::Site);
    let mut found = Vec::new();
    for cell in written {
        let accuse = |seen: String| Violation {
            invariant: ONE_HOME,
            seen: format!("{}: {seen}", cell.key),
        };
        let others = books.iter().filter(|book| book.site != own);
        for book in others {
            let there = book.now.get(&cell.key);
            if there.is_some_and(|there| there.home == book.site && there.scope != Scope::Site) {
                let seen = format!("its homes are {own} and {}", book.site);
                found.push(accuse(seen));
            }
        }
        if let Some(home) = decided(books, cell).filter(|home| *home != own) {
            found.push(accuse(format!(
                "written at {own}, its domain lives at {home}"
            )));
        }
    }
    found
}

/// The home of the domain that decides, where one does.
fn decided(books: &[Book], cell: &Cell) -> Option<SitePrefix> {
    let domain = match (cell.kind.spec().home, &cell.scope) {
        (HomeRule::OfDomain, Scope::Domain(domain)) => domain.as_str(),
        (HomeRule::OfDefaultDomain, _) => DEFAULT_DOMAIN,
        _ => return None,
    };
    home_of_domain(books, domain)
}

/// The site that holds `domain` as its own.
pub(crate) fn home_of_domain(books: &[Book], domain: &str) -> Option<SitePrefix> {
    let key = format!("r/domain/{domain}");
    books.iter().find_map(|book| {
        let held = book.now.get(key.as_str())?;
        (held.home == book.site).then_some(book.site)
    })
}
