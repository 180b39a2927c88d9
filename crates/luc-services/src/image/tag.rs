//! Adding and removing one tag of an image.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::image::attribute;
use serde_json::json;

use super::access::Seen;
use super::images::{authorized, existing};
use super::update::check_limits;
use super::write::transact;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// Adds a tag; one that is there already stays.
pub(super) async fn add(services: &Arc<Services>, request: &Request) -> Result<Reply, ApiError> {
    let tag = request.param("tag");
    attribute::check("tags", &json!([tag]))?;
    let Seen { image, .. } = authorized(services, request, "modify_image")?;
    transact(&services.store, |tx| {
        let mut image = existing(tx, &image.id)?;
        if image.tags.insert(tag.to_owned()) {
            check_limits(&image)?;
            image.updated_at = request.now;
            tx.update(image)?;
        }
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// Removes a tag; one that is not there is not found.
pub(super) async fn remove(services: &Arc<Services>, request: &Request) -> Result<Reply, ApiError> {
    let tag = request.param("tag");
    let Seen { image, .. } = authorized(services, request, "modify_image")?;
    transact(&services.store, |tx| {
        let mut image = existing(tx, &image.id)?;
        if !image.tags.remove(tag) {
            return Err(ApiError::not_found("The resource could not be found.").into());
        }
        image.updated_at = request.now;
        tx.update(image)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}
