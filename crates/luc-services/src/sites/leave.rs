//! What is written of sites and nodes besides joining: the founder itself, what a node says of
//! itself at its start, and how nodes and sites go.
//!
//! Whoever was a member and is none any more is a stranger to all the others, so none of them feeds
//! it the removal. It may ask at the door what became of it ([`parting`]).

use std::collections::{BTreeMap, BTreeSet};

use luc_core::id::{DomainId, NodeId};
use luc_core::time::Timestamp;
use luc_core::{SitePrefix, Uuid};
use luc_state::{Record, Snapshot, key};
use serde::{Deserialize, Serialize};

use super::admit::{NodeWish, check_site_name};
use super::members::{Members, transact};
use super::model::{Admission, Label, NodeInfo, Removal, SiteInfo, node_id, said_of, site_id};
use super::proof::proves;
use super::refusal::Refusal;
use crate::Services;
use crate::compute::model::server::Server;
use crate::identity::model::{Domain, User};
use crate::image::model::Image;
use crate::ports::Drawn;

/// Writes that this site is the founder of its cloud, under its founding public key. Doing it
/// twice changes nothing.
pub async fn found(
    services: &Services,
    name: &str,
    founding_key: &str,
    node: &NodeWish,
) -> Result<(), Refusal> {
    let (site, now) = (services.site, services.clock.now());
    let id = Uuid::born_at(site, &mut Drawn(&*services.random)).simple();
    transact(services, |tx| {
        let own = key(&[&site.to_string()]);
        if !tx.find(&Admission::BY_SITE, &own).is_empty() {
            return Ok(());
        }
        tx.insert(Admission {
            id: id.clone(),
            site,
            name: name.to_owned(),
            founding_key: founding_key.to_owned(),
            label: Label::Trusted,
            domains: None,
            node_key: node.key.clone(),
            addresses: node.addresses.clone(),
            admitted_at: now,
            ticket: None,
        })?;
        Ok(())
    })
    .await
}

/// Writes what this site says of itself and of the node that starts; nothing if that is known.
pub async fn introduce(
    services: &Services,
    info: (&str, SitePrefix, Option<&str>),
    node: &NodeWish,
) -> Result<(), Refusal> {
    let (name, cloud, api_url) = info;
    check_site_name("site.name", name)?;
    let (site, now) = (services.site, services.clock.now());
    let said = SiteInfo {
        id: site_id(site),
        site,
        name: name.to_owned(),
        cloud,
        api_url: api_url.map(str::to_owned),
    };
    if !proves(cloud, site, &node.key, Some(&node.proof)) {
        return Err(Refusal::Proof);
    }
    let id = node_id(site, &node.key);
    transact(services, |tx| {
        let known = tx.get::<SiteInfo>(said.id.as_str());
        if known.is_none_or(|known| *known.value() != said) {
            tx.put(said.clone())?;
        }
        let known = tx.get::<NodeInfo>(id.as_str());
        let told = NodeInfo {
            id: id.clone(),
            site,
            name: node.name.clone(),
            key: node.key.clone(),
            roles: node.roles.clone(),
            addresses: node.addresses.clone(),
            joined_at: known.as_ref().map_or(now, |known| known.joined_at),
            revoked_at: known.as_ref().and_then(|known| known.revoked_at),
            ticket: known.as_ref().and_then(|known| known.ticket.clone()),
            proof: Some(node.proof.clone()),
        };
        if told.revoked_at.is_some() {
            return Err(Refusal::Revoked);
        }
        if known.is_none_or(|known| *known.value() != told) {
            tx.put(told)?;
        }
        Ok(())
    })
    .await
}

/// How a site goes.
#[derive(Clone, Copy, Debug)]
pub struct Going<'a> {
    /// Why, for people.
    pub reason: &'a str,
    /// Whether it goes although it has what would be lost.
    pub insist: bool,
    /// Whether nothing of it runs any more: what it was lent of limits is free again at once.
    pub fenced: bool,
}

/// Ends the membership of `site` for good. Refused while it has what would be lost, as far as is
/// known here, unless the operator insists. One that is gone already may still be fenced off.
pub async fn remove(
    services: &Services,
    site: SitePrefix,
    going: Going<'_>,
) -> Result<(), Refusal> {
    let snapshot = services.store.snapshot();
    let members = Members::of(&snapshot, services.site);
    if members.removed.contains(&site) {
        if going.fenced {
            fence(services, site).await?;
        }
        return Ok(());
    }
    if !members.trusts(services.site) {
        return Err(Refusal::NotTrusted);
    }
    if members.site(site).is_none() {
        let id = site.to_string();
        return Err(Refusal::Unknown { what: "site", id });
    }
    if site == services.site {
        let reason = "a site is removed by another one: use `luc site leave`".to_owned();
        return Err(Refusal::Impossible { reason });
    }
    let has = holdings(&snapshot, site);
    if !going.insist && !has.is_empty() {
        return Err(Refusal::Holds { has });
    }
    let removal = Removal {
        id: said_of(services.site, "luc removal", site),
        site,
        reason: going.reason.to_owned(),
        fenced: going.fenced,
        removed_at: services.clock.now(),
    };
    transact(services, |tx| {
        tx.put(removal.clone())?;
        Ok(())
    })
    .await
}

