//! Where the limits of a project are: used at their home, lent to sites, free, or pending because a
//! limit was lowered. For operators; the home alone knows it.

use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::ProjectId;
use luc_state::key;
use serde::Serialize;

use super::super::model::lease::{Item, QuotaLease, Share};
use super::super::model::quota::Resource;
use super::closing::Elsewhere;
use super::exchange::home_of;
use super::lease::{Books, LENT};
use super::{Held, pending};
use crate::Services;
use crate::identity::model::Project;

/// Of one item, how much there is and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitRow {
    /// The resource, or `resource@user` of a user who has a limit of their own.
    pub item: Item,
    /// The limit; none if there is none.
    pub limit: Option<u64>,
    /// What is used at the home.
    pub here: u64,
    /// What other sites may use.
    pub lent: u64,
    /// What anybody may still have.
    pub free: Option<u64>,
    /// What is lent or used beyond a limit that was lowered, or what sites have that have not heard
    /// that there is a limit now.
    pub pending: u64,
}

/// What one site may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteShare {
    /// The site.
    pub site: SitePrefix,
    /// What it was lent.
    pub lent: Share,
    /// What is kept for it whether it uses it or not.
    pub reserve: Share,
}

/// The limits of a project that are shared out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The project.
    pub project: ProjectId,
    /// By item.
    pub limits: Vec<LimitRow>,
    /// By site.
    pub sites: Vec<SiteShare>,
}

/// What is known here of the limits of the project with the id `project` or, if there is one alone
/// of that name, called so.
///
/// # Errors
/// No project, several of the name, or another site is the home of the limits
/// ([`ApiError::Elsewhere`]).
pub fn report(services: &Services, project: &str) -> Result<Report, ApiError> {
    let project = project_named(services, project)?;
    if let Some(home) = home_of(services, &project).filter(|home| *home != services.site) {
        return Err(ApiError::Elsewhere { home });
    }
    let snapshot = services.store.snapshot();
    let held = Held::of(&snapshot, project.as_str());
    let books = Books::of(&snapshot, services.site, &project);
    let beyond = pending(&snapshot, services.site, &project);
    let elsewhere = Elsewhere::of(&snapshot, services.site, &project);
    let leases: Vec<_> = snapshot
        .find(&QuotaLease::BY_PROJECT, &key(&[project.as_str()]))
        .collect();
    let of_project = LENT
        .iter()
        .chain([&Resource::ServerGroups])
        .map(|resource| Item {
            resource: *resource,
            user: None,
        });
    let of_leases = leases
        .iter()
        .flat_map(|lease| lease.granted.share.0.keys().cloned());
    let unheard = elsewhere.open().cloned();
    let mut items: Vec<Item> = of_project.chain(of_leases).chain(unheard).collect();
    items.sort_unstable();
    items.dedup();
    let limits = items.into_iter().map(|item| {
        let own = leases.iter().find(|lease| lease.site == services.site);
        let (limit, here) = (held.limit(&item), books.used(&item));
        let kept = own.map_or(0, |own| own.reserve.of(&item)).max(here);
        let lent = elsewhere.taken(&item, None);
        LimitRow {
            limit,
            here,
            lent,
            free: limit.map(|limit| limit.saturating_sub(lent.saturating_add(kept))),
            pending: beyond.of(&item),
            item,
        }
    });
    // What the home notes for itself is lent to nobody.
    let noted = |lease: &QuotaLease| lease.site == services.site && lease.reserve.is_empty();
    let shared = leases.iter().filter(|lease| !noted(lease));
    let sites = shared.map(|lease| SiteShare {
        site: lease.site,
        lent: lease.granted.share.clone(),
        reserve: lease.reserve.clone(),
    });
    Ok(Report {
        limits: limits.collect(),
        sites: sites.collect(),
        project,
    })
}

/// The project with that id, else the only one that is called so.
pub fn project_named(services: &Services, text: &str) -> Result<ProjectId, ApiError> {
    let snapshot = services.store.snapshot();
    if let Some(project) = snapshot.get::<Project>(text) {
        return Ok(project.id.clone());
    }
    let called = snapshot
        .all::<Project>()
        .filter(|project| project.name == text);
    let ids: Vec<ProjectId> = called.map(|project| project.id.clone()).collect();
    match ids.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(ApiError::not_found(format!(
            "There is no project '{text}'."
        ))),
        several => {
            let ids: Vec<&str> = several.iter().map(ProjectId::as_str).collect();
            let ids = ids.join(", ");
            let message = format!("Several projects are called '{text}': {ids}. Say the id.");
            Err(ApiError::conflict(message))
        }
    }
}

/// A share in the words of an operator: `{"instances": 5}`.
///
/// # Errors
/// A name that is no resource of which sites are lent a part.
pub fn share_of(amounts: impl IntoIterator<Item = (String, u64)>) -> Result<Share, ApiError> {
    let mut share = Share::default();
    for (name, amount) in amounts {
        let item: Item = name
            .parse()
            .map_err(|error| ApiError::bad_request(format!("{error}.")))?;
        if !LENT.contains(&item.resource) && item.resource != Resource::ServerGroups {
            let message = format!("Sites are not lent a part of {name}.");
            return Err(ApiError::bad_request(message));
        }
        share.0.insert(item, amount);
    }
    Ok(share)
}
