//! Whether what a site was lent of a project's limits is enough for what is to be booked.
//!
//! At the home of the project's domain all that was not lent out may be used, in the transaction
//! that looks at the leases; a cloud of one site has none, so nothing changes for it. Elsewhere
//! the site's own lease is the limit. A booking for which it does not suffice ends in
//! [`ReserveError::Lease`], the caller gets more ([`super::exchange`]), and books again with what
//! it heard in [`Lent`].

use std::collections::BTreeMap;

use luc_core::SitePrefix;
use luc_core::id::{ProjectId, UserId};
use luc_core::time::Timestamp;
use luc_state::{Snapshot, Tx, key};

use super::super::model::lease::{Claim, Item, LeaseHeld, QuotaLease, Share};
use super::super::model::quota::{QuotaUsage, Resource};
use super::super::model::server_group::ServerGroup;
use super::closing::Elsewhere;
use super::{Delta, Held, ReserveError, protocol, usage_of};
use crate::identity::model::{Domain, Project};

/// The resources of which sites are lent a part.
pub(super) const LENT: [Resource; 3] = [Resource::Cores, Resource::Instances, Resource::Ram];

/// What is booked.
pub(super) struct Wish<'w> {
    pub(super) project: &'w ProjectId,
    pub(super) user: &'w UserId,
    pub(super) held: &'w Held,
    pub(super) usage: &'w QuotaUsage,
    pub(super) delta: Delta,
}

/// More of a quota is needed here than this site has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The project.
    pub(super) project: ProjectId,
    /// What this site would use in all.
    pub(super) want: Share,
    /// How much of that is asked for anew.
    pub(super) more: Share,
}

/// Where something is booked, and what was heard when more was asked for.
#[derive(Clone, Debug)]
pub struct Lent {
    site: SitePrefix,
    now: Timestamp,
    heard: Option<Heard>,
}

/// What came of asking for more.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// What was granted.
    pub(super) granted: Option<Claim>,
    /// What this site could have at most.
    pub(super) available: Share,
    /// Whether it is worth asking again.
    pub(super) again: bool,
    /// The name of this site.
    pub(super) own: String,
    /// The name of the home, if it is another site and silent.
    pub(super) silent_home: Option<String>,
    /// The names of sites that hold a part and are silent.
    pub(super) silent: Vec<String>,
}

impl Lent {
    /// At `site`, before anybody was asked.
    pub fn new(site: SitePrefix, now: Timestamp) -> Self {
        let heard = None;
        Self { site, now, heard }
    }

    /// Where it is booked.
    pub(in crate::compute) fn site(&self) -> SitePrefix {
        self.site
    }

    pub(super) fn hear(&mut self, heard: Heard) {
        self.heard = Some(heard);
    }
}

/// One item of a wish: what is used here of it, how much more is asked for, and the limit.
struct Row {
    item: Item,
    used: u64,
    more: u64,
    limit: u64,
}

/// Where the limits of a project are decided.
pub(super) enum Seat {
    /// Here; this is what other sites have.
    Here(Elsewhere),
    /// At another site; this is what is held here.
    Away(Claim),
}

impl Seat {
    /// Where the limits of `project` are decided, as seen from `site`.
    pub(super) fn of(tx: &Tx<'_>, site: SitePrefix, project: &ProjectId) -> Self {
        let found = tx.get::<Project>(project);
        let domain = found.and_then(|found| tx.get::<Domain>(&found.domain_id));
        let home = home(domain.map(|domain| domain.home()), project);
        if home.is_some_and(|home| home != site) {
            return Self::Away(bound(tx, site, project));
        }
        Self::Here(Elsewhere::within(tx, site, project))
    }
}

/// Where the limits of `project` are decided: at the home of its domain if that is known, else
/// where the project was made. A site that has lost its copies must not take itself for the home.
pub(super) fn home(of_domain: Option<SitePrefix>, project: &ProjectId) -> Option<SitePrefix> {
    of_domain.or_else(|| project.birth_site())
}

/// What `site` holds: its own word, or more if the home's record of the same epoch says so.
pub(super) fn bound(tx: &Tx<'_>, site: SitePrefix, project: &ProjectId) -> Claim {
    let held = tx.get::<LeaseHeld>(project);
    let mut bound = held.map(|held| held.bound.clone()).unwrap_or_default();
    if let Some(lease) = tx.get::<QuotaLease>(QuotaLease::id_of(project, site)) {
        protocol::accept(&mut bound, &lease.granted);
    }
    bound
}

