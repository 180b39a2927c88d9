//! What keeps leases in order: idle ones go back, lowered limits take effect, reserves are set.
//!
//! `luc` calls [`tidy`] from time to time at every site. Nothing here has to happen for a limit to
//! hold; it makes what is free usable again.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::ProjectId;
use luc_state::{Snapshot, key};

use super::super::model::lease::{LeaseHeld, QuotaLease, Share};
use super::super::write::{WriteError, transact};
use super::Held;
use super::closing::{Elsewhere, is_open};
use super::exchange::{ask, give_back, home_of, recall, tell};
use super::lease::Books;
use crate::Services;
use crate::identity::model::Project;

/// How long a lease may be idle before it goes back.
pub const IDLE: Duration = Duration::from_secs(3600);

/// For how many projects sites are asked at once.
const SETTLED_AT_ONCE: usize = 16;

/// Gives back what this site was lent and has not needed for `idle`, tells homes of what they have
/// not heard, and asks for what was lent beyond limits that were lowered.
pub async fn tidy(services: &Services, idle: Duration) -> Result<(), ApiError> {
    let snapshot = services.store.snapshot();
    let now = services.clock.now();
    for held in snapshot.all::<LeaseHeld>() {
        let project = &held.project;
        let Some(home) = home_of(services, project).filter(|home| *home != services.site) else {
            continue;
        };
        let lease = snapshot.get::<QuotaLease>(QuotaLease::id_of(project, services.site));
        let unheard = lease
            .as_ref()
            .is_none_or(|lease| lease.granted.epoch < held.bound.epoch);
        let mut said = held.bound.epoch;
        if held.changed_at.plus(idle) <= now {
            let granted = lease.as_ref().map(|lease| lease.granted.clone());
            let back = give_back(services, project, granted.as_ref(), |_| u64::MAX).await?;
            said = back.epoch;
        }
        if unheard || said > held.bound.epoch {
            // If the home is silent it is told the next time.
            let nothing = Share::default();
            ask(services, home, project, (&nothing, Share::default())).await?;
        }
    }
    settle_all(services).await
}

/// At the home: [`settle`] for every project of which something is lent. To be called when what
/// projects have without a limit of their own was lowered.
pub async fn settle_all(services: &Services) -> Result<(), ApiError> {
    let snapshot = services.store.snapshot();
    let lent = snapshot
        .all::<QuotaLease>()
        .filter(|lease| lease.home() == services.site)
        .map(|lease| lease.project.clone());
    // Where there was no limit nothing is lent.
    let untold = snapshot
        .all::<Project>()
        .map(|project| project.id.clone())
        .filter(|project| is_open(&snapshot, services.site, project))
        .filter(|project| home_of(services, project).is_none_or(|home| home == services.site));
    let projects: BTreeSet<_> = lent.chain(untold).collect();
    let each = projects.into_iter().map(|project| {
        let known = snapshot.get::<Project>(&project).is_some();
        async move {
            if known {
                settle(services, &project).await.map(drop)
            } else {
                forget(services, &project).await
            }
        }
    });
    let done = futures::stream::iter(each).buffer_unordered(SETTLED_AT_ONCE);
    // What goes wrong with one is no reason to leave the others as they are.
    let all: Vec<Result<(), ApiError>> = done.collect().await;
    all.into_iter().collect()
}

/// At the home: takes back what was lent to sites that are gone and of which nothing runs any more.
/// How many leases went.
pub async fn free_departed(services: &Services) -> Result<usize, ApiError> {
    let snapshot = services.store.snapshot();
    let fenced = crate::sites::fenced(&snapshot, services.site);
    let ids: Vec<_> = snapshot
        .all::<QuotaLease>()
        .filter(|lease| lease.home() == services.site && fenced.contains(&lease.site))
        .map(|lease| QuotaLease::id_of(&lease.project, lease.site))
        .collect();
    if ids.is_empty() {
        return Ok(0);
    }
    transact(&services.store, |tx| {
        for id in &ids {
            if tx.get::<QuotaLease>(id).is_some() {
                tx.delete::<QuotaLease>(id)?;
            }
        }
        Ok::<_, WriteError>(ids.len())
    })
    .await
}

