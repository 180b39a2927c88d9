//! The sites together never have more of a project than its limit, split or not. Rule 7 of the
//! state contract (escrow; O'Neil, TODS 1986).
//!
//! What the home uses and what it has lent is *taken*. It grows only as far as the limit, and no
//! site uses more than it was lent; so the sum over the sites is within the limit, or, after it was
//! lowered, within what was taken at that moment. What is kept for a site is taken, too.
//!
//! A user inside a project may have a limit apart. A site that has not heard of it yet cannot keep
//! to it; one that has lets the user have no more than it was lent of that limit, and the home no
//! more than it has not lent.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use luc_core::SitePrefix;
use luc_state::{Kind, Scope};
use serde_json::Value;

use super::one_home::home_of_domain;
use crate::ledger::{Book, Cell, Step, Violation};

/// The invariant.
pub(crate) const QUOTA_NEVER_EXCEEDED: &str = "the leases of a quota never exceed its limit";

/// The same of the limits of users.
pub(crate) const USERS_KEEP_TO_THEIRS: &str =
    "a user has no more than his limit wherever that is known";

/// The limit where none was set, of both that are counted.
const DEFAULT_LIMIT: u64 = 10;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    /// Server groups of a project.
    Groups,
    /// Servers of a project.
    Servers,
}

impl Counted {
    pub(crate) const ALL: [Self; 2] = [Self::Groups, Self::Servers];

    /// As the wire of quotas names it.
    pub(crate) const fn resource(self) -> &'static str {
        match self {
            Self::Groups => "server_groups",
            Self::Servers => "instances",
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Groups => Kind::ServerGroup,
            Self::Servers => Kind::Server,
        }
    }
}

/// The limits that were in force by project and resource: how much of them was taken last.
pub(crate) type Taken = BTreeMap<(String, Counted), u64>;

/// How a limit is shared, as the disks say.
#[derive(Debug)]
pub(crate) struct Shares {
    /// Where the limit is decided.
    pub(crate) home: SitePrefix,
    /// The limit that is in force there.
    pub(crate) limit: u64,
    /// What each site uses.
    pub(crate) used: BTreeMap<SitePrefix, u64>,
    /// What the home has written down for each other site.
    pub(crate) lent: BTreeMap<SitePrefix, u64>,
}

impl Shares {
    /// How the limit of `project` is shared now; nothing if its home is not known.
    pub(crate) fn of(books: &[Book], project: &str, counted: Counted) -> Option<Self> {
        let home = home_of(books, project)?;
        let there = books.iter().find(|book| book.site == home)?;
        let limit = |key: &str| {
            let value = there.now.get(key)?.value();
            value["limits"][counted.resource()].as_u64()
        };
        let limit = limit(&format!("r/quota/{project}")).or_else(|| limit("r/quota_class/default"));
        let mut lent = BTreeMap::new();
        for cell in of_kind(there, Kind::QuotaLease).filter(|cell| cell.home == home) {
            let lease = cell.value();
            let site = lease["site"].as_str().and_then(|site| site.parse().ok());
            let of_it = lease["project"].as_str() == Some(project);
            if let Some(site) = site.filter(|site| of_it && *site != home) {
                let count = |value: &Value| value[counted.resource()].as_u64().unwrap_or(0);
                let granted = count(&lease["granted"]["share"]);
                lent.insert(site, granted.max(count(&lease["reserve"])));
            }
        }
        let used = books.iter().map(|book| {
            let own = of_kind(book, counted.kind()).filter(|cell| cell.home == book.site);
            let of_it = |cell: &&Arc<Cell>| match &cell.scope {
                Scope::Project(of) => of.as_str() == project,
                _ => false,
            };
            (book.site, own.filter(of_it).count() as u64)
        });
        Some(Self {
            home,
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            used: used.collect(),
            lent,
        })
    }

    /// What nobody else may use.
    pub(crate) fn taken(&self) -> u64 {
        let used = self.used.get(&self.home).copied().unwrap_or_default();
        used + self.lent.values().sum::<u64>()
    }

    /// What is taken beyond the limit.
    pub(crate) fn beyond(&self) -> u64 {
        self.taken().saturating_sub(self.limit)
    }

    /// What `site` was lent and does not use.
    pub(crate) fn idle(&self, site: SitePrefix) -> u64 {
        let of = |counts: &BTreeMap<_, u64>| counts.get(&site).copied().unwrap_or_default();
        of(&self.lent).saturating_sub(of(&self.used))
    }

    /// What is used in all.
    pub(crate) fn used_in_all(&self) -> u64 {
        self.used.values().sum()
    }
}

/// The site where the limits of `project` are decided.
fn home_of(books: &[Book], project: &str) -> Option<SitePrefix> {
    let key = format!("r/project/{project}");
    let held = books.iter().find_map(|book| book.now.get(key.as_str()))?;
    match &held.scope {
        Scope::Domain(domain) => home_of_domain(books, domain.as_str()),
        _ => None,
    }
}

