//! One server: show, change, delete, and its addresses.

use luc_api::ApiError;
use luc_api::compute::server_create::DiskConfig;
use luc_api::compute::server_update::UpdateServer;
use luc_state::{Tx, TxError};
use serde_json::json;

use super::access::{self, Attempted};
use super::action::{self, Action};
use super::history::{self, Step};
use super::removal;
use super::view::{AddressView, Addresses, Frame, Occasion, ServerView, Shown};
use crate::Services;
use crate::compute::host::Host;
use crate::compute::model::server::{Server, Task};
use crate::compute::write::{WriteError, transact};
use crate::reply::Reply;
use crate::request::Request;

/// `GET /servers/{id}`.
pub(in crate::compute) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let snapshot = services.store.snapshot();
    let server = access::authorized(&snapshot, request)?;
    let target = access::target(&server);
    let frame = Frame::of(services, &snapshot, request, Occasion::Show, &target);
    let view = ServerView {
        shown: Shown::live(&server),
        frame: &frame,
        admin_pass: None,
    };
    Reply::json(&Wrapped { server: view })
}

/// The answer with one server.
#[derive(serde::Serialize)]
pub(super) struct Wrapped<'a> {
    pub(super) server: ServerView<'a>,
}

/// `PUT /servers/{id}`.
pub(in crate::compute) async fn update(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    let body: UpdateServer = request.body()?;
    let id = request.param("server_id");
    let server = transact(&services.store, |tx| -> Result<Server, WriteError> {
        let stored = tx.get::<Server>(id).ok_or_else(|| access::not_found(id))?;
        let mut server = stored.value().clone();
        apply(&body, &mut server);
        server.updated_at = request.now;
        tx.update(server.clone())?;
        Ok(server)
    })
    .await?;
    let snapshot = services.store.snapshot();
    let target = access::target(&server);
    let frame = Frame::of(services, &snapshot, request, Occasion::Update, &target);
    let view = ServerView {
        shown: Shown::live(&server),
        frame: &frame,
        admin_pass: None,
    };
    Reply::json(&Wrapped { server: view })
}

fn apply(body: &UpdateServer, server: &mut Server) {
    let change = &body.server;
    if let Some(name) = &change.name {
        server.name.clone_from(name);
    }
    if let Some(description) = &change.description {
        server.description.clone_from(description);
    }
    if let Some(disk_config) = change.disk_config {
        server.auto_disk_config = disk_config == DiskConfig::Auto;
    }
    server.access_ipv4 = change.access_ipv4.or(server.access_ipv4);
    server.access_ipv6 = change.access_ipv6.or(server.access_ipv6);
}

/// `DELETE /servers/{id}`.
pub(in crate::compute) async fn delete(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    end(services, request, Action::Delete).await
}

/// `forceDelete`: as delete, for nothing is kept back to be restored.
pub(in crate::compute) async fn force_delete(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    end(services, request, Action::ForceDelete).await
}

async fn end(services: &Services, request: &Request, how: Action) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    access::check_form(request)?;
    let attempted = Attempted::of(services, request)?;
    transact(&services.store, |tx| -> Result<(), WriteError> {
        let server = access::admitted(tx, &attempted.id, how, attempted.is_admin)?;
        Ok(remove(tx, services, &attempted, server)?)
    })
    .await?;
    Ok(Reply::empty())
}

/// Orders the host to remove the server; where there is none, or none that answers, the server is
/// gone at once.
fn remove(
    tx: &mut Tx<'_>,
    services: &Services,
    attempted: &Attempted,
    mut server: Server,
) -> Result<(), TxError> {
    if server.order.task == Some(Task::Delete) {
        return Ok(());
    }
    let now = attempted.now;
    let (name, event) = history::names(Task::Delete);
    let step = Some(Step::of_host(event));
    history::open(tx, &mut server, name, step, &attempted.origin, now)?;
    history::close(
        tx,
        server.order.action.as_deref(),
        Some("The server was deleted."),
        now,
    )?;
    let host = server.host().and_then(|host| tx.get::<Host>(host));
    if host.is_some_and(|host| services.compute.liveness.is_up(&host)) {
        action::begin(
            &mut server,
            Task::Delete,
            Some(attempted.origin.id.clone()),
            now,
        );
        return tx.update(server).map(drop);
    }
    history::close(tx, Some(&attempted.origin.id), None, now)?;
    let leftover = server.placement.is_some();
    action::begin(&mut server, Task::Delete, None, now);
    removal::bury(tx, server, leftover, now)
}

/// `GET /servers/{id}/ips`.
pub(in crate::compute) fn list_addresses(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    let addresses = Addresses {
        server: &server,
        extended: false,
        building: false,
    };
    Reply::json(&json!({"addresses": addresses}))
}

/// `GET /servers/{id}/ips/{network}`.
pub(in crate::compute) fn show_addresses(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    let network = request.param("network");
    let of_network = server
        .addresses
        .iter()
        .filter(|address| address.network == network);
    let views: Vec<_> = of_network
        .map(|address| AddressView {
            address,
            extended: false,
        })
        .collect();
    if views.is_empty() {
        let message = "Instance is not a member of specified network";
        return Err(ApiError::not_found(message));
    }
    Reply::json(&json!({network: views}))
}
