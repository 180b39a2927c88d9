//! Endpoints of the catalog: `/v3/endpoints`.

use luc_api::ApiError;
use luc_api::identity::requests::{CreateEndpoint, UpdateEndpoint};
use luc_api::policy::Attributes;
use luc_core::id::{EndpointId, RegionId, ServiceId};
use luc_state::Tx;
use serde_json::json;

use super::listing::{Field, Listing, root};
use super::model::{CatalogEndpoint, CatalogService, Extra, Region};
use super::places::new_extra;
use super::refusal::{Refusal, check_id_kept, expected, not_found, transact};
use super::{catalog, views};
use crate::Services;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

/// Lists endpoints.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &["interface", "service_id", "region_id"])?;
    request.authorize(&Attributes::new())?;
    let snapshot = services.store.snapshot();
    let items = snapshot
        .all::<CatalogEndpoint>()
        .filter(|endpoint| {
            listing.keeps(|name| match name {
                "interface" => Field::Text(&endpoint.interface),
                "service_id" => Field::Text(endpoint.service_id.as_str()),
                "region_id" => Field::from(endpoint.region_id.as_ref()),
                _ => Field::Null,
            })
        })
        .collect();
    let root = root(request);
    listing.reply(request, "endpoints", items, |endpoint| {
        views::endpoint(&root, endpoint)
    })
}

fn check_url(url: Option<&str>) -> Result<(), ApiError> {
    match url.filter(|url| !catalog::is_valid(url)) {
        None => Ok(()),
        Some(url) => Err(ApiError::bad_request(format!(
            "Cannot create an endpoint with an invalid URL: {url}."
        ))),
    }
}

/// What a request says of the region of an endpoint.
enum RegionWish {
    /// Nothing.
    Same,
    /// It has none.
    None,
    /// This one.
    Of(RegionId),
}

/// What the old and the new member say of the region: the new one must exist, the old one is made
/// if it does not.
fn region_of(
    tx: &mut Tx<'_>,
    new: Option<&Option<String>>,
    old: Option<&Option<String>>,
) -> Result<RegionWish, Refusal> {
    if let Some(Some(id)) = new {
        let region = tx.get::<Region>(id);
        let region = region.ok_or_else(|| expected("endpoint region_id", "region table"))?;
        return Ok(RegionWish::Of(region.id.clone()));
    }
    let Some(Some(id)) = old else {
        let nothing = new.is_none() && old.is_none();
        return Ok(if nothing {
            RegionWish::Same
        } else {
            RegionWish::None
        });
    };
    let id = RegionId::parse(id)
        .map_err(|error| ApiError::invalid("endpoint.region", error.to_string()))?;
    if tx.get::<Region>(&id).is_none() {
        tx.insert(Region {
            id: id.clone(),
            description: String::new(),
            parent: None,
            extra: Extra::new(),
        })?;
    }
    Ok(RegionWish::Of(id))
}

impl RegionWish {
    /// The region after the wish, which was `before`.
    fn over(self, before: Option<RegionId>) -> Option<RegionId> {
        match self {
            Self::Same => before,
            Self::None => None,
            Self::Of(region) => Some(region),
        }
    }
}

fn service_of(tx: &Tx<'_>, id: &str) -> Result<ServiceId, ApiError> {
    let service = tx.get::<CatalogService>(id);
    let service = service.ok_or_else(|| expected("endpoint service_id", "service table"))?;
    Ok(service.id.clone())
}

/// Makes an endpoint.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let CreateEndpoint { endpoint: wanted } = request.body()?;
    request.authorize(&Attributes::new())?;
    check_url(Some(&wanted.url))?;
    let id = EndpointId::born_at(services.site, &mut Drawn(&*services.random));
    let mut extra = new_extra(wanted.extra.clone());
    add_texts(
        &mut extra,
        wanted.name.as_ref(),
        wanted.description.as_ref(),
    );
    let made = transact(services, |tx| {
        let region = region_of(tx, wanted.region_id.as_ref(), wanted.region.as_ref())?;
        let endpoint = CatalogEndpoint {
            id: id.clone(),
            service_id: service_of(tx, &wanted.service_id)?,
            interface: wanted.interface.clone(),
            url: wanted.url.clone(),
            region_id: region.over(None),
            enabled: wanted.enabled.unwrap_or(true),
            extra: extra.clone(),
        };
        Ok(tx.insert(endpoint)?)
    })
    .await?;
    Reply::json(&json!({"endpoint": views::endpoint(&root(request), made.value())}))
}

/// Name and description are kept with the unknown attributes.
fn add_texts(extra: &mut Extra, name: Option<&String>, description: Option<&Option<String>>) {
    if let Some(name) = name {
        extra.insert("name".to_owned(), json!(name));
    }
    if let Some(description) = description {
        extra.insert("description".to_owned(), json!(description));
    }
}

/// Shows an endpoint.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let id = request.param("endpoint_id");
    let endpoint = services.store.snapshot().get::<CatalogEndpoint>(id);
    let endpoint = endpoint.ok_or_else(|| not_found("endpoint", id))?;
    Reply::json(&json!({"endpoint": views::endpoint(&root(request), endpoint.value())}))
}

/// Changes an endpoint.
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let UpdateEndpoint { endpoint: wanted } = request.body()?;
    request.authorize(&Attributes::new())?;
    let id = request.param("endpoint_id");
    check_id_kept(wanted.id.as_ref(), id)?;
    check_url(wanted.url.as_deref())?;
    let changed = transact(services, |tx| {
        let endpoint = tx
            .get::<CatalogEndpoint>(id)
            .ok_or_else(|| not_found("endpoint", id))?;
        let mut changed = endpoint.value().clone();
        let region = region_of(tx, wanted.region_id.as_ref(), wanted.region.as_ref())?;
        changed.region_id = region.over(changed.region_id);
        if let Some(service) = &wanted.service_id {
            changed.service_id = service_of(tx, service)?;
        }
        if let Some(interface) = &wanted.interface {
            changed.interface.clone_from(interface);
        }
        if let Some(url) = &wanted.url {
            changed.url.clone_from(url);
        }
        changed.enabled = wanted.enabled.unwrap_or(changed.enabled);
        changed.extra.extend(wanted.extra.clone());
        add_texts(
            &mut changed.extra,
            wanted.name.as_ref(),
            wanted.description.as_ref(),
        );
        Ok(tx.update(changed)?)
    })
    .await?;
    Reply::json(&json!({"endpoint": views::endpoint(&root(request), changed.value())}))
}

/// Deletes an endpoint.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let id = request.param("endpoint_id");
    transact(services, |tx| {
        tx.delete::<CatalogEndpoint>(id)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}
