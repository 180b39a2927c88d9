//! Host aggregates: hosts with something in common, which may form an availability zone.
//!
//! **Invariant**: the zones of a host's aggregates are all the same, so a host is in one zone.
//! **Invariant**: the zone of a host with servers does not change.
//! **Invariant**: the hosts of an aggregate are of one site, which is the aggregate's home.

mod moving;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use luc_api::ApiError;
use luc_api::compute::aggregate::{
    AddAggregateHost, CreateAggregate, RemoveAggregateHost, SetAggregateMetadata, UpdateAggregate,
};
use luc_api::policy::Attributes;
use luc_core::id::AggregateId;
use luc_state::{Stored, Tx, key};
use serde_json::json;

use super::host::Host;
use super::model::aggregate::Aggregate;
use super::model::server::Server;
use super::page::whole_number;
use super::write::{WriteError, transact};
use crate::Services;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;
use crate::routing::numbers;

/// The key of metadata that stands for the zone.
const ZONE: &str = "availability_zone";

fn not_found(id: &str) -> ApiError {
    ApiError::not_found(format!("Aggregate {id} could not be found."))
}

/// The id in the path, which is a number.
fn id_of(services: &Services, request: &Request) -> Result<String, ApiError> {
    let number = whole_number("id", request.param("aggregate_id"))?;
    Ok(numbers::own(services.site, number).to_string())
}

/// Lists aggregates in the order in which they were made.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let snapshot = services.store.snapshot();
    let mut aggregates: Vec<_> = snapshot.all::<Aggregate>().collect();
    aggregates.retain(|aggregate| aggregate.moved.is_none());
    aggregates.sort_by_key(|aggregate| aggregate.number());
    let shown = aggregates
        .iter()
        .map(|aggregate| view::whole(request, aggregate));
    Reply::json(&json!({"aggregates": shown.collect::<Vec<_>>()}))
}

/// Shows an aggregate.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let id = id_of(services, request)?;
    let found = services.store.snapshot().get::<Aggregate>(&id);
    let aggregate = { found }
        .filter(|aggregate| aggregate.moved.is_none())
        .ok_or_else(|| not_found(&id))?;
    Reply::json(&json!({"aggregate": view::whole(request, &aggregate)}))
}

/// Makes an aggregate.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let wish = request.body::<CreateAggregate>()?.aggregate;
    if let Some(moving) = &wish.moving {
        return moving::arrived(services, request, &wish, moving).await;
    }
    let uuid = AggregateId::born_at(services.site, &mut Drawn(&*services.random));
    let made = transact(&services.store, |tx| {
        check_name_is_free(tx, &wish.name, None)?;
        let aggregate = Aggregate {
            id: next_number(tx).to_string(),
            uuid: uuid.clone(),
            name: wish.name.clone(),
            zone: wish.availability_zone.clone(),
            hosts: BTreeSet::new(),
            metadata: BTreeMap::new(),
            created_at: request.now,
            updated_at: None,
            moved: None,
        };
        tx.insert(aggregate.clone())?;
        Ok(aggregate)
    })
    .await?;
    Reply::json(&json!({"aggregate": view::made(request, &made)}))
}

/// The number of the next aggregate of this site.
fn next_number(tx: &Tx<'_>) -> u64 {
    let numbers = tx.all::<Aggregate>();
    let last = numbers.iter().map(|aggregate| aggregate.number()).max();
    last.unwrap_or_default() + 1
}

fn check_name_is_free(tx: &Tx<'_>, name: &str, except: Option<&str>) -> Result<(), WriteError> {
    match tx.one(&Aggregate::BY_NAME, &key(&[name])) {
        Some(other) if Some(other.id.as_str()) != except => {
            Err(ApiError::conflict(format!("Aggregate {name} already exists.")).into())
        }
        _ => Ok(()),
    }
}