/// Removes the leases of a project that is gone.
async fn forget(services: &Services, project: &ProjectId) -> Result<(), ApiError> {
    transact(&services.store, |tx| {
        if tx.get::<Project>(project).is_some() {
            return Ok(());
        }
        for lease in tx.find(&QuotaLease::BY_PROJECT, &key(&[project.as_str()])) {
            tx.delete::<QuotaLease>(QuotaLease::id_of(project, lease.site))?;
        }
        Ok::<_, WriteError>(())
    })
    .await
}

/// What was lent or is used beyond the limits of `project`, as its home knows, or what sites have
/// that have not heard that there is a limit now: nothing, unless a limit was lowered and not
/// every site has given back yet.
pub fn pending(snapshot: &Snapshot, site: SitePrefix, project: &ProjectId) -> Share {
    let held = Held::of(snapshot, project.as_str());
    let books = Books::of(snapshot, site, project);
    let elsewhere = Elsewhere::of(snapshot, site, project);
    let beyond = elsewhere.items().into_iter().filter_map(|item| {
        let limit = held.limit(&item)?;
        let taken = elsewhere.taken(&item, None);
        let beyond = taken
            .saturating_add(books.used(&item))
            .saturating_sub(limit);
        let beyond = beyond.max(elsewhere.unheard(&item));
        (beyond > 0).then_some((item, beyond))
    });
    Share(beyond.collect())
}

/// At the home: asks what was used before there were the limits of `project`, and for what was lent
/// beyond them. To be called when a limit
/// was lowered; sites that are silent are asked again by [`tidy`]. What is still [`pending`] then
/// is in use.
pub async fn settle(services: &Services, project: &ProjectId) -> Result<Share, ApiError> {
    let site = services.site;
    tell(services, project).await?;
    let beyond = pending(&services.store.snapshot(), site, project);
    if !beyond.is_empty() {
        recall(services, project, &beyond, site).await?;
    }
    Ok(pending(&services.store.snapshot(), site, project))
}

/// At the home: keeps `reserve` of the limits of `project` for `site`, whether it uses it or not.
/// Refused as far as it is not free.
pub async fn set_reserve(
    services: &Services,
    project: &ProjectId,
    site: SitePrefix,
    reserve: &Share,
) -> Result<(), ApiError> {
    if let Some(home) = home_of(services, project).filter(|home| *home != services.site) {
        return Err(ApiError::Elsewhere { home });
    }
    recall(services, project, reserve, site).await?;
    transact(&services.store, |tx| {
        let found = tx.get::<Project>(project);
        let found = found.ok_or_else(|| ApiError::not_found("There is no such project."))?;
        let held = Held::within(tx, project.as_str());
        let books = Books::within(tx, services.site, project);
        let elsewhere = Elsewhere::within(tx, services.site, project);
        for (item, count) in &reserve.0 {
            let mut taken = elsewhere.taken(item, Some(site));
            if site != services.site {
                taken = taken.saturating_add(books.used(item));
            }
            let limit = held.limit(item).unwrap_or(u64::MAX);
            if limit.saturating_sub(taken) < *count {
                let free = limit.saturating_sub(taken);
                let message = format!("Of {item} {free} are free at the moment, not {count}.");
                return Err(ApiError::conflict(message).into());
            }
        }
        let mut lease = QuotaLease::within(tx, project, &found.domain_id, site);
        lease.reserve = reserve.clone();
        if site != services.site {
            lease.granted.share = lease.granted.share.clone().joined(reserve);
        }
        tx.put(lease)?;
        Ok::<_, WriteError>(())
    })
    .await
}
