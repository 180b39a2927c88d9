//! Which server a request means, and whether its caller may know that it exists.
//!
//! As in Nova a server of another project does not exist, except for administrators.

use std::sync::Arc;

use luc_api::endpoint::Body;
use luc_api::policy::Attributes;
use luc_api::{ApiError, Service};
use luc_core::time::Timestamp;
use luc_state::{Snapshot, Stored, Tx};

use super::action::{Action, admit};
use super::history::Origin;
use crate::Services;
use crate::compute::model::server::{DeletedServer, Server};
use crate::ports::Drawn;
use crate::request::{Payload, Request};

/// Whether the caller counts as an administrator of the compute service.
pub(super) fn is_admin(request: &Request) -> bool {
    request.caller().is_ok_and(|caller| {
        request
            .policy
            .is_admin(Service::Compute, &caller.credentials())
    })
}

/// What policy rules may ask about a server.
pub(super) fn target(server: &Server) -> Attributes<'_> {
    Attributes::new()
        .with("project_id", server.project.as_str())
        .with("user_id", server.user.as_str())
}

/// There is no such server, or none that the caller may know of.
pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::not_found(format!("Instance {id} could not be found."))
}

/// Whether the caller may know that `server` exists.
fn is_visible(request: &Request, server: &Server) -> bool {
    let own = request.caller().ok().and_then(|caller| caller.project_id()) == Some(&server.project);
    own || is_admin(request)
}

/// The server in the path, after the row's own rule has been checked against it.
pub(super) fn authorized(
    snapshot: &Snapshot,
    request: &Request,
) -> Result<Arc<Stored<Server>>, ApiError> {
    let server = visible(snapshot, request)?;
    request.authorize(&target(&server))?;
    Ok(server)
}

/// The server in the path, if the caller may know of it. No rule has been checked.
pub(super) fn visible(
    snapshot: &Snapshot,
    request: &Request,
) -> Result<Arc<Stored<Server>>, ApiError> {
    let id = request.param("server_id");
    let server = snapshot
        .get::<Server>(id)
        .filter(|server| is_visible(request, server));
    server.ok_or_else(|| not_found(id))
}

/// The deleted server in the path, if the caller may know of it. No rule has been checked.
pub(super) fn visible_deleted(
    snapshot: &Snapshot,
    request: &Request,
) -> Option<Arc<Stored<DeletedServer>>> {
    let gone = snapshot.get::<DeletedServer>(request.param("server_id"))?;
    is_visible(request, &gone.server).then_some(gone)
}

/// The server in the path as the transaction sees it, once `action` may begin.
pub(super) fn admitted(
    tx: &Tx<'_>,
    id: &str,
    action: Action,
    is_admin: bool,
) -> Result<Server, ApiError> {
    let server = tx
        .get::<Server>(id)
        .ok_or_else(|| not_found(id))?
        .value()
        .clone();
    admit(action, &server, is_admin)?;
    Ok(server)
}

/// Refuses a body that is not of the row's form, where the handler needs nothing of what it says.
pub(super) fn check_form(request: &Request) -> Result<(), ApiError> {
    match (request.endpoint.body, &request.payload) {
        (Body::Json(check), Payload::Bytes(bytes)) => check(bytes, request.version),
        _ => Ok(()),
    }
}

/// Who asks, for the server's history.
pub(super) fn origin(services: &Services, request: &Request) -> Result<Origin, ApiError> {
    let caller = request.caller()?;
    let id = luc_core::Uuid::born_at(services.site, &mut Drawn(&*services.random));
    Ok(Origin {
        id: id.hyphenated(),
        request_id: request.request_id.clone(),
        user: Some(caller.user_id.clone()),
        project: caller.project_id().cloned(),
    })
}

/// The same, for another server of the same request.
pub(super) fn another(services: &Services, origin: &Origin) -> Origin {
    let id = luc_core::Uuid::born_at(services.site, &mut Drawn(&*services.random));
    Origin {
        id: id.hyphenated(),
        ..origin.clone()
    }
}

/// What a handler that changes a server needs in its transaction.
pub(super) struct Attempted {
    /// The id in the path.
    pub(super) id: String,
    /// Who asks.
    pub(super) origin: Origin,
    /// Whether locks do not hold the caller.
    pub(super) is_admin: bool,
    /// When the request arrived.
    pub(super) now: Timestamp,
}

impl Attempted {
    /// Gathers it from a request whose rule has been checked.
    pub(super) fn of(services: &Services, request: &Request) -> Result<Self, ApiError> {
        Ok(Self {
            id: request.param("server_id").to_owned(),
            origin: origin(services, request)?,
            is_admin: is_admin(request),
            now: request.now,
        })
    }
}
