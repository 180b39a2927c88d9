//! Ports and volumes of a server, and moves between hosts: what is not there yet says so, in
//! Nova's form and after all of Nova's checks.
//!
//! A server has no ports (its host gives it user-mode networking) and no volumes, so the lists are
//! empty and nothing is found in them.

use luc_api::ApiError;
use luc_api::compute::server_action::SecurityGroupAction;
use luc_api::compute::server_action::{CreateImage, Evacuate, Migrate, MigrateLive};
use luc_api::compute::server_attachment::{AttachInterface, AttachVolume, SwapVolume};
use luc_api::policy::Attributes;
use serde_json::json;

use super::access;
use super::action::{Action, admit};
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

fn networks_missing() -> ApiError {
    ApiError::bad_request(
        "Tenant networks are not there yet: servers reach out through their host, or not at all.",
    )
}

fn volumes_missing() -> ApiError {
    ApiError::bad_request("Volumes are not there yet: servers have the disks of their flavor.")
}

fn not_there_yet(what: &str) -> ApiError {
    ApiError::NotImplemented {
        message: format!("{what} is not there yet."),
    }
}

/// `GET /servers/{id}/os-interface`.
pub(in crate::compute) fn list_interfaces(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    Reply::json(&json!({"interfaceAttachments": []}))
}

/// `GET /servers/{id}/os-interface/{port}`.
pub(in crate::compute) fn show_interface(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    Err(port_not_found(request))
}

fn port_not_found(request: &Request) -> ApiError {
    let (server, port) = (request.param("server_id"), request.param("port_id"));
    ApiError::not_found(format!(
        "Instance {server} does not have a port with id {port}"
    ))
}

/// `POST /servers/{id}/os-interface`.
pub(in crate::compute) fn attach_interface(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    request.body::<AttachInterface>()?;
    admit(Action::AttachInterface, &server, access::is_admin(request))?;
    Err(networks_missing())
}

/// `DELETE /servers/{id}/os-interface/{port}`.
pub(in crate::compute) fn detach_interface(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    admit(Action::AttachInterface, &server, access::is_admin(request))?;
    Err(port_not_found(request))
}

/// `GET /servers/{id}/os-security-groups`.
pub(in crate::compute) fn list_security_groups(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    Reply::json(&json!({"security_groups": []}))
}

/// `addSecurityGroup` and `removeSecurityGroup`.
pub(in crate::compute) fn change_security_groups(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    request.body::<SecurityGroupAction>()?;
    Err(networks_missing())
}

/// `GET /servers/{id}/os-volume_attachments`.
pub(in crate::compute) fn list_volumes(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    for name in ["limit", "offset"] {
        request.query.number(name)?;
    }
    if request.version.at_least(2, 75)
        && let Some((name, _)) = request
            .query
            .iter()
            .find(|(name, _)| !matches!(*name, "limit" | "offset"))
    {
        let reason = format!("Additional properties are not allowed ('{name}' was unexpected)");
        return Err(ApiError::invalid("query", reason));
    }
    Reply::json(&json!({"volumeAttachments": []}))
}

fn not_attached(request: &Request) -> ApiError {
    let (server, volume) = (request.param("server_id"), request.param("volume_id"));
    ApiError::not_found(format!(
        "Instance {server} is not attached to volume {volume}"
    ))
}

/// `GET /servers/{id}/os-volume_attachments/{volume}`.
pub(in crate::compute) fn show_volume(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    Err(not_attached(request))
}

/// `POST /servers/{id}/os-volume_attachments`.
pub(in crate::compute) fn attach_volume(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    request.body::<AttachVolume>()?;
    admit(Action::AttachVolume, &server, access::is_admin(request))?;
    Err(volumes_missing())
}

/// `PUT /servers/{id}/os-volume_attachments/{volume}`.
pub(in crate::compute) fn swap_volume(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::visible(&services.store.snapshot(), request)?;
    // As in Nova: the caller is the volume service, whose project is not the server's.
    request.authorize(&Attributes::new())?;
    request.body::<SwapVolume>()?;
    admit(Action::AttachVolume, &server, access::is_admin(request))?;
    Err(not_attached(request))
}

/// `DELETE /servers/{id}/os-volume_attachments/{volume}`.
pub(in crate::compute) fn detach_volume(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    admit(Action::AttachVolume, &server, access::is_admin(request))?;
    Err(not_attached(request))
}

/// `createImage`.
pub(in crate::compute) fn create_image(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    request.body::<CreateImage>()?;
    admit(Action::CreateImage, &server, access::is_admin(request))?;
    Err(not_there_yet("Making an image of a server"))
}

/// `migrate`.
pub(in crate::compute) fn migrate(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    request.body::<Migrate>()?;
    admit(Action::Migrate, &server, access::is_admin(request))?;
    Err(not_there_yet("Moving a server to another host"))
}

/// `os-migrateLive`.
pub(in crate::compute) fn migrate_live(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    request.body::<MigrateLive>()?;
    admit(Action::LiveMigrate, &server, access::is_admin(request))?;
    Err(not_there_yet("Moving a running server to another host"))
}

/// `evacuate`.
pub(in crate::compute) fn evacuate(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    request.body::<Evacuate>()?;
    admit(Action::Evacuate, &server, access::is_admin(request))?;
    Err(not_there_yet(
        "Starting the servers of a lost host elsewhere",
    ))
}
