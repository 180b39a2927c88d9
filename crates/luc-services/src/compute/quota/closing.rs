//! Limits that come after there was none, and what other sites have of a project's limits.
//!
//! Without a limit nothing is lent, and sites use what they like. When a limit comes, a site that
//! has not heard of it goes on so. Every such change is counted, in the limits of the project
//! ([`count_closed`]) or in those of all projects ([`count_closed_class`]), and a lease says which
//! of them its site has heard of. As long as one has not, [`Elsewhere`] counts for it at least what
//! the copies of its servers and groups show. [`super::exchange::tell`] tells the sites.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use luc_core::SitePrefix;
use luc_core::id::{ProjectId, UserId};
use luc_state::{Snapshot, Stored, Tx, key};

use super::super::model::lease::{Closings, Item, QuotaLease};
use super::super::model::quota::{QuotaClass, QuotaSet, QuotaUsage, Resource};
use super::super::model::server::Server;
use super::super::model::server_group::ServerGroup;
use super::lease::{Books, LENT};
use super::{Allowance, Delta, Held};

/// The resources that leases count.
fn resources() -> impl Iterator<Item = Resource> {
    LENT.into_iter().chain([Resource::ServerGroups])
}

/// What may be limited in a project whose limits are `set`.
fn items(set: Option<&QuotaSet>) -> impl Iterator<Item = Item> {
    let users = set.into_iter().flat_map(|set| set.users.iter());
    let apart = users.flat_map(|(user, limits)| {
        let resources = resources().filter(|resource| limits.contains_key(resource));
        resources.map(|resource| Item {
            resource,
            user: Some(user.clone()),
        })
    });
    resources()
        .map(|resource| Item {
            resource,
            user: None,
        })
        .chain(apart)
}

/// The limit of `item`; of a user only if it is the user's own.
fn limit(class: Option<&QuotaClass>, set: Option<&QuotaSet>, item: &Item) -> Option<u64> {
    let limit = match &item.user {
        None => Allowance::of(class, set, None).limit(item.resource),
        Some(user) => *set?.users.get(user)?.get(&item.resource)?,
    };
    u64::try_from(limit).ok()
}

/// Counts in `set`, which is to take the place of `before`, what gets a limit after it had none, or
/// one of its own after it had that of all projects: of that others may have heard that there was
/// none, or not yet that there is one again.
pub(in crate::compute) fn count_closed(tx: &Tx<'_>, before: &QuotaSet, set: &mut QuotaSet) {
    let class = tx.get::<QuotaClass>(QuotaClass::DEFAULT);
    count(class.as_deref().map(Stored::value), before, set);
}

fn count(class: Option<&QuotaClass>, before: &QuotaSet, set: &mut QuotaSet) {
    let is_new = |item: &Item| {
        let own = |set: &QuotaSet| set.limits.contains_key(&item.resource);
        item.user.is_none() && own(set) && !own(before)
    };
    let had_none = |item: &Item| limit(class, Some(before), item).is_none();
    let closed: Vec<Item> = items(Some(set))
        .filter(|item| had_none(item) || is_new(item))
        .filter(|item| limit(class, Some(set), item).is_some())
        .collect();
    for item in closed {
        *set.closed.entry(item).or_default() += 1;
    }
}

/// The same of the limits of all projects.
pub(in crate::compute) fn count_closed_class(before: &QuotaClass, class: &mut QuotaClass) {
    for item in items(None) {
        let had_none = limit(Some(before), None, &item).is_none();
        if had_none && limit(Some(class), None, &item).is_some() {
            *class.closed.entry(item.resource).or_default() += 1;
        }
    }
}

impl Held {
    fn set(&self) -> Option<&QuotaSet> {
        self.set.as_deref().map(Stored::value)
    }

    fn class(&self) -> Option<&QuotaClass> {
        self.class.as_deref().map(Stored::value)
    }

    /// What has a limit of which sites are lent parts.
    pub(super) fn limited(&self) -> Vec<Item> {
        items(self.set())
            .filter(|item| limit(self.class(), self.set(), item).is_some())
            .collect()
    }

    /// How often `item` got a limit after it had none.
    pub(super) fn closings(&self, item: &Item) -> Closings {
        let class = self.class().filter(|_| item.user.is_none());
        let own = self.set().and_then(|set| set.closed.get(item));
        let class = class.and_then(|class| class.closed.get(&item.resource));
        Closings {
            own: own.copied().unwrap_or_default(),
            class: class.copied().unwrap_or_default(),
        }
    }

    /// Whether who has heard of `heard` knows that `item` is limited.
    pub(super) fn is_heard(&self, item: &Item, heard: Closings) -> bool {
        let now = self.closings(item);
        let limits = self.set().map(|set| &set.limits);
        let own = limits.is_some_and(|limits| limits.contains_key(&item.resource));
        heard.own == now.own && (own || heard.class >= now.class)
    }

    /// What is limited, and of which `lease` does not say that it was heard.
    fn unheard(&self, lease: Option<&QuotaLease>) -> BTreeSet<Item> {
        let heard = |item: &Item| {
            let heard = lease.and_then(|lease| lease.heard.get(item));
            self.is_heard(item, heard.copied().unwrap_or_default())
        };
        let limited = self.limited().into_iter();
        limited.filter(|item| !heard(item)).collect()
    }
}

/// Whether `project`, whose limits are decided at `site`, has a limit of which not every site has
/// heard after there was none.
pub(super) fn is_open(snapshot: &Snapshot, site: SitePrefix, project: &ProjectId) -> bool {
    let own = snapshot.get::<QuotaLease>(QuotaLease::id_of(project, site));
    let held = Held::of(snapshot, project.as_str());
    !held.unheard(own.as_deref().map(Stored::value)).is_empty()
}

