//! Compute services: one per host, which operators disable, declare down or forget.
//!
//! Nova's other programs (scheduler, conductor) do not exist here, so there is one binary.

mod view;

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::compute::service::{ActOnService, ServiceStatus, UpdateService};
use luc_api::policy::Attributes;
use luc_core::Uuid;
use luc_state::{Snapshot, Stored, key};
use serde_json::{Value, json};

use super::host::{Host, HostUsage};
use super::model::aggregate::Aggregate;
use super::model::server::Server;
use super::page::{check_parameters, whole_number};
use super::write::{WriteError, transact};
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

pub(super) use view::{seen_at, state, status};

/// The name of the program that runs servers.
pub(super) const BINARY: &str = "nova-compute";

/// Lists services, of one host or binary if asked.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    check_parameters(request, &["host", "binary"])?;
    let asked = |name: &str| request.query.last(name).filter(|text| !text.is_empty());
    let (host, binary) = (asked("host"), asked("binary"));
    let snapshot = services.store.snapshot();
    let mut hosts: Vec<_> = snapshot
        .all::<Host>()
        .filter(|known| host.is_none_or(|name| known.name == name))
        .filter(|_| binary.is_none_or(|name| name == BINARY))
        .collect();
    hosts.sort_by_key(|host| host.number);
    let shown = hosts
        .iter()
        .map(|host| view::whole(services, request, &snapshot, host));
    Reply::json(&json!({"services": shown.collect::<Vec<_>>()}))
}

/// What changes of a service; what is absent stays.
#[derive(Default)]
struct Change {
    disabled: Option<bool>,
    /// Why; counts only beside `disabled`.
    reason: Option<String>,
    forced_down: Option<bool>,
}

/// Enables, disables or forces down the service of the host that the body names (until 2.52).
pub(super) async fn act(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let body = request.body::<ActOnService>()?;
    let mut shown = json!({"host": body.host, "binary": body.binary});
    let reason = body.disabled_reason;
    let change = match request.param("service_id") {
        "enable" => Change {
            disabled: Some(false),
            ..Change::default()
        },
        "disable" => Change {
            disabled: Some(true),
            ..Change::default()
        },
        "disable-log-reason" => {
            let Some(reason) = reason else {
                return Err(ApiError::bad_request("Missing disabled reason field"));
            };
            shown["disabled_reason"] = json!(reason);
            Change {
                disabled: Some(true),
                reason: Some(reason),
                ..Change::default()
            }
        }
        "force-down" if request.version.at_least(2, 11) => {
            let Some(down) = body.forced_down else {
                return Err(ApiError::bad_request("Missing forced_down field"));
            };
            shown["forced_down"] = json!(down.0);
            Change {
                forced_down: Some(down.0),
                ..Change::default()
            }
        }
        _ => return Err(ApiError::not_found("Unknown action")),
    };
    if let Some(disabled) = change.disabled {
        shown["status"] = json!(status(disabled));
    }
    if body.binary != BINARY {
        return Err(ApiError::bad_request(format!(
            "Updating a {} service is not supported. Only nova-compute services can be updated.",
            body.binary
        )));
    }
    let missing = || {
        let message = format!("Could not find binary {BINARY} on host {}.", body.host);
        ApiError::not_found(message)
    };
    write(services, request, &body.host, &change, missing).await?;
    Reply::json(&json!({"service": shown}))
}

/// Enables, disables or forces down the service that the path names (from 2.53).
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let body = request.body::<UpdateService>()?;
    let host = find(&services.store.snapshot(), request)?;
    let change = Change {
        disabled: body.status.map(|status| status == ServiceStatus::Disabled),
        reason: body.disabled_reason,
        forced_down: body.forced_down.map(|down| down.0),
    };
    let missing = || not_found(request.param("service_id"));
    let changed = write(services, request, &host.name, &change, missing).await?;
    let snapshot = services.store.snapshot();
    let shown = view::whole(services, request, &snapshot, &changed);
    Reply::json(&json!({"service": shown}))
}

async fn write(
    services: &Services,
    request: &Request,
    host: &str,
    change: &Change,
    missing: impl Fn() -> ApiError,
) -> Result<Host, ApiError> {
    transact(&services.store, |tx| {
        let stored = tx.get::<Host>(host).ok_or_else(&missing)?;
        let mut host = stored.value().clone();
        if let Some(disabled) = change.disabled {
            host.disabled = disabled;
            host.disabled_reason = change.reason.clone().filter(|_| disabled);
        }
        host.forced_down = change.forced_down.unwrap_or(host.forced_down);
        if host != *stored.value() {
            host.updated_at = request.now;
            tx.update(host.clone())?;
        }
        Ok(host)
    })
    .await
}

fn not_found(id: &str) -> ApiError {
    ApiError::not_found(format!("Service {id} could not be found."))
}

/// The host whose service the path names: by UUID from 2.53 on, before by number.
fn find(snapshot: &Snapshot, request: &Request) -> Result<Arc<Stored<Host>>, ApiError> {
    let id = request.param("service_id");
    let found = if request.version.at_least(2, 53) {
        let refused = |_| ApiError::bad_request(format!("Invalid uuid {id}"));
        let uuid = Uuid::parse(id).map_err(refused)?;
        snapshot.one(&Host::BY_SERVICE, &key(&[&uuid.hyphenated()]))
    } else {
        let number = whole_number("id", id)?.to_string();
        snapshot.one(&Host::BY_NUMBER, &key(&[&number]))
    };
    found.ok_or_else(|| not_found(id))
}

/// Forgets a host that has no servers. One that still lives comes back when it registers again.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let host = find(&services.store.snapshot(), request)?.name.clone();
    transact(&services.store, |tx| -> Result<(), WriteError> {
        if tx.get::<Host>(&host).is_none() {
            return Err(not_found(request.param("service_id")).into());
        }
        let servers = tx.find(&Server::BY_HOST, &key(&[&host]));
        if servers.iter().any(|server| server.home() == services.site) {
            let message = "Unable to delete compute service that is hosting instances. Migrate or \
                           delete the instances first.";
            return Err(ApiError::conflict(message).into());
        }
        for aggregate in tx.find(&Aggregate::BY_HOST, &key(&[&host])) {
            let mut aggregate = aggregate.value().clone();
            aggregate.hosts.remove(&host);
            aggregate.updated_at = Some(request.now);
            tx.update(aggregate)?;
        }
        if tx.get::<HostUsage>(&host).is_some() {
            tx.delete::<HostUsage>(&host)?;
        }
        tx.delete::<Host>(&host)?;
        Ok(())
    })
    .await?;
    services.compute.liveness.forget(&host);
    Ok(Reply::empty())
}

/// The id of a host's service or hypervisor: a UUID from 2.53 on, before a number.
pub(super) fn shown_id(request: &Request, host: &Host, uuid: &str) -> Value {
    if request.version.at_least(2, 53) {
        json!(uuid)
    } else {
        json!(host.number)
    }
}