/// What `site` says that it holds: [`bound`], and at least what it uses of what is limited and of
/// `items`, for that may have been without a limit before.
pub(super) fn covered<'i>(
    tx: &Tx<'_>,
    site: SitePrefix,
    project: &ProjectId,
    items: impl IntoIterator<Item = &'i Item>,
) -> Claim {
    let books = Books::within(tx, site, project);
    with_used(tx, bound(tx, site, project), &books, items)
}

/// `said`, and at least what `books` show of what is limited and of `items`.
pub(super) fn with_used<'i>(
    tx: &Tx<'_>,
    mut said: Claim,
    books: &Books,
    items: impl IntoIterator<Item = &'i Item>,
) -> Claim {
    let limited = Held::within(tx, books.usage.project.as_str()).limited();
    for item in limited.into_iter().chain(items.into_iter().cloned()) {
        let used = books.used(&item);
        if used > said.share.of(&item) {
            said.share.0.insert(item, used);
        }
    }
    said
}

/// What one site uses of a project's limits.
pub(super) struct Books {
    pub(super) usage: QuotaUsage,
    /// Whose server groups there are; they have no counter.
    pub(super) groups: Vec<UserId>,
}

impl Books {
    /// As a transaction at `site` sees them.
    pub(super) fn within(tx: &Tx<'_>, site: SitePrefix, project: &ProjectId) -> Self {
        let groups = tx.find(&ServerGroup::BY_PROJECT, &key(&[project.as_str()]));
        let own = groups.iter().filter(|group| group.home() == site);
        Self {
            usage: usage_of(tx, project),
            groups: own.map(|group| group.user.clone()).collect(),
        }
    }

    /// As a snapshot of `site` shows them.
    pub(super) fn of(snapshot: &Snapshot, site: SitePrefix, project: &ProjectId) -> Self {
        let groups = snapshot.find(&ServerGroup::BY_PROJECT, &key(&[project.as_str()]));
        let own = groups.filter(|group| group.home() == site);
        let usage = snapshot.get::<QuotaUsage>(project);
        Self {
            usage: usage.map_or_else(
                || QuotaUsage::none(project.clone()),
                |usage| usage.value().clone(),
            ),
            groups: own.map(|group| group.user.clone()).collect(),
        }
    }

    /// How much of `item`.
    pub(super) fn used(&self, item: &Item) -> u64 {
        if item.resource != Resource::ServerGroups {
            return used_of(&self.usage, item);
        }
        let of_user = |user: &&UserId| item.user.as_ref().is_none_or(|wanted| wanted == *user);
        self.groups.iter().filter(of_user).count() as u64
    }
}

/// What `usage` counts of `item`.
fn used_of(usage: &QuotaUsage, item: &Item) -> u64 {
    match &item.user {
        None => usage.used.of(item.resource),
        Some(user) => usage
            .users
            .get(user)
            .map_or(0, |used| used.of(item.resource)),
    }
}

/// Refuses a wish for which this site was not lent enough.
pub(super) fn check(tx: &mut Tx<'_>, lent: &Lent, wish: &Wish<'_>) -> Result<(), ReserveError> {
    check_rows(tx, lent, wish.project, &rows(wish))
}

/// Refuses one more server group of `user` in `project` for which this site was not lent enough.
pub(in crate::compute) fn check_group(
    tx: &mut Tx<'_>,
    lent: &Lent,
    project: &ProjectId,
    user: &UserId,
) -> Result<(), ReserveError> {
    let resource = Resource::ServerGroups;
    let held = Held::within(tx, project.as_str());
    let books = Books::within(tx, lent.site, project);
    let apart = held.sets_apart(user, resource).then(|| user.clone());
    let users = std::iter::once(None).chain(apart.map(Some));
    let rows: Vec<Row> = users
        .filter_map(|user| {
            let item = Item { resource, user };
            Some(Row {
                used: books.used(&item),
                more: 1,
                limit: held.limit(&item)?,
                item,
            })
        })
        .collect();
    check_rows(tx, lent, project, &rows)
}

