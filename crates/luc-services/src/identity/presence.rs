//! Where a domain lives beyond its home, and how a site comes to hold what it needs of one.
//!
//! The home of a domain keeps a record for each site that holds the domain's people: trusted sites
//! are let in when they ask ([`admit_follower`]), others only where somebody allowed it
//! ([`allow_site`]). The record travels with the domain's own content, so a site that has it holds
//! the domain, and says so without asking anybody ([`holds`]).
//!
//! A login or token that needs a domain which this site does not hold makes it follow the domain
//! ([`reach`]), once; after that authentication is local for good. What projects are used here is
//! told to the feeds by [`Interests`]. Rules 3 and 6 of the state contract.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use luc_api::ApiError;
use luc_core::id::{DomainId, ProjectId};
use luc_core::time::Timestamp;
use luc_core::{SitePrefix, Uuid};
use luc_state::{Snapshot, key};

use super::model::{Domain, DomainPresence, Project, PublicKey};
use super::refusal::{not_found, transact};
use super::trust::Trust;
use crate::Services;
use crate::ports::sites::Interest;
use crate::routing::forward::name_of;
use crate::sites::Members;

/// How long a login waits for a copy of a domain.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long it is remembered that the feeds were told of a project.
const TOLD_FOR: Duration = Duration::from_secs(3600);

/// From how many remembered projects on the oldest are forgotten.
const REMEMBERED_MAX: usize = 65_536;

/// How many domains of one site are fetched for an id that could belong to each of them.
const CANDIDATES_MAX: usize = 16;

/// Which of `domains` the site `follower` may hold, as the home of those whose home this is says.
/// To be called before a feed takes a follower's filter: trusted sites are let into every domain,
/// others only where [`allow_site`] was called or where the ticket that admitted the site names the
/// domain. What is not a domain of this site is left out, for
/// this site owns nothing of it.
pub async fn admit_follower(
    services: &Services,
    follower: SitePrefix,
    domains: &[DomainId],
) -> Result<Vec<DomainId>, ApiError> {
    let trusted = Trust::of(services).is_trusted(follower);
    let snapshot = services.store.snapshot();
    let members = Members::of(&snapshot, services.site);
    let listed = members
        .site(follower)
        .and_then(|member| member.domains.as_deref())
        .unwrap_or_default();
    let mut admitted = Vec::new();
    let mut new = Vec::new();
    for id in domains {
        let domain = snapshot.get::<Domain>(id);
        if domain.is_none_or(|domain| domain.home() != services.site) {
            continue;
        }
        let presence = snapshot.get::<DomainPresence>(DomainPresence::id_of(id.as_str(), follower));
        match presence {
            Some(presence) if trusted || presence.allowed => admitted.push(id.clone()),
            _ if trusted || listed.contains(id) => {
                new.push(DomainPresence::new(id, follower, !trusted));
                admitted.push(id.clone());
            }
            _ => {}
        }
    }
    if !new.is_empty() {
        transact(services, |tx| {
            for presence in &new {
                if tx.get::<Domain>(&presence.domain_id).is_some() {
                    tx.put(presence.clone())?;
                }
            }
            Ok(())
        })
        .await?;
    }
    Ok(admitted)
}

/// Whether the site `follower` may hold what belongs to `project`: a trusted site may, another one
/// where the project's domain lives there.
pub fn admits_project(services: &Services, follower: SitePrefix, project: &ProjectId) -> bool {
    let trust = Trust::of(services);
    if trust.is_trusted(follower) {
        return true;
    }
    let snapshot = services.store.snapshot();
    let domain = snapshot
        .get::<Project>(project)
        .and_then(|project| snapshot.get::<Domain>(&project.domain_id));
    domain.is_some_and(|domain| trust.lives_at(&snapshot, &domain, follower))
}

/// Leaves of `projects` and `domains` those in which `site` may have a part: all if it is trusted,
/// else what lives there. Of nothing else its word counts.
pub fn retain_at(
    services: &Services,
    site: SitePrefix,
    projects: &mut BTreeSet<ProjectId>,
    domains: &mut BTreeSet<DomainId>,
) {
    let trust = Trust::of(services);
    if trust.is_trusted(site) {
        return;
    }
    let snapshot = services.store.snapshot();
    let lives = |domain: &DomainId| {
        let domain = snapshot.get::<Domain>(domain);
        domain.is_some_and(|domain| trust.lives_at(&snapshot, &domain, site))
    };
    domains.retain(|domain| lives(domain));
    projects.retain(|project| {
        let project = snapshot.get::<Project>(project);
        project.is_some_and(|project| lives(&project.domain_id))
    });
}

/// Lets the domain `domain` live at `site`, whatever that site's label. Runs at the home of the
/// domain; elsewhere it ends in [`ApiError::Elsewhere`].
pub async fn allow_site(
    services: &Services,
    site: SitePrefix,
    domain: &str,
) -> Result<(), ApiError> {
    transact(services, |tx| {
        let found = tx.get::<Domain>(domain);
        let found = found.ok_or_else(|| not_found("domain", domain))?;
        elsewhere(services, found.home())?;
        tx.put(DomainPresence::new(&found.id, site, true))?;
        Ok(())
    })
    .await
}

