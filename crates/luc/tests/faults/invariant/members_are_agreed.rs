//! When everything is healed all sites know the same members, let their nodes in and nobody whose
//! key was revoked, and hold nothing any more of sites that are gone. State contract, sections
//! "Joining" and "Trust".

use std::collections::BTreeSet;

use luc_core::SitePrefix;
use luc_services::sites::Members;
use luc_state::{Kind, Scope};

use crate::ledger::Book;

/// The invariant.
pub(crate) const MEMBERS_ARE_AGREED: &str =
    "after the heal all sites let in the same members and nobody else";

/// What is wrong with what sites know of the members, `expected` being the sites that run.
pub(crate) fn views(views: &[Members], expected: &BTreeSet<SitePrefix>) -> Vec<String> {
    let mut found = Vec::new();
    for view in views {
        let sites: BTreeSet<SitePrefix> = view.sites.iter().map(|member| member.site).collect();
        if sites != *expected {
            found.push(format!("members are {sites:?}, not {expected:?}"));
        }
        let first = &views[0];
        if (&view.sites, &view.revoked, &view.removed)
            != (&first.sites, &first.revoked, &first.removed)
        {
            found.push(format!("members are {view:?} and {first:?}"));
        }
    }
    found
}

/// What is wrong with how a node stands that has joined and was revoked, as far as is known.
pub(crate) fn guest(
    (joined, revoked): (bool, Option<bool>),
    member: bool,
    refused: bool,
) -> Option<String> {
    match revoked {
        Some(true) if !refused => Some("a revoked key is not refused".to_owned()),
        None if joined && !member => Some("a node that has joined is no member".to_owned()),
        _ => None,
    }
}

/// What sites still hold of those that are gone.
pub(crate) fn left_over(books: &[Book]) -> Vec<String> {
    let gone: BTreeSet<SitePrefix> = books
        .iter()
        .filter(|book| book.gone)
        .map(|book| book.site)
        .collect();
    let kept = |kind: Kind| {
        matches!(
            kind,
            Kind::Site | Kind::Node | Kind::Admission | Kind::Removal | Kind::RevocationEvent
        )
    };
    let mut found = Vec::new();
    for book in books.iter().filter(|book| book.joined && !book.gone) {
        let cells = book.now.values();
        let mut left = cells.filter(|cell| gone.contains(&cell.home) && !kept(cell.kind));
        if let Some(cell) = left.find(|cell| cell.scope != Scope::Site) {
            found.push(format!(
                "{} holds {} of a site that is gone",
                book.site, cell.key
            ));
        }
    }
    found
}
