//! Creating, showing and deleting images, and withholding their data.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::LOCATION;
use luc_api::ApiError;
use luc_api::image::attribute::{self, Access};
use luc_api::image::request::CreateImage;
use luc_core::id::ImageId;
use luc_state::{Record as _, Tx};
use serde_json::Value;

use super::access::{self, Seen, seen};
use super::model::{Image, Member, Status, Visibility};
use super::update::{self, Setter};
use super::write::{WriteError, transact};
use super::{garbage, views};
use crate::Services;
use crate::identity::residency;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;
use luc_core::units::{DiskGib, MemoryMib};

/// Creates an image that waits for its data.
pub(super) async fn create(services: &Arc<Services>, request: &Request) -> Result<Reply, ApiError> {
    let CreateImage(wanted) = request.body()?;
    for name in wanted.keys() {
        check_access(name)?;
    }
    let image = draft(services, request, &wanted)?;
    authorize_new(request, &image)?;
    may_go_everywhere(services, &image)?;
    if let Some(owner) = &image.owner {
        residency::check(services, owner.as_str())?;
    }
    let committed = image.clone();
    transact(&services.store, |tx| {
        Ok(tx.insert(committed.clone()).map(drop)?)
    })
    .await?;
    let location = format!("{}/v2/images/{}", service_url(request), image.id);
    Reply::json(&views::image(&image, false))?.header(LOCATION, &location)
}

/// Where the image service was reached.
fn service_url(request: &Request) -> String {
    format!(
        "{}{}",
        request.base_url,
        luc_api::Service::Image.facts().prefix
    )
}

fn check_access(name: &str) -> Result<(), ApiError> {
    match attribute::access(name) {
        Access::Open | Access::Once => Ok(()),
        Access::ReadOnly => Err(ApiError::forbidden(format!(
            "Attribute '{name}' is read-only."
        ))),
        Access::Reserved => Err(ApiError::forbidden(format!(
            "Attribute '{name}' is reserved."
        ))),
    }
}

/// The image that `wanted` describes, with what the caller left open.
fn draft(
    services: &Services,
    request: &Request,
    wanted: &BTreeMap<String, Value>,
) -> Result<Image, ApiError> {
    let id = match wanted.get("id").and_then(Value::as_str) {
        Some(chosen) => {
            ImageId::parse(chosen).map_err(|error| ApiError::invalid("id", error.to_string()))?
        }
        None => ImageId::born_at(services.site, &mut Drawn(&*services.random)),
    };
    let mut image = Image {
        id,
        name: None,
        owner: request.caller()?.project_id().cloned(),
        status: Status::Queued,
        visibility: Visibility::Shared,
        data: None,
        disk_format: None,
        container_format: None,
        min_disk: DiskGib::ZERO,
        min_ram: MemoryMib::ZERO,
        protected: false,
        hidden: false,
        tags: std::collections::BTreeSet::new(),
        properties: BTreeMap::new(),
        created_at: request.now,
        updated_at: request.now,
    };
    let mut setter = Setter {
        image: &mut image,
        saving: false,
    };
    for (name, value) in wanted.iter().filter(|(name, _)| *name != "id") {
        setter.set(name, value)?;
    }
    update::check_limits(&image)?;
    Ok(image)
}

fn authorize_new(request: &Request, image: &Image) -> Result<(), ApiError> {
    let target = access::target(image, None);
    access::authorize(request, "add_image", &target).map_err(|refused| {
        let own = request
            .caller
            .as_ref()
            .and_then(|caller| caller.project_id());
        match &image.owner {
            Some(owner) if own.is_some_and(|own| own != owner) => {
                let message = format!("You are not permitted to create images owned by '{owner}'");
                ApiError::Forbidden { message }
            }
            _ => refused,
        }
    })?;
    authorize_visibility(request, image, image.visibility)
}

