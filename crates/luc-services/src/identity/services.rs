//! Services of the catalog: `/v3/services`.

use luc_api::ApiError;
use luc_api::identity::requests::{CreateService, UpdateService};
use luc_api::policy::Attributes;
use luc_core::id::ServiceId;
use luc_state::key;
use serde_json::json;

use super::listing::{Field, Listing, root};
use super::model::{CatalogEndpoint, CatalogService};
use super::places::new_extra;
use super::refusal::{check_id_kept, not_found, transact};
use super::views;
use crate::Services;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

/// Lists services.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &["type", "name"])?;
    request.authorize(&Attributes::new())?;
    let snapshot = services.store.snapshot();
    let field = |service: &CatalogService, name: &str| match name {
        "type" => service.kind.clone(),
        _ => service.name.clone(),
    };
    let items = snapshot
        .all::<CatalogService>()
        .filter(|service| {
            let (kind, name) = (field(service, "type"), field(service, "name"));
            listing.keeps(|of| Field::Text(if of == "type" { &kind } else { &name }))
        })
        .collect();
    let root = root(request);
    listing.reply(request, "services", items, |service| {
        views::service(&root, service)
    })
}

/// Makes a service.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let CreateService { service: wanted } = request.body()?;
    request.authorize(&Attributes::new())?;
    let service = CatalogService {
        id: ServiceId::born_at(services.site, &mut Drawn(&*services.random)),
        kind: wanted.kind,
        name: wanted.name.unwrap_or_default(),
        enabled: wanted.enabled.unwrap_or(true),
        extra: new_extra(wanted.extra),
    };
    let made = transact(services, |tx| Ok(tx.insert(service.clone())?)).await?;
    Reply::json(&json!({"service": views::service(&root(request), made.value())}))
}

/// Shows a service.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let id = request.param("service_id");
    let service = services.store.snapshot().get::<CatalogService>(id);
    let service = service.ok_or_else(|| not_found("service", id))?;
    Reply::json(&json!({"service": views::service(&root(request), service.value())}))
}

/// Changes a service.
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let UpdateService { service: wanted } = request.body()?;
    request.authorize(&Attributes::new())?;
    let id = request.param("service_id");
    check_id_kept(wanted.id.as_ref(), id)?;
    let changed = transact(services, |tx| {
        let service = tx
            .get::<CatalogService>(id)
            .ok_or_else(|| not_found("service", id))?;
        let mut changed = service.value().clone();
        if let Some(kind) = &wanted.kind {
            changed.kind.clone_from(kind);
        }
        if let Some(name) = &wanted.name {
            changed.name.clone_from(name);
        }
        changed.enabled = wanted.enabled.unwrap_or(changed.enabled);
        changed.extra.extend(wanted.extra.clone());
        Ok(tx.update(changed)?)
    })
    .await?;
    Reply::json(&json!({"service": views::service(&root(request), changed.value())}))
}

/// Deletes a service with its endpoints.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let id = request.param("service_id");
    transact(services, |tx| {
        for endpoint in tx.find(&CatalogEndpoint::BY_SERVICE, &key(&[id])) {
            tx.delete::<CatalogEndpoint>(&endpoint.id)?;
        }
        tx.delete::<CatalogService>(id)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}