/// Notes that nothing of the site `site`, which is removed, runs any more: what it was lent of
/// limits is free again from then on.
async fn fence(services: &Services, site: SitePrefix) -> Result<(), Refusal> {
    let members = Members::of(&services.store.snapshot(), services.site);
    if !members.trusts(services.site) {
        return Err(Refusal::NotTrusted);
    }
    let id = said_of(services.site, "luc removal", site);
    let now = services.clock.now();
    transact(services, |tx| {
        let said = tx.get::<Removal>(&id);
        let mut removal = said.map_or_else(
            || Removal {
                id: id.clone(),
                site,
                reason: "fenced off".to_owned(),
                fenced: false,
                removed_at: now,
            },
            |said| said.value().clone(),
        );
        if !removal.fenced {
            removal.fenced = true;
            tx.put(removal)?;
        }
        Ok(())
    })
    .await
}

/// The sites that are gone and of which a trusted site says that nothing runs any more.
pub fn fenced(snapshot: &Snapshot, site: SitePrefix) -> BTreeSet<SitePrefix> {
    let members = Members::of(snapshot, site);
    let said = snapshot.all::<Removal>();
    let said = said.filter(|r| r.fenced && members.removed.contains(&r.site));
    let said = said.filter(|removal| members.trusts(removal.home()));
    said.map(|removal| removal.site).collect()
}

/// The end of a membership, as the one that was a member is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parting {
    /// The name of the site that wrote it down.
    pub by: String,
    /// Why, for people.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// How the membership of `site` ended, for somebody who shows the key `peer` of a node it had;
/// `None` if it has not ended as far as is known here, or the key is none of its keys.
pub fn parting(services: &Services, site: SitePrefix, peer: &str) -> Option<Parting> {
    let snapshot = services.store.snapshot();
    let members = Members::of(&snapshot, services.site);
    let of_site = key(&[&site.to_string()]);
    let mut admissions = snapshot.find(&Admission::BY_SITE, &of_site);
    let mut nodes = snapshot.find(&NodeInfo::BY_SITE, &of_site);
    let had = admissions.any(|one| one.node_key == peer) || nodes.any(|node| node.key == peer);
    if !members.removed.contains(&site) || !had {
        return None;
    }
    let mut removals = snapshot.find(&Removal::BY_SITE, &of_site);
    let said = removals.find(|said| said.home() == site || members.trusts(said.home()))?;
    let by = members.site(said.home()).map(|by| by.name.clone());
    Some(Parting {
        by: by.unwrap_or_else(|| said.home().to_string()),
        reason: said.reason.clone(),
        at: said.removed_at,
    })
}

/// Checks that this site may leave: it is not the only one, and nothing would be lost.
pub fn leave(services: &Services) -> Result<(), Refusal> {
    let snapshot = services.store.snapshot();
    let members = Members::of(&snapshot, services.site);
    if members.sites.len() < 2 {
        let reason = "this is the only site of the cloud".to_owned();
        return Err(Refusal::Impossible { reason });
    }
    let has = holdings(&snapshot, services.site);
    if has.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Holds { has })
    }
}

/// What would be lost with a site, as `3 servers`.
fn holdings(snapshot: &Snapshot, site: SitePrefix) -> Vec<String> {
    fn count<R: Record>(snapshot: &Snapshot, site: SitePrefix) -> usize {
        let all = snapshot.all::<R>();
        all.filter(|record| record.home() == site).count()
    }
    let counts = BTreeMap::from([
        ("domains", count::<Domain>(snapshot, site)),
        ("images", count::<Image>(snapshot, site)),
        ("servers", count::<Server>(snapshot, site)),
        ("users", count::<User>(snapshot, site)),
    ]);
    counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{count} {what}"))
        .collect()
}

/// Sets the domains whose records an edge site may hold; none but those. Done at the site that
/// admitted it; the homes of the domains follow ([`crate::identity::settle_permits`]).
pub async fn allow(
    services: &Services,
    site: SitePrefix,
    domains: Option<Vec<DomainId>>,
) -> Result<(), Refusal> {
    transact(services, |tx| {
        let admissions = tx.find(&Admission::BY_SITE, &key(&[&site.to_string()]));
        let Some(admission) = admissions.first() else {
            let id = site.to_string();
            return Err(Refusal::Unknown { what: "site", id });
        };
        if admission.label == Label::Trusted && domains.is_some() {
            return Err(Refusal::Invalid {
                field: "domains",
                reason: "a trusted site may hold every domain".to_owned(),
            });
        }
        if let Some(unknown) =
            { domains.iter().flatten() }.find(|id| tx.get::<Domain>(*id).is_none())
        {
            let id = unknown.to_string();
            return Err(Refusal::Unknown { what: "domain", id });
        }
        tx.update(Admission {
            domains: domains.clone(),
            ..admission.value().clone()
        })?;
        Ok(())
    })
    .await
}

/// Revokes the key of a node of this site, for good. Not that of its only controller, for nobody
/// would reach the site any more, unless the operator insists.
pub async fn revoke(services: &Services, node: &NodeId, insist: bool) -> Result<NodeInfo, Refusal> {
    let now = services.clock.now();
    transact(services, |tx| {
        let found = tx.get::<NodeInfo>(node.as_str());
        let found = found.ok_or_else(|| Refusal::Unknown {
            what: "node",
            id: node.to_string(),
        })?;
        if found.revoked_at.is_some() {
            return Ok(found.value().clone());
        }
        let of_site = tx.find(&NodeInfo::BY_SITE, &key(&[&services.site.to_string()]));
        let leads = |node: &NodeInfo| node.is_controller() && node.revoked_at.is_none();
        let another = of_site
            .iter()
            .any(|other| leads(other) && other.id != found.id);
        if leads(&found) && !another && !insist {
            let name = found.name.clone();
            return Err(Refusal::OnlyController { name });
        }
        let revoked = NodeInfo {
            revoked_at: Some(now),
            ..found.value().clone()
        };
        Ok(tx.update(revoked)?.value().clone())
    })
    .await
}
