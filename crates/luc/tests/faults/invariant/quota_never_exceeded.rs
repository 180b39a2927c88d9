//! The sites together never have more of a project than its limit, split or not. Rule 7 of the
//! state contract (escrow; O'Neil, TODS 1986).
//!
//! Limits are only raised here: what was asked for counts from the moment it was asked.

use std::collections::BTreeMap;
use std::ops::Bound;

use luc_state::{Kind, Scope};

use crate::ledger::{Book, Step, Violation};

/// The invariant.
pub(crate) const QUOTA_NEVER_EXCEEDED: &str = "the leases of a quota never exceed its limit";

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    /// Server groups of a project.
    Groups,
    /// Servers of a project.
    Servers,
}

impl Counted {
    fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::ServerGroup => Some(Self::Groups),
            Kind::Server => Some(Self::Servers),
            _ => None,
        }
    }
}

/// Looks at what a site has written.
pub(crate) fn look(
    books: &[Book],
    limits: &BTreeMap<(String, Counted), usize>,
    steps: &[Step],
) -> Vec<Violation> {
    let new = steps.iter().filter(|step| step.before.is_none());
    let new = new.filter_map(|step| step.after.as_ref());
    let mut found = Vec::new();
    for cell in new {
        let (Some(counted), Scope::Project(project)) = (Counted::of(cell.kind), &cell.scope) else {
            continue;
        };
        let of_it = |book: &&Book| {
            let prefix = format!("r/{}/", cell.kind.name());
            let rows = book
                .now
                .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
            let rows = rows.take_while(|(key, _)| key.starts_with(&prefix));
            let own = rows.filter(|(_, row)| row.home == book.site && row.scope == cell.scope);
            own.count()
        };
        let used: Vec<usize> = books.iter().map(|book| of_it(&book)).collect();
        let limit = limits.get(&(project.to_string(), counted));
        if limit.is_some_and(|limit| used.iter().sum::<usize>() > *limit) {
            found.push(Violation {
                invariant: QUOTA_NEVER_EXCEEDED,
                seen: format!("{counted:?} of {project}: {used:?} at the sites, limit {limit:?}"),
            });
        }
    }
    found
}
