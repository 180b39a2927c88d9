//! How the limit of a project is shared among the sites, as their disks say: the limit as each site
//! knows it, what each uses, what its home has lent, and which site has heard that there is a limit
//! after there was none. Decision 0030.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use luc_core::SitePrefix;
use luc_state::{Kind, Scope};
use serde_json::Value;

use crate::invariant::one_home::home_of_domain;
use crate::ledger::{Book, Cell};

/// The limit where none was set, of both that are counted.
const DEFAULT_LIMIT: i64 = 10;

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

    /// The kind of what is counted.
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Groups => Kind::ServerGroup,
            Self::Servers => Kind::Server,
        }
    }
}

/// The limit of a project as one site knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The limit, if there is one.
    pub(crate) limit: Option<u64>,
    /// Whether it is the project's own, or says itself that there is none.
    pub(crate) own: bool,
    /// How often it came after there was none: by the project's limits, and by those of all.
    pub(crate) closings: (u64, u64),
}

impl View {
    /// As the site of `book` knows it.
    pub(crate) fn of(book: &Book, project: &str, counted: Counted) -> Self {
        let held = |key: &str| book.now.get(key).map(|cell| cell.value());
        let set = held(&format!("r/quota/{project}")).unwrap_or_default();
        let class = held("r/quota_class/default").unwrap_or_default();
        let resource = counted.resource();
        let own = set["limits"][resource].as_i64();
        let limit = own.or_else(|| class["limits"][resource].as_i64());
        let closings = |of: &Value| of["closed"][resource].as_u64().unwrap_or(0);
        Self {
            limit: u64::try_from(limit.unwrap_or(DEFAULT_LIMIT)).ok(),
            own: own.is_some(),
            closings: (closings(&set), closings(&class)),
        }
    }

    /// Whether who has heard what `lease` says knows of this limit.
    fn is_heard(&self, lease: &Value, counted: Counted) -> bool {
        let heard = &lease["heard"][counted.resource()];
        let of = |closings: &str| heard[closings].as_u64().unwrap_or(0);
        of("own") == self.closings.0 && (self.own || of("class") >= self.closings.1)
    }
}

/// How a limit is shared, as the disks say.
#[derive(Debug)]
pub(crate) struct Shares {
    /// Where the limit is decided.
    pub(crate) home: SitePrefix,
    /// The limit as it is in force there.
    pub(crate) view: View,
    /// What each site uses.
    pub(crate) used: BTreeMap<SitePrefix, u64>,
    /// What the home has written down for each other site.
    pub(crate) lent: BTreeMap<SitePrefix, u64>,
    /// What the home's copies show of each other site.
    pub(crate) seen: BTreeMap<SitePrefix, u64>,
    /// The sites that may not know that there is a limit, as far as the home knows.
    pub(crate) unheard: BTreeSet<SitePrefix>,
}

impl Shares {
    /// How the limit of `project` is shared now; nothing if its home is not known.
    pub(crate) fn of(books: &[Book], project: &str, counted: Counted) -> Option<Self> {
        let home = home_of(books, project)?;
        let there = books.iter().find(|book| book.site == home)?;
        let view = View::of(there, project, counted);
        let (mut lent, mut heard, mut all) = (BTreeMap::new(), BTreeSet::new(), None);
        for cell in of_kind(there, Kind::QuotaLease).filter(|cell| cell.home == home) {
            let lease = cell.value();
            let site = lease["site"].as_str().and_then(|site| site.parse().ok());
            let of_it = lease["project"].as_str() == Some(project);
            let Some(site) = site.filter(|_| of_it) else {
                continue;
            };
            if site == home {
                all = Some(view.is_heard(&lease, counted));
                continue;
            }
            let count = |value: &Value| value[counted.resource()].as_u64().unwrap_or(0);
            let granted = count(&lease["granted"]["share"]);
            lent.insert(site, granted.max(count(&lease["reserve"])));
            if view.is_heard(&lease, counted) {
                heard.insert(site);
            }
        }
        let all = all.unwrap_or_else(|| view.is_heard(&Value::Null, counted));
        let nobody = view.is_heard(&Value::Null, counted);
        let others = books.iter().map(|book| book.site).filter(|it| *it != home);
        let unheard = others.filter(|site| {
            let told = heard.contains(site) || (nobody && !lent.contains_key(site));
            view.limit.is_some() && !all && !told
        });
        let unheard = unheard.collect();
        let used = books
            .iter()
            .map(|book| (book.site, count(book, book.site, project, counted)));
        let seen = books
            .iter()
            .filter(|book| book.site != home)
            .map(|book| (book.site, count(there, book.site, project, counted)));
        Some(Self {
            home,
            view,
            used: used.collect(),
            seen: seen.collect(),
            lent,
            unheard,
        })
    }

    /// What the home has lent to `site`.
    pub(crate) fn lent(&self, site: SitePrefix) -> u64 {
        self.lent.get(&site).copied().unwrap_or_default()
    }

    /// What `site` uses.
    pub(crate) fn used(&self, site: SitePrefix) -> u64 {
        self.used.get(&site).copied().unwrap_or_default()
    }

    /// What nobody else may use, as it is written down.
    pub(crate) fn taken(&self) -> u64 {
        self.used(self.home) + self.lent.values().sum::<u64>()
    }

    /// What counts for `site` at the home: of one that may not know of the limit at least what
    /// copies show.
    fn counted_at(&self, site: SitePrefix) -> u64 {
        let lent = self.lent(site);
        if self.unheard.contains(&site) {
            lent.max(self.seen.get(&site).copied().unwrap_or_default())
        } else {
            lent
        }
    }

    /// What nobody else may use, as the home counts.
    pub(crate) fn counted(&self) -> u64 {
        let others = self.seen.keys().chain(self.lent.keys());
        let others: BTreeSet<_> = others.copied().collect();
        let others = others.into_iter().map(|site| self.counted_at(site));
        self.used(self.home) + others.sum::<u64>()
    }

    /// What counts beyond the limit.
    pub(crate) fn beyond(&self) -> u64 {
        let limit = self.view.limit;
        limit.map_or(0, |limit| self.counted().saturating_sub(limit))
    }

    /// What is pending: beyond the limit, or with sites that may not know of it.
    pub(crate) fn pending(&self) -> u64 {
        let unheard = self.unheard.iter().map(|site| self.counted_at(*site));
        self.beyond().max(unheard.sum())
    }

    /// What `site` was lent and does not use.
    pub(crate) fn idle(&self, site: SitePrefix) -> u64 {
        self.lent(site).saturating_sub(self.used(site))
    }

    /// What is used in all.
    pub(crate) fn used_in_all(&self) -> u64 {
        self.used.values().sum()
    }
}

/// How much of a project's things that are at home at `of` the site of `book` holds.
fn count(book: &Book, of: SitePrefix, project: &str, counted: Counted) -> u64 {
    let of_it = |cell: &&Arc<Cell>| match &cell.scope {
        Scope::Project(scope) => cell.home == of && scope.as_str() == project,
        _ => false,
    };
    of_kind(book, counted.kind()).filter(of_it).count() as u64
}

/// The site where the limits of `project` are decided.
pub(crate) fn home_of(books: &[Book], project: &str) -> Option<SitePrefix> {
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