/// Changes the name or the zone of an aggregate.
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let wish = request.body::<UpdateAggregate>()?.aggregate;
    let wish = &wish;
    change(services, request, |tx, aggregate| {
        if let Some(name) = &wish.name {
            check_name_is_free(tx, name.trim(), Some(&aggregate.id))?;
            name.trim().clone_into(&mut aggregate.name);
        }
        match &wish.availability_zone {
            Some(zone) => set_zone(tx, aggregate, zone.as_deref(), "update"),
            None => Ok(()),
        }
    })
    .await
}

/// Sets and removes metadata; the zone is an item of it.
pub(super) async fn set_metadata(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let wish = request
        .body::<SetAggregateMetadata>()?
        .set_metadata
        .metadata;
    let wish = &wish;
    change(services, request, |tx, aggregate| {
        for (name, value) in wish {
            match value {
                _ if name == ZONE => {
                    set_zone(tx, aggregate, value.as_deref(), "update metadata of")?;
                }
                Some(value) => {
                    aggregate.metadata.insert(name.clone(), value.clone());
                }
                None => {
                    aggregate.metadata.remove(name);
                }
            }
        }
        Ok(())
    })
    .await
}

/// Puts a host into an aggregate.
pub(super) async fn add_host(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let host = request.body::<AddAggregateHost>()?.add_host.host;
    let host = &host;
    let snapshot = services.store.snapshot();
    let found = snapshot.get::<Aggregate>(&id_of(services, request)?);
    if let Some(aggregate) = found.filter(|_| snapshot.get::<Host>(host).is_none())
        && let Some(reply) = moving::to_host(services, request, &aggregate, host).await?
    {
        return Ok(reply);
    }
    change(services, request, |tx, aggregate| put(tx, aggregate, host)).await
}

/// Puts `host` into `aggregate`, if that moves no server and no host into two zones.
fn put(tx: &mut Tx<'_>, aggregate: &mut Aggregate, host: &str) -> Result<(), WriteError> {
    let Some(known) = tx.get::<Host>(host) else {
        let message = format!("Compute host {host} could not be found.");
        return Err(ApiError::not_found(message).into());
    };
    if aggregate.hosts.contains(host) {
        let id = &aggregate.id;
        let message = format!("Aggregate {id} already has host {host}.");
        return Err(ApiError::conflict(message).into());
    }
    if let Some(zone) = &aggregate.zone {
        check_move(tx, &known, Some(zone), &aggregate.id)
            .map_err(|reason| refused("add host to", &aggregate.id, &reason, true))?;
    }
    aggregate.hosts.insert(host.to_owned());
    Ok(())
}

/// Takes a host out of an aggregate.
pub(super) async fn remove_host(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let host = request.body::<RemoveAggregateHost>()?.remove_host.host;
    let host = &host;
    change(services, request, |tx, aggregate| {
        if !aggregate.hosts.contains(host) {
            let message = format!("Cannot remove host {host} in aggregate {}", aggregate.id);
            return Err(ApiError::not_found(message).into());
        }
        if let Some(known) = tx.get::<Host>(host).filter(|_| aggregate.zone.is_some()) {
            check_move(tx, &known, None, &aggregate.id)
                .map_err(|reason| refused("remove host from", &aggregate.id, &reason, true))?;
        }
        aggregate.hosts.remove(host);
        Ok(())
    })
    .await
}

