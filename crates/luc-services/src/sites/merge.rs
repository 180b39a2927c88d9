//! Brings the people of a cloud of one site along into the cloud that the site joins.
//!
//! The inviting site says what the cloud has once ([`common`]): its roles and the names of its
//! domains. The joining site, while it does not run, turns its `default` domain into an ordinary
//! one ([`bring_people`]), forgets that it founded anything, and clears the tombstones of all that,
//! so that its first feed speaks only of what is there. Doing it again changes nothing. State
//! contract, section "Joining".

use std::collections::BTreeMap;

use luc_core::id::RoleId;
use luc_state::Record as _;
use luc_state::feed::collect;
use serde::{Deserialize, Serialize};

use super::members::{Members, transact};
use super::model::{Admission, Promise, Ticket};
use super::refusal::Refusal;
use crate::Services;
use crate::identity::as_domain;
use crate::identity::model::{DEFAULT_DOMAIN, Domain, Role};

/// What a cloud has once, as far as those must know it who bring people along.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Common {
    /// The roles that are of no domain, by name.
    pub roles: BTreeMap<String, RoleId>,
    /// The names of the domains.
    pub domains: Vec<String>,
}

/// What the cloud has once, as this site knows it.
pub fn common(services: &Services) -> Common {
    let snapshot = services.store.snapshot();
    let roles = snapshot.all::<Role>();
    let roles = roles.filter(|role| role.domain_id.is_none());
    Common {
        roles: roles
            .map(|role| (role.name.clone(), role.id.clone()))
            .collect(),
        domains: snapshot.all::<Domain>().map(|d| d.name.clone()).collect(),
    }
}

/// Whether this site may bring its people into another cloud: only a cloud of one site may.
pub fn may_bring(services: &Services) -> Result<(), Refusal> {
    let members = Members::of(&services.store.snapshot(), services.site);
    let own = |site: &super::members::Member| site.site == services.site;
    if members.cloud == services.site && members.sites.iter().all(own) {
        return Ok(());
    }
    let reason = "only a cloud of one site joins another: remove its other sites first".to_owned();
    Err(Refusal::Impossible { reason })
}

/// Makes the people of this site those of the domain `name` of a cloud that has `common`. What does
/// not come along, for people.
pub async fn bring_people(
    services: &Services,
    name: &str,
    common: &Common,
) -> Result<Vec<String>, Refusal> {
    may_bring(services)?;
    let snapshot = services.store.snapshot();
    let mut domains = snapshot.all::<Domain>();
    let has_default = snapshot.get::<Domain>(DEFAULT_DOMAIN).is_some();
    let done = !has_default && domains.any(|domain| domain.name == name);
    let mut left = Vec::new();
    if !done {
        let own = snapshot
            .all::<Domain>()
            .filter(|d| d.id.as_str() != DEFAULT_DOMAIN);
        let brought = own
            .map(|domain| domain.name.clone())
            .chain([name.to_owned()]);
        if let Some(taken) = { brought }.find(|name| common.domains.contains(name)) {
            let reason = format!("the cloud has a domain called '{taken}' already");
            return Err(Refusal::Impossible { reason });
        }
        left = as_domain(services, name, &common.roles).await?.left;
    }
    transact(services, |tx| {
        for admission in tx.all::<Admission>() {
            tx.delete::<Admission>(admission.value().id())?;
        }
        for promise in tx.all::<Promise>() {
            tx.delete::<Promise>(&promise.site)?;
        }
        for ticket in tx.all::<Ticket>() {
            tx.delete::<Ticket>(&ticket.id)?;
        }
        Ok(())
    })
    .await?;
    // Nobody has followed this site in the cloud that it joins.
    let now = services.store.snapshot().revision();
    let cleared = collect(&services.store, now, 0).await;
    cleared.map_err(|error| {
        let reason = error.to_string();
        Refusal::Impossible { reason }
    })?;
    Ok(left)
}