/// The records of a kind that a site holds.
pub(crate) fn of_kind(book: &Book, kind: Kind) -> impl Iterator<Item = &Arc<Cell>> {
    let prefix = format!("r/{}/", kind.name());
    let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
    let rows = book.now.range::<str, _>(from);
    let rows = rows.take_while(move |(key, _)| key.starts_with(&prefix));
    rows.map(|(_, cell)| cell)
}

/// The projects and resources that a commit concerns.
fn concerned(steps: &[Step], known: &Taken) -> BTreeSet<(String, Counted)> {
    let mut found = BTreeSet::new();
    for step in steps {
        let Some(cell) = step.after.as_ref().or(step.before.as_ref()) else {
            continue;
        };
        let of_one = |counted: Counted| match &cell.scope {
            Scope::Project(project) => Some((project.to_string(), counted)),
            _ => None,
        };
        match cell.kind {
            Kind::ServerGroup => found.extend(of_one(Counted::Groups)),
            Kind::Server => found.extend(of_one(Counted::Servers)),
            Kind::Quota | Kind::QuotaLease => {
                let project = cell.value()["project"].as_str().unwrap_or("").to_owned();
                found.extend(Counted::ALL.map(|counted| (project.clone(), counted)));
            }
            Kind::QuotaClass => found.extend(known.keys().cloned()),
            _ => {}
        }
    }
    found
}

/// Looks at what a site has written for users who have limits of their own.
pub(crate) fn look_at_users(books: &[Book], site: usize, steps: &[Step]) -> Vec<Violation> {
    let book = &books[site];
    let made = steps.iter().filter(|step| step.before.is_none());
    let made = made.filter_map(|step| step.after.as_ref());
    let own = made.filter(|cell| cell.home == book.site);
    own.filter_map(|cell| of_user(books, book, cell, steps))
        .collect()
}

/// What is wrong with what the user who made `cell` has at this site.
fn of_user(books: &[Book], book: &Book, cell: &Cell, steps: &[Step]) -> Option<Violation> {
    let counted = Counted::ALL.into_iter().find(|it| it.kind() == cell.kind)?;
    let Scope::Project(project) = &cell.scope else {
        return None;
    };
    // In one commit that changes both, which came first is not known.
    let limits = |step: &Step| {
        let cell = step.after.as_ref().or(step.before.as_ref());
        cell.is_some_and(|it| matches!(it.kind, Kind::Quota | Kind::QuotaLease))
    };
    if steps.iter().any(limits) {
        return None;
    }
    let who = cell.value()["user"].as_str()?.to_owned();
    let set = book.now.get(format!("r/quota/{project}").as_str())?.value();
    let limit = set["users"][&who][counted.resource()].as_u64()?;
    let used = of_kind(book, cell.kind).filter(|it| it.home == book.site && it.scope == cell.scope);
    let used = used.filter(|it| it.value()["user"] == who.as_str()).count() as u64;
    let home = home_of(books, project.as_str())?;
    let there = books.iter().find(|book| book.site == home)?;
    let item = format!("{}@{who}", counted.resource());
    let lent = |of_site: &dyn Fn(&str) -> bool| -> u64 {
        let leases = of_kind(there, Kind::QuotaLease).map(|cell| cell.value());
        let leases = leases.filter(|lease| lease["project"] == project.as_str());
        let leases = leases.filter(|lease| lease["site"].as_str().is_some_and(of_site));
        leases
            .map(|lease| lease["granted"]["share"][&item].as_u64().unwrap_or(0))
            .sum()
    };
    let own = book.site.to_string();
    let (most, why) = if home == book.site {
        let lent = lent(&|site| site != own);
        (
            limit.saturating_sub(lent),
            format!("of {limit} {lent} are lent"),
        )
    } else {
        let lent = lent(&|site| site == own);
        (lent, format!("{lent} of {limit} were lent"))
    };
    (used > most).then(|| Violation {
        invariant: USERS_KEEP_TO_THEIRS,
        seen: format!("{counted:?} of {who} in {project} at {own}: {used} are used, {why}"),
    })
}

/// Looks at what a site has written.
pub(crate) fn look(books: &[Book], known: &mut Taken, steps: &[Step]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (project, counted) in concerned(steps, known) {
        let Some(shares) = Shares::of(books, &project, counted) else {
            continue;
        };
        let mut accuse = |why: &str| {
            found.push(Violation {
                invariant: QUOTA_NEVER_EXCEEDED,
                seen: format!("{counted:?} of {project}: {why}: {shares:?}"),
            });
        };
        let taken = shares.taken();
        let before = known.insert((project.clone(), counted), taken);
        if taken > shares.limit.max(before.unwrap_or_default()) {
            accuse(&format!("{taken} are taken, {before:?} were"));
        }
        for (site, used) in shares.used.iter().filter(|(site, _)| **site != shares.home) {
            let lent = shares.lent.get(site).copied().unwrap_or_default();
            if *used > lent {
                accuse(&format!("{site} uses {used} and was lent {lent}"));
            }
        }
    }
    found
}