/// What sites other than its home have of a project's limits, as the home knows.
pub(super) struct Elsewhere {
    held: Held,
    leases: Vec<Arc<Stored<QuotaLease>>>,
    /// What is limited now, and of which not every site has heard.
    open: BTreeSet<Item>,
    /// What copies show at other sites; empty as long as all have heard of everything.
    copies: BTreeMap<SitePrefix, Books>,
}

impl Elsewhere {
    /// As a transaction at the home `site` sees it.
    pub(super) fn within(tx: &Tx<'_>, site: SitePrefix, project: &ProjectId) -> Self {
        let of_project = key(&[project.as_str()]);
        let leases = tx.find(&QuotaLease::BY_PROJECT, &of_project);
        let mut found = Self::new(Held::within(tx, project.as_str()), leases, site);
        if !found.open.is_empty() {
            let servers = tx.find(&Server::BY_PROJECT, &of_project).into_iter();
            let groups = tx.find(&ServerGroup::BY_PROJECT, &of_project).into_iter();
            found.copies = copies(servers, groups, (site, project));
        }
        found
    }

    /// As a snapshot of the home `site` shows it.
    pub(super) fn of(snapshot: &Snapshot, site: SitePrefix, project: &ProjectId) -> Self {
        let of_project = key(&[project.as_str()]);
        let leases = snapshot.find(&QuotaLease::BY_PROJECT, &of_project);
        let mut found = Self::new(Held::of(snapshot, project.as_str()), leases.collect(), site);
        if !found.open.is_empty() {
            let servers = snapshot.find(&Server::BY_PROJECT, &of_project);
            let groups = snapshot.find(&ServerGroup::BY_PROJECT, &of_project);
            found.copies = copies(servers, groups, (site, project));
        }
        found
    }

    fn new(held: Held, mut leases: Vec<Arc<Stored<QuotaLease>>>, site: SitePrefix) -> Self {
        let own = leases.iter().find(|lease| lease.site == site);
        let open = held.unheard(own.map(|own| own.value()));
        leases.retain(|lease| lease.site != site);
        Self {
            held,
            leases,
            open,
            copies: BTreeMap::new(),
        }
    }

    /// The limits.
    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    /// What is limited now, and of which not every site has heard.
    pub(super) fn open(&self) -> impl Iterator<Item = &Item> {
        self.open.iter()
    }

    /// What is lent, or open.
    pub(super) fn items(&self) -> BTreeSet<Item> {
        let lent = self.leases.iter();
        let lent = lent.flat_map(|lease| lease.granted.share.0.keys());
        lent.chain(&self.open).cloned().collect()
    }

    /// The sites that were lent something or of which there are copies.
    pub(super) fn sites(&self) -> BTreeSet<SitePrefix> {
        let lent = self.leases.iter().map(|lease| lease.site);
        lent.chain(self.copies.keys().copied()).collect()
    }

    fn lease(&self, site: SitePrefix) -> Option<&QuotaLease> {
        let found = self.leases.iter().find(|lease| lease.site == site);
        found.map(|lease| lease.value())
    }

    /// Whether `site` may not know that `item` is limited.
    pub(super) fn is_unheard(&self, site: SitePrefix, item: &Item) -> bool {
        let heard = self.lease(site).and_then(|lease| lease.heard.get(item));
        let heard = heard.copied().unwrap_or_default();
        self.open.contains(item) && !self.held.is_heard(item, heard)
    }

    /// What copies show that `site` uses of `item`.
    pub(super) fn seen(&self, site: SitePrefix, item: &Item) -> u64 {
        self.copies.get(&site).map_or(0, |books| books.used(item))
    }

    fn taken_at(&self, site: SitePrefix, item: &Item) -> u64 {
        let taken = self.lease(site).map_or(0, |lease| lease.taken(item));
        if self.is_unheard(site, item) {
            taken.max(self.seen(site, item))
        } else {
            taken
        }
    }

    /// What nobody else may use of `item` because of these sites, `except` left out.
    pub(super) fn taken(&self, item: &Item, except: Option<SitePrefix>) -> u64 {
        let sites = self.sites().into_iter();
        let sites = sites.filter(|site| Some(*site) != except);
        sites.fold(0, |sum, site| sum.saturating_add(self.taken_at(site, item)))
    }

    /// What of it sites have that may not know that there is a limit.
    pub(super) fn unheard(&self, item: &Item) -> u64 {
        let sites = self.sites().into_iter();
        let sites = sites.filter(|site| self.is_unheard(*site, item));
        sites.fold(0, |sum, site| sum.saturating_add(self.taken_at(site, item)))
    }
}

/// What `servers` and `groups` of a project count for, by site; without those of `site`.
fn copies(
    servers: impl Iterator<Item = Arc<Stored<Server>>>,
    groups: impl Iterator<Item = Arc<Stored<ServerGroup>>>,
    (site, project): (SitePrefix, &ProjectId),
) -> BTreeMap<SitePrefix, Books> {
    let mut found = BTreeMap::new();
    let none = || Books {
        usage: QuotaUsage::none(project.clone()),
        groups: Vec::<UserId>::new(),
    };
    for server in servers.filter(|server| server.home() != site) {
        let books = found.entry(server.home()).or_insert_with(none);
        let charge = server.charge();
        let delta = Delta {
            instances: 1,
            cores: charge.vcpus,
            ram: charge.memory,
        };
        books.usage.used = books.usage.used.plus(delta);
        let of_user = books.usage.users.entry(server.user.clone()).or_default();
        *of_user = of_user.plus(delta);
    }
    for group in groups.filter(|group| group.home() != site) {
        let books = found.entry(group.home()).or_insert_with(none);
        books.groups.push(group.user.clone());
    }
    found
}

#[cfg(test)]
mod tests;