fn check_rows(
    tx: &mut Tx<'_>,
    lent: &Lent,
    project: &ProjectId,
    rows: &[Row],
) -> Result<(), ReserveError> {
    if rows.is_empty() {
        return Ok(());
    }
    let room: Vec<u64> = match Seat::of(tx, lent.site, project) {
        Seat::Here(others) => {
            let free = |row: &Row| row.limit.saturating_sub(others.taken(&row.item, None));
            rows.iter().map(free).collect()
        }
        Seat::Away(mut bound) => {
            let granted = lent.heard.as_ref().and_then(|heard| heard.granted.as_ref());
            if granted.is_some_and(|granted| protocol::accept(&mut bound, granted)) {
                tx.put(LeaseHeld {
                    project: project.clone(),
                    bound: bound.clone(),
                    changed_at: lent.now,
                })?;
            }
            rows.iter().map(|row| bound.share.of(&row.item)).collect()
        }
    };
    let over: Vec<(&Row, u64)> = rows
        .iter()
        .zip(room)
        .filter(|(row, room)| row.used.saturating_add(row.more) > *room)
        .collect();
    if over.is_empty() {
        return Ok(());
    }
    Err(refusal(lent, project, rows, &over))
}

/// What is asked for of limited items.
fn rows(wish: &Wish<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for resource in LENT {
        let more = match resource {
            Resource::Cores => wish.delta.cores.get(),
            Resource::Instances => wish.delta.instances,
            _ => wish.delta.ram.get(),
        };
        let apart = wish.held.sets_apart(wish.user, resource);
        let users = [None, apart.then(|| wish.user.clone())];
        for (at, user) in users.into_iter().enumerate() {
            let item = Item { resource, user };
            let limit = wish.held.limit(&item);
            if let Some(limit) = limit.filter(|_| more > 0 && (at == 0 || item.user.is_some())) {
                let used = used_of(wish.usage, &item);
                rows.push(Row {
                    item,
                    used,
                    more,
                    limit,
                });
            }
        }
    }
    rows
}

fn refusal(lent: &Lent, project: &ProjectId, rows: &[Row], over: &[(&Row, u64)]) -> ReserveError {
    let heard = match &lent.heard {
        Some(heard) if !heard.again => heard,
        _ => {
            let want = rows
                .iter()
                .map(|row| (row.item.clone(), row.used.saturating_add(row.more)));
            let more = over.iter().map(|(row, _)| (row.item.clone(), row.more));
            return ReserveError::Lease(Box::new(Shortage {
                project: project.clone(),
                want: Share(want.collect::<BTreeMap<_, _>>()),
                more: Share(more.collect()),
            }));
        }
    };
    let message = match &heard.silent_home {
        Some(home) => {
            let parts = over.iter().map(|(row, room)| {
                let name = row.item.resource.name();
                if row.used >= *room {
                    format!("{room} {name}, all used")
                } else {
                    format!("{room} {name}, {} used", row.used)
                }
            });
            format!(
                "Quota exceeded: lease of site {} for project {}: {}; its home {home} cannot be \
                 reached",
                heard.own,
                project,
                parts.collect::<Vec<_>>().join("; ")
            )
        }
        None => exceeded(heard, over),
    };
    ReserveError::Refused { message }
}

/// As Nova says it, counting what other sites hold as used, for it cannot be had.
fn exceeded(heard: &Heard, over: &[(&Row, u64)]) -> String {
    let joined = |text: &dyn Fn(&Row, u64) -> String| {
        let parts = over.iter().map(|(row, room)| text(row, *room));
        parts.collect::<Vec<_>>().join(", ")
    };
    let names = joined(&|row, _| row.item.resource.name().to_owned());
    let used = joined(&|row, room| {
        let most = heard.available.of(&row.item).max(room);
        let elsewhere = row.limit.saturating_sub(most);
        elsewhere.saturating_add(row.used).to_string()
    });
    let requested = joined(&|row, _| row.more.to_string());
    let limits = joined(&|row, _| row.limit.to_string());
    let mut text = format!(
        "Quota exceeded for {names}: Requested {requested}, but already used {used} of {limits} \
         {names}"
    );
    if !heard.silent.is_empty() {
        let sites = heard.silent.join(", ");
        text = format!("{text}; the leases of {sites}, which cannot be reached, count as used");
    }
    text
}
