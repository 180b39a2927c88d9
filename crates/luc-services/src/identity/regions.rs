//! Regions of the catalog: `/v3/regions`. Clients may choose their ids.

use luc_api::ApiError;
use luc_api::identity::requests::{CreateRegion, UpdateRegion};
use luc_api::policy::Attributes;
use luc_core::id::RegionId;
use luc_state::{Tx, key};
use serde_json::json;

use super::listing::{Field, Listing, root};
use super::model::{CatalogEndpoint, Region};
use super::places::new_extra;
use super::refusal::{Refusal, check_id_kept, not_found, taken, transact};
use super::views;
use crate::Services;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

/// The only parameter of a list; here, unlike elsewhere, others are refused.
const PARENT: &str = "parent_region_id";

/// Lists regions.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    if let Some((name, _)) = request.query.iter().find(|(name, _)| *name != PARENT) {
        let message = format!("Additional properties are not allowed ('{name}' was unexpected)");
        return Err(ApiError::bad_request(message));
    }
    let listing = Listing::of(&request.query, &[PARENT])?;
    request.authorize(&Attributes::new())?;
    let snapshot = services.store.snapshot();
    let items = snapshot
        .all::<Region>()
        .filter(|region| listing.keeps(|_| Field::from(region.parent.as_ref())))
        .collect();
    let root = root(request);
    listing.reply(request, "regions", items, |region| {
        views::region(&root, region)
    })
}

/// Makes a region: `POST`, or `PUT` with the id in the path.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let CreateRegion { region: wanted } = request.body()?;
    request.authorize(&Attributes::new())?;
    let in_path = Some(request.param("region_id")).filter(|id| !id.is_empty());
    let in_body = wanted.id.flatten().filter(|id| !id.is_empty());
    let chosen = match (in_path, in_body) {
        (Some(path), Some(body)) if path != body => {
            return Err(ApiError::bad_request(format!(
                "Conflicting region IDs specified: \"{path}\" != \"{body}\""
            )));
        }
        (Some(path), _) => Some(path.to_owned()),
        (None, body) => body,
    };
    let id = match chosen {
        Some(id) => RegionId::parse(&id)
            .map_err(|error| ApiError::invalid("region.id", error.to_string()))?,
        None => RegionId::born_at(services.site, &mut Drawn(&*services.random)),
    };
    let parent = wanted.parent_region_id.flatten();
    let description = wanted.description.flatten().unwrap_or_default();
    let extra = new_extra(wanted.extra);
    let made = transact(services, |tx| {
        let region = Region {
            id: id.clone(),
            description: description.clone(),
            parent: parent_of(tx, parent.as_deref())?,
            extra: extra.clone(),
        };
        tx.insert(region)
            .map_err(|error| taken(error, "region", &format!("Duplicate ID, {id}..")))
    })
    .await?;
    Reply::json(&json!({"region": views::region(&root(request), made.value())}))
}

fn parent_of(tx: &Tx<'_>, parent: Option<&str>) -> Result<Option<RegionId>, ApiError> {
    let Some(id) = parent else { return Ok(None) };
    let region = tx
        .get::<Region>(id)
        .ok_or_else(|| not_found("region", id))?;
    Ok(Some(region.id.clone()))
}

/// Shows a region.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let id = request.param("region_id");
    let region = services.store.snapshot().get::<Region>(id);
    let region = region.ok_or_else(|| not_found("region", id))?;
    Reply::json(&json!({"region": views::region(&root(request), region.value())}))
}

/// Changes a region.
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let UpdateRegion { region: wanted } = request.body()?;
    request.authorize(&Attributes::new())?;
    let id = request.param("region_id");
    check_id_kept(wanted.id.as_ref(), id)?;
    let changed = transact(services, |tx| {
        let region = tx
            .get::<Region>(id)
            .ok_or_else(|| not_found("region", id))?;
        let mut changed = region.value().clone();
        if let Some(parent) = &wanted.parent_region_id {
            changed.parent = parent_of(tx, parent.as_deref())?;
            check_no_ring(tx, &changed)?;
        }
        if let Some(description) = &wanted.description {
            changed.description = description.clone().unwrap_or_default();
        }
        changed.extra.extend(wanted.extra.clone());
        Ok(tx.update(changed)?)
    })
    .await?;
    Reply::json(&json!({"region": views::region(&root(request), changed.value())}))
}

fn check_no_ring(tx: &Tx<'_>, region: &Region) -> Result<(), ApiError> {
    let mut above = region.parent.clone();
    while let Some(id) = above {
        if id == region.id {
            return Err(ApiError::bad_request(format!(
                "The specified parent region {id} would create a circular region hierarchy."
            )));
        }
        above = tx
            .get::<Region>(&id)
            .and_then(|region| region.parent.clone());
    }
    Ok(())
}

/// Deletes a region with those below it, none of which may have endpoints.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let id = request.param("region_id");
    transact(services, |tx| remove(tx, id)).await?;
    Ok(Reply::empty())
}

fn remove(tx: &mut Tx<'_>, id: &str) -> Result<(), Refusal> {
    let region = tx
        .get::<Region>(id)
        .ok_or_else(|| not_found("region", id))?;
    let mut all = vec![region.id.clone()];
    let mut at = 0;
    while let Some(region) = all.get(at) {
        let of_region = key(&[region.as_str()]);
        if !tx.find(&CatalogEndpoint::BY_REGION, &of_region).is_empty() {
            return Err(ApiError::forbidden(format!(
                "Unable to delete region {id} because it or its child regions have associated \
                 endpoints."
            ))
            .into());
        }
        let below = tx.find(&Region::BY_PARENT, &of_region);
        all.extend(below.iter().map(|region| region.id.clone()));
        at += 1;
    }
    for region in all {
        tx.delete::<Region>(&region)?;
    }
    Ok(())
}
