//! The user's own words about a server: metadata and tags.

use std::collections::BTreeMap;

use http::StatusCode;
use http::header::LOCATION;
use luc_api::compute::parameter::{TAG_COUNT_MAX, check_tag};
use luc_api::compute::server_update::{ServerMetadata, ServerMetadataItem, ServerTags};
use luc_api::{ApiError, Service};
use serde_json::json;

use super::access;
use super::action::Action;
use super::plan;
use crate::Services;
use crate::compute::model::server::Server;
use crate::compute::quota::Held;
use crate::compute::write::{WriteError, transact};
use crate::reply::Reply;
use crate::request::Request;

type Metadata = BTreeMap<String, String>;

/// `GET /servers/{id}/metadata`.
pub(in crate::compute) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    Reply::json(&json!({"metadata": server.metadata}))
}

/// `GET /servers/{id}/metadata/{key}`.
pub(in crate::compute) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    let key = request.param("key");
    let value = server.metadata.get(key).ok_or_else(item_not_found)?;
    Reply::json(&json!({"meta": {key: value}}))
}

fn item_not_found() -> ApiError {
    ApiError::not_found("Metadata item was not found")
}

/// `POST /servers/{id}/metadata`: adds to what is there.
pub(in crate::compute) async fn add(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    let body: ServerMetadata = request.body()?;
    let metadata = change(services, request, |metadata| {
        metadata.extend(body.metadata.clone());
    })
    .await?;
    Reply::json(&json!({"metadata": metadata}))
}

/// `PUT /servers/{id}/metadata`: replaces what is there.
pub(in crate::compute) async fn replace(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    let body: ServerMetadata = request.body()?;
    let metadata = change(services, request, |metadata| {
        metadata.clone_from(&body.metadata);
    });
    Reply::json(&json!({"metadata": metadata.await?}))
}

/// `PUT /servers/{id}/metadata/{key}`: sets one item.
pub(in crate::compute) async fn set(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    let body: ServerMetadataItem = request.body()?;
    if !body.meta.contains_key(request.param("key")) {
        return Err(ApiError::bad_request("Request body and URI mismatch"));
    }
    change(services, request, |metadata| {
        metadata.extend(body.meta.clone());
    })
    .await?;
    Reply::json(&json!({"meta": body.meta}))
}

/// Changes metadata if the state and the quota admit it, and gives back what it became.
async fn change(
    services: &Services,
    request: &Request,
    mut change: impl FnMut(&mut Metadata),
) -> Result<Metadata, ApiError> {
    let id = request.param("server_id");
    let (is_admin, now) = (access::is_admin(request), request.now);
    let user = &request.caller()?.user_id;
    transact(&services.store, |tx| -> Result<Metadata, WriteError> {
        let mut server = access::admitted(tx, id, Action::UpdateMetadata, is_admin)?;
        change(&mut server.metadata);
        let held = Held::within(tx, server.project.as_str());
        plan::check_metadata_quota(&held, user, server.metadata.len())?;
        server.updated_at = now;
        let metadata = server.metadata.clone();
        tx.update(server)?;
        Ok(metadata)
    })
    .await
}

/// `DELETE /servers/{id}/metadata/{key}`.
pub(in crate::compute) async fn remove(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    let (id, key) = (request.param("server_id"), request.param("key"));
    let (is_admin, now) = (access::is_admin(request), request.now);
    transact(&services.store, |tx| -> Result<(), WriteError> {
        let known = tx.get::<Server>(id).ok_or_else(|| access::not_found(id))?;
        if !known.metadata.contains_key(key) {
            return Err(item_not_found().into());
        }
        let mut server = access::admitted(tx, id, Action::DeleteMetadata, is_admin)?;
        server.metadata.remove(key);
        server.updated_at = now;
        tx.update(server)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// `GET /servers/{id}/tags`.
pub(in crate::compute) fn list_tags(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    Reply::json(&json!({"tags": server.tags}))
}

/// `GET /servers/{id}/tags/{tag}`: whether it is there.
pub(in crate::compute) fn check_for_tag(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    let tag = request.param("tag");
    if server.tags.contains(tag) {
        Ok(Reply::empty())
    } else {
        Err(no_tag(&server, tag))
    }
}

fn no_tag(server: &Server, tag: &str) -> ApiError {
    ApiError::not_found(format!("Server {} has no tag '{tag}'", server.id))
}

/// `PUT /servers/{id}/tags`: replaces all.
pub(in crate::compute) async fn replace_tags(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    let body: ServerTags = request.body()?;
    let server = change_tags(services, request, |server| {
        server.tags = body.tags.iter().cloned().collect();
        Ok(())
    })
    .await?;
    Reply::json(&json!({"tags": server.tags}))
}

/// `DELETE /servers/{id}/tags`: removes all.
pub(in crate::compute) async fn clear_tags(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    change_tags(services, request, |server| {
        server.tags.clear();
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// `PUT /servers/{id}/tags/{tag}`: adds one; 204 if it was there.
pub(in crate::compute) async fn add_tag(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    let tag = request.param("tag");
    check_tag("tag", tag).map_err(|invalid| {
        ApiError::bad_request(format!(
            "Tag '{tag}' is invalid. It must be a non empty string without characters '/' and \
             ','. Validation error message: {}",
            invalid.reason
        ))
    })?;
    let known = server.tags.contains(tag);
    change_tags(services, request, |server| {
        if server.tags.len() >= TAG_COUNT_MAX && !server.tags.contains(tag) {
            let message =
                format!("The number of tags exceeded the per-server limit {TAG_COUNT_MAX}");
            return Err(ApiError::bad_request(message));
        }
        server.tags.insert(tag.to_owned());
        Ok(())
    })
    .await?;
    if known {
        return Ok(Reply::empty().status(StatusCode::NO_CONTENT));
    }
    let root = Service::Compute.url(&request.base_url);
    let tag = luc_api::query::encode(tag);
    Reply::empty().header(
        LOCATION,
        &format!("{root}/servers/{}/tags/{tag}", server.id),
    )
}

/// `DELETE /servers/{id}/tags/{tag}`.
pub(in crate::compute) async fn remove_tag(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    let tag = request.param("tag");
    change_tags(services, request, |server| {
        if server.tags.remove(tag) {
            Ok(())
        } else {
            Err(no_tag(server, tag))
        }
    })
    .await?;
    Ok(Reply::empty())
}

async fn change_tags(
    services: &Services,
    request: &Request,
    mut change: impl FnMut(&mut Server) -> Result<(), ApiError>,
) -> Result<Server, ApiError> {
    let id = request.param("server_id");
    let now = request.now;
    transact(&services.store, |tx| -> Result<Server, WriteError> {
        let mut server = access::admitted(tx, id, Action::ChangeTags, true)?;
        change(&mut server)?;
        server.updated_at = now;
        tx.update(server.clone())?;
        Ok(server)
    })
    .await
}