/// Checks that other sites will take `image` from this one: what all of them show comes from sites
/// that are trusted.
pub(super) fn may_go_everywhere(services: &Services, image: &Image) -> Result<(), ApiError> {
    if image.scope() != luc_state::Scope::Cloud {
        return Ok(());
    }
    let all = services.sites.all();
    if all
        .iter()
        .any(|view| view.site == services.site && view.trusted)
    {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "This site is an edge site: an image for everybody is made at another one.",
    ))
}

/// Checks that the caller may give `image` this visibility.
pub(super) fn authorize_visibility(
    request: &Request,
    image: &Image,
    visibility: Visibility,
) -> Result<(), ApiError> {
    let rule = match visibility {
        Visibility::Public => "publicize_image",
        Visibility::Community => "communitize_image",
        Visibility::Shared | Visibility::Private => return Ok(()),
    };
    access::authorize(request, rule, &access::target(image, None))
}

/// Shows an image.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let seen = seen(services, request)?;
    seen.authorize(request, "get_image")?;
    let saving = services.image.uploads.holds(&seen.image.id);
    Reply::json(&views::image(&seen.image, saving))
}

/// Deletes an image, and its data if no other image has the same.
pub(super) async fn delete(services: &Arc<Services>, request: &Request) -> Result<Reply, ApiError> {
    let Seen { image, .. } = authorized(services, request, "delete_image")?;
    let id = image.id.clone();
    let deleted = transact(&services.store, |tx| {
        let image = existing(tx, &id)?;
        if image.protected {
            let message = format!("Image {id} is protected and cannot be deleted.");
            return Err(ApiError::Forbidden { message }.into());
        }
        let home = tx.get::<Image>(id.as_str()).map(|image| image.home());
        for member in tx.find(&Member::BY_IMAGE, &luc_state::key(&[id.as_str()])) {
            // One of another home is of another image with this id.
            if Some(member.home()) == home {
                tx.delete::<Member>(&member.id)?;
            }
        }
        tx.delete::<Image>(id.as_str())?;
        Ok(image)
    })
    .await?;
    if let Some(blob) = deleted.blob() {
        garbage::collect(&services.image, &services.store, &blob).await;
    }
    Ok(Reply::empty())
}

/// Withholds the data of an image from all but administrators.
pub(super) async fn deactivate(
    services: &Arc<Services>,
    request: &Request,
) -> Result<Reply, ApiError> {
    turn(
        services,
        request,
        ("deactivate", Status::Active, Status::Deactivated),
    )
    .await
}

/// Gives the data of an image out again.
pub(super) async fn reactivate(
    services: &Arc<Services>,
    request: &Request,
) -> Result<Reply, ApiError> {
    turn(
        services,
        request,
        ("reactivate", Status::Deactivated, Status::Active),
    )
    .await
}

/// Turns an image from one status to the other; one that has it already stays as it is.
async fn turn(
    services: &Arc<Services>,
    request: &Request,
    (verb, from, to): (&'static str, Status, Status),
) -> Result<Reply, ApiError> {
    let Seen { image, .. } = authorized(services, request, verb)?;
    let id = image.id.clone();
    transact(&services.store, |tx| {
        let mut image = existing(tx, &id)?;
        if image.status == to {
            return Ok(());
        }
        if image.status != from {
            let status = image.status.as_str();
            let message = format!("Not allowed to {verb} image in status '{status}'");
            return Err(ApiError::Forbidden { message }.into());
        }
        image.status = to;
        image.updated_at = request.now;
        tx.update(image)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// The image of the request, if the caller may see it and `rule` holds for it.
pub(super) fn authorized(
    services: &Services,
    request: &Request,
    rule: &str,
) -> Result<Seen, ApiError> {
    let seen = seen(services, request)?;
    seen.authorize(request, rule)?;
    Ok(seen)
}

/// A copy of the image `id` to change; not found if it went in the meantime.
pub(super) fn existing(tx: &Tx<'_>, id: &ImageId) -> Result<Image, WriteError> {
    let stored = tx
        .get::<Image>(id.as_str())
        .ok_or_else(|| access::not_found(id.as_str()))?;
    Ok(stored.value().clone())
}
