//! Changing an image: JSON patches, and the setting of one attribute or property.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use luc_api::ApiError;
use luc_api::image::attribute;
use luc_api::image::patch::{self, Change, Draft, Patch};
use luc_core::id::ProjectId;
use luc_core::units::{DiskGib, MemoryMib};
use serde_json::Value;

use super::access::{Seen, is_admin};
use super::images::{authorize_visibility, authorized, existing, may_go_everywhere};
use super::model::{Image, Status, Visibility};
use super::views;
use super::write::transact;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// How many tags an image may have: Glance's `image_tag_quota`.
pub(super) const TAGS_MAX: usize = 128;

/// How many properties of the user's own an image may have: Glance's `image_property_quota`.
const PROPERTIES_MAX: usize = 128;

/// Applies a patch, whole or not at all.
pub(super) async fn update(services: &Arc<Services>, request: &Request) -> Result<Reply, ApiError> {
    let given = request
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let draft = Draft::of(given.unwrap_or_default())?;
    let patch: Patch = request.body()?;
    let changes = patch::changes(&patch, draft)?;
    let Seen { image, .. } = authorized(services, request, "modify_image")?;
    for change in &changes {
        authorize_change(request, &image, change)?;
    }
    let id = image.id.clone();
    let saving = services.image.uploads.holds(&id);
    let updated = transact(&services.store, |tx| {
        let mut image = existing(tx, &id)?;
        if changes.is_empty() {
            return Ok(image);
        }
        let mut setter = Setter {
            image: &mut image,
            saving,
        };
        for change in &changes {
            setter.apply(change)?;
        }
        check_limits(&image)?;
        may_go_everywhere(services, &image)?;
        image.updated_at = request.now;
        tx.update(image.clone())?;
        Ok(image)
    })
    .await?;
    Reply::json(&views::image(&updated, saving))
}

/// Checks the finer rules that some attributes have.
fn authorize_change(request: &Request, image: &Image, change: &Change) -> Result<(), ApiError> {
    let (Change::Add { name, value, .. } | Change::Replace { name, value }) = change else {
        return Ok(());
    };
    match name.as_str() {
        "visibility" => {
            let visibility = value.as_str().and_then(Visibility::parse);
            visibility.map_or(Ok(()), |wanted| {
                authorize_visibility(request, image, wanted)
            })
        }
        "owner" if !is_admin(request) => {
            Err(ApiError::forbidden("Owner can't be updated by non admin."))
        }
        _ => Ok(()),
    }
}

/// Refuses an image with more tags or properties than it may have.
pub(super) fn check_limits(image: &Image) -> Result<(), ApiError> {
    for (count, limit, things) in [
        (image.tags.len(), TAGS_MAX, "tags"),
        (image.properties.len(), PROPERTIES_MAX, "properties"),
    ] {
        if count > limit {
            let message = format!(
                "The limit has been exceeded on the number of allowed image {things}. \
                 Attempted: {count}, Maximum: {limit}"
            );
            return Err(ApiError::LimitExceeded { message });
        }
    }
    Ok(())
}

/// Sets what clients may set. Values have passed [`attribute::check`].
pub(super) struct Setter<'a> {
    /// The image to change.
    pub(super) image: &'a mut Image,
    /// Whether its data is coming in at this moment.
    pub(super) saving: bool,
}

impl Setter<'_> {
    fn apply(&mut self, change: &Change) -> Result<(), ApiError> {
        let is_base = |name: &str| attribute::find(name).is_some_and(|attribute| attribute.base);
        match change {
            Change::Add { name, value, fresh } => {
                if *fresh && (is_base(name) || self.image.properties.contains_key(name)) {
                    let message = format!("Property {name} already present.");
                    return Err(ApiError::Conflict { message });
                }
                self.set(name, value)
            }
            Change::Replace { name, value } => {
                if !is_base(name) && !self.image.properties.contains_key(name) {
                    return Err(missing(name));
                }
                self.set(name, value)
            }
            Change::Remove { name } if is_base(name) => Err(ApiError::forbidden(format!(
                "Property {name} may not be removed."
            ))),
            Change::Remove { name } => self
                .image
                .properties
                .remove(name)
                .map(drop)
                .ok_or_else(|| missing(name)),
        }
    }

    /// Sets the attribute or property called `name`.
    pub(super) fn set(&mut self, name: &str, value: &Value) -> Result<(), ApiError> {
        let text = || value.as_str().map(str::to_owned);
        let count = || value.as_u64().unwrap_or_default();
        let flag = || value.as_bool().unwrap_or_default();
        let image = &mut *self.image;
        match name {
            "name" => image.name = text(),
            "visibility" => {
                let word = value.as_str().unwrap_or_default();
                image.visibility = Visibility::parse(word)
                    .ok_or_else(|| ApiError::invalid(name, format!("{value} is no visibility")))?;
            }
            "owner" => {
                image.owner = value
                    .as_str()
                    .map(ProjectId::parse)
                    .transpose()
                    .map_err(|error| ApiError::invalid(name, error.to_string()))?;
            }
            "protected" => image.protected = flag(),
            "os_hidden" => image.hidden = flag(),
            "min_disk" => image.min_disk = DiskGib(count()),
            "min_ram" => image.min_ram = MemoryMib(count()),
            "tags" => {
                let tags = value.as_array().into_iter().flatten();
                image.tags = tags
                    .filter_map(|tag| tag.as_str().map(str::to_owned))
                    .collect();
            }
            "disk_format" | "container_format" => {
                if image.status != Status::Queued || self.saving {
                    let message =
                        format!("Attribute {name} can be only replaced for a queued image.");
                    return Err(ApiError::Forbidden { message });
                }
                let format = match name {
                    "disk_format" => &mut image.disk_format,
                    _ => &mut image.container_format,
                };
                *format = text();
            }
            _ => {
                image.properties.insert(name.to_owned(), text());
            }
        }
        Ok(())
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::conflict(format!("Property {name} does not exist."))
}

#[cfg(test)]
mod tests;