/// Takes back what [`allow_site`] gave: from the next commit on the key of `site` does not count
/// for the users of the domain, unless the site is trusted.
pub async fn disallow_site(
    services: &Services,
    site: SitePrefix,
    domain: &str,
) -> Result<(), ApiError> {
    transact(services, |tx| {
        let id = DomainPresence::id_of(domain, site);
        match tx.get::<DomainPresence>(&id) {
            Some(presence) => elsewhere(services, presence.home())?,
            None => return Ok(()),
        }
        tx.delete::<DomainPresence>(&id)?;
        Ok(())
    })
    .await
}

/// The sites where the domain lives beyond its home, by what is known here.
pub fn sites_of(snapshot: &Snapshot, domain: &str) -> Vec<SitePrefix> {
    let found = snapshot.find(&DomainPresence::BY_DOMAIN, &key(&[domain]));
    found.map(|presence| presence.site).collect()
}

fn elsewhere(services: &Services, home: SitePrefix) -> Result<(), ApiError> {
    if home == services.site {
        return Ok(());
    }
    Err(ApiError::Elsewhere { home })
}

/// Whether this site holds the people of `domain`.
pub(super) fn holds(services: &Services, snapshot: &Snapshot, domain: &str) -> bool {
    let home = snapshot.get::<Domain>(domain).map(|domain| domain.home());
    home == Some(services.site)
        || snapshot
            .get::<DomainPresence>(DomainPresence::id_of(domain, services.site))
            .is_some()
}

/// Makes sure that this site holds `domain` if it may. An error names the site that has it and
/// cannot be reached; that the site is not let in is none, for then nobody can log in here.
pub(super) async fn reach(services: &Services, domain: &str) -> Result<(), ApiError> {
    let snapshot = services.store.snapshot();
    let Some(found) = snapshot.get::<Domain>(domain) else {
        return Ok(());
    };
    if holds(services, &snapshot, domain) {
        return Ok(());
    }
    let interest = Interest::Domain(found.id.clone());
    let complete = services.sites.follow(interest, PATIENCE).await;
    if complete || holds(services, &services.store.snapshot(), domain) {
        return Ok(());
    }
    Err(ApiError::SiteUnreachable {
        site: name_of(services, found.home()),
    })
}

/// As [`reach`], of a domain that a token names which the key `kid` signed: where a trusted site
/// says so a domain is followed that was made so lately that its name has not come here yet.
pub(super) async fn reach_signed(
    services: &Services,
    domain: &DomainId,
    kid: &str,
) -> Result<(), ApiError> {
    let snapshot = services.store.snapshot();
    let signer = snapshot.get::<PublicKey>(kid).map(|key| key.home());
    let trusted = signer.is_some_and(|site| Trust::of(services).is_trusted(site));
    if trusted && snapshot.get::<Domain>(domain).is_none() {
        let interest = Interest::Domain(domain.clone());
        services.sites.follow(interest, PATIENCE).await;
    }
    reach(services, domain.as_str()).await
}

/// Makes sure that this site holds the domain that something of this id could belong to: those
/// domains that its birth site owns.
pub(super) async fn reach_id(services: &Services, id: &str) -> Result<(), ApiError> {
    let birth = Uuid::parse(id).ok().and_then(|id| id.birth_site());
    let Some(birth) = birth.filter(|birth| *birth != services.site) else {
        return Ok(());
    };
    let snapshot = services.store.snapshot();
    let candidates: Vec<_> = snapshot
        .all::<Domain>()
        .filter(|domain| domain.home() == birth)
        .filter(|domain| !holds(services, &snapshot, domain.id.as_str()))
        .take(CANDIDATES_MAX)
        .collect();
    let reached = candidates
        .iter()
        .map(|found| reach(services, found.id.as_str()));
    let reached = futures::future::join_all(reached).await;
    reached.into_iter().collect()
}

/// Which projects are used here, so that the feeds are told of each from time to time.
#[derive(Default)]
pub(super) struct Interests(Mutex<HashMap<ProjectId, Timestamp>>);

impl Interests {
    /// Notes that `project` is used at `now`; `true` if the feeds should be told.
    fn is_news(&self, project: &ProjectId, now: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |at: &Timestamp| *at <= now && now < at.plus(TOLD_FOR);
        if told.get(project).is_some_and(fresh) {
            return false;
        }
        if told.len() >= REMEMBERED_MAX {
            told.retain(|_, at| fresh(at));
        }
        told.insert(project.clone(), now);
        true
    }

    /// Tells the feeds that `project` is used here, without waiting for them.
    pub(super) fn touch(&self, services: &Services, project: &ProjectId, now: Timestamp) {
        if !self.is_news(project, now) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let sites = Arc::clone(&services.sites);
        let interest = Interest::Project(project.clone());
        runtime.spawn(async move { sites.follow(interest, PATIENCE).await });
    }
}