/// Deletes an aggregate without hosts.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let id = id_of(services, request)?;
    transact(&services.store, |tx| {
        let aggregate = present(tx, &id)?;
        if !aggregate.hosts.is_empty() {
            let reason = "Host aggregate is not empty";
            return Err(refused("remove host from", &id, reason, false).into());
        }
        tx.delete::<Aggregate>(&id)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// The aggregate with this number, unless it has moved.
fn present(tx: &mut Tx<'_>, id: &str) -> Result<Arc<Stored<Aggregate>>, ApiError> {
    let stored = tx.get::<Aggregate>(id);
    let present = stored.filter(|aggregate| aggregate.moved.is_none());
    present.ok_or_else(|| not_found(id))
}

/// Changes the aggregate that the path names, in one transaction, and shows it.
async fn change(
    services: &Services,
    request: &Request,
    mut edit: impl FnMut(&mut Tx<'_>, &mut Aggregate) -> Result<(), WriteError>,
) -> Result<Reply, ApiError> {
    let id = id_of(services, request)?;
    let changed = transact(&services.store, |tx| {
        let stored = present(tx, &id)?;
        let mut aggregate = stored.value().clone();
        edit(tx, &mut aggregate)?;
        if aggregate != *stored.value() {
            aggregate.updated_at = Some(request.now);
            tx.update(aggregate.clone())?;
        }
        Ok(aggregate)
    })
    .await?;
    Reply::json(&json!({"aggregate": view::whole(request, &changed)}))
}

/// Gives `aggregate` another zone, if that moves no server and no host into two zones.
fn set_zone(
    tx: &Tx<'_>,
    aggregate: &mut Aggregate,
    zone: Option<&str>,
    verb: &str,
) -> Result<(), WriteError> {
    let Some(zone) = zone.filter(|zone| !zone.is_empty()) else {
        let reason = format!(
            "Aggregate {} does not support empty named availability zone",
            aggregate.name
        );
        return Err(refused(verb, &aggregate.id, &reason, false).into());
    };
    for host in &aggregate.hosts {
        if let Some(other) = zone_elsewhere(tx, host, &aggregate.id).filter(|other| other != zone) {
            let reason = format!("One or more hosts already in availability zone(s) ['{other}']");
            return Err(refused(verb, &aggregate.id, &reason, false).into());
        }
        if aggregate.zone.as_deref() != Some(zone) && servers_on(tx, host) > 0 {
            let reason = "One or more hosts contain instances in this zone";
            return Err(refused(verb, &aggregate.id, reason, false).into());
        }
    }
    aggregate.zone = Some(zone.to_owned());
    Ok(())
}

/// Whether `host` may be in `zone` (or in its site's if `None`) as far as the aggregate `id` says.
fn check_move(tx: &Tx<'_>, host: &Host, zone: Option<&str>, id: &str) -> Result<(), String> {
    let elsewhere = zone_elsewhere(tx, &host.name, id);
    if let (Some(other), Some(zone)) = (&elsewhere, zone)
        && other != zone
    {
        return Err(format!(
            "One or more hosts already in availability zone(s) ['{other}']"
        ));
    }
    let servers = servers_on(tx, &host.name);
    if elsewhere.is_some() || servers == 0 {
        return Ok(());
    }
    Err(format!(
        "The availability zone of the host would change, but the host already has {servers} \
         instance(s). Changing the AZ of an existing instance is not supported by this action. \
         Move the instances away from this host then try again"
    ))
}

/// The zone that other aggregates than `id` give to `host`.
fn zone_elsewhere(tx: &Tx<'_>, host: &str, id: &str) -> Option<String> {
    let aggregates = tx.find(&Aggregate::BY_HOST, &key(&[host]));
    let mut others = aggregates.iter().filter(|aggregate| aggregate.id != id);
    others.find_map(|aggregate| aggregate.zone.clone())
}

/// How many servers are on `host` of this site; other sites may have a host of that name.
fn servers_on(tx: &Tx<'_>, host: &str) -> usize {
    let home = tx.get::<Host>(host).map(|host| host.home());
    let servers = tx.find(&Server::BY_HOST, &key(&[host]));
    let here = servers.iter().filter(|server| Some(server.home()) == home);
    here.count()
}

/// What Nova answers where a change of an aggregate is not possible: for hosts a conflict.
fn refused(verb: &str, id: &str, reason: &str, conflict: bool) -> ApiError {
    let message = format!("Cannot {verb} aggregate {id}. Reason: {reason}.");
    if conflict {
        ApiError::conflict(message)
    } else {
        ApiError::bad_request(message)
    }
}
