//! Keeps where domains live as the admissions of sites say.
//!
//! An admission lists the domains that a site of the label edge may hold; whoever admitted it may
//! change the list. Each home of a domain follows that for its own domains ([`settle_permits`]),
//! when it learns of it: so no site has to reach all homes at once, and a split only delays what
//! it cuts off. What sites that are gone were allowed is taken back, too.
//!
//! `luc` calls it whenever the records of sites have changed.

use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::DomainId;
use luc_state::{Record as _, Snapshot};

use super::model::{Domain, DomainPresence};
use super::refusal::transact;
use crate::Services;
use crate::sites::{Label, Member, Members};

/// Lets the domains of this site live where the admissions of edge sites say, and nowhere else.
/// How many permissions were given or taken back.
pub async fn settle_permits(services: &Services) -> Result<usize, ApiError> {
    let snapshot = services.store.snapshot();
    let members = Members::of(&snapshot, services.site);
    let (given, taken) = (
        missing(&snapshot, services.site, &members),
        outdated(&snapshot, services.site, &members),
    );
    if given.is_empty() && taken.is_empty() {
        return Ok(0);
    }
    transact(services, |tx| {
        for presence in &given {
            let own = tx.get::<Domain>(&presence.domain_id);
            if own.is_some_and(|domain| domain.home() == services.site) {
                tx.put(presence.clone())?;
            }
        }
        for id in &taken {
            if tx.get::<DomainPresence>(id).is_some() {
                tx.delete::<DomainPresence>(id)?;
            }
        }
        Ok(())
    })
    .await?;
    Ok(given.len() + taken.len())
}

/// What is listed and not yet given.
fn missing(snapshot: &Snapshot, own: SitePrefix, members: &Members) -> Vec<DomainPresence> {
    let edges = members.sites.iter().filter(|site| is_edge(site));
    let listed = edges.flat_map(|edge| {
        let domains: &[DomainId] = edge.domains.as_deref().unwrap_or_default();
        domains.iter().map(|domain| (domain, edge.site))
    });
    listed
        .filter(|(domain, _)| {
            let domain = snapshot.get::<Domain>(*domain);
            domain.is_some_and(|domain| domain.home() == own)
        })
        .filter(|(domain, site)| {
            let id = DomainPresence::id_of(domain.as_str(), *site);
            let given = snapshot.get::<DomainPresence>(id);
            given.is_none_or(|presence| !presence.allowed)
        })
        .map(|(domain, site)| DomainPresence::new(domain, site, true))
        .collect()
}

/// What is given and not listed any more, or to a site that is gone.
fn outdated(snapshot: &Snapshot, own: SitePrefix, members: &Members) -> Vec<String> {
    let stays = |presence: &DomainPresence| match members.site(presence.site) {
        None => !members.removed.contains(&presence.site),
        Some(edge) if is_edge(edge) => {
            let domains: &[DomainId] = edge.domains.as_deref().unwrap_or_default();
            domains.contains(&presence.domain_id)
        }
        Some(_) => true,
    };
    snapshot
        .all::<DomainPresence>()
        .filter(|presence| presence.home() == own && !stays(presence))
        .map(|presence| presence.value().id().to_owned())
        .collect()
}

fn is_edge(site: &Member) -> bool {
    site.label == Label::Edge
}
