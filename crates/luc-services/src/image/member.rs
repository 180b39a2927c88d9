//! Sharing an image with projects, and what these say of it.
//!
//! The owner adds and removes members; a member accepts or rejects. A member sees its own
//! membership only.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::image::request::{AddMember, UpdateMember};
use luc_core::id::ProjectId;
use luc_state::{Stored, key};
use serde_json::json;

use super::access::{Seen, is_admin, seen, shares};
use super::images::existing;
use super::model::{Image, Member, MemberStatus, Visibility};
use super::views;
use super::write::transact;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// How many members an image may have: Glance's `image_member_quota`.
const MEMBERS_MAX: usize = 128;

/// The image of the request, which must be one that has members, if `rule` holds for it.
fn shared(services: &Services, request: &Request, rule: &str) -> Result<Seen, ApiError> {
    let seen = seen(services, request)?;
    seen.authorize(request, rule)?;
    check_shared(&seen.image)?;
    Ok(seen)
}

fn check_shared(image: &Image) -> Result<(), ApiError> {
    if image.visibility == Visibility::Shared {
        return Ok(());
    }
    Err(ApiError::forbidden("Only shared images have members."))
}

/// Whether the caller may know of the membership of `project`.
fn may_know(request: &Request, image: &Image, project: &ProjectId) -> bool {
    let own = request
        .caller
        .as_ref()
        .and_then(|caller| caller.project_id());
    is_admin(request) || own == Some(project) || (own.is_some() && own == image.owner.as_ref())
}

/// Lists the members of an image.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let Seen { image, .. } = shared(services, request, "get_members")?;
    let snapshot = services.store.snapshot();
    let members: Vec<_> = snapshot
        .find(&Member::BY_IMAGE, &key(&[image.id.as_str()]))
        .filter(|member| shares(&snapshot, member))
        .filter(|member| may_know(request, &image, &member.project))
        .map(|member| views::member(&member))
        .collect();
    Reply::json(&json!({"members": members, "schema": "/v2/schemas/members"}))
}

/// Shares an image with a project.
pub(super) async fn add(services: &Arc<Services>, request: &Request) -> Result<Reply, ApiError> {
    let AddMember { member } = request.body()?;
    let project = ProjectId::parse(&member)
        .map_err(|error| ApiError::invalid("member", error.to_string()))?;
    let Seen { image, .. } = shared(services, request, "add_member")?;
    let member = transact(&services.store, |tx| {
        let image = existing(tx, &image.id)?;
        check_shared(&image)?;
        let members = tx.find(&Member::BY_IMAGE, &key(&[image.id.as_str()]));
        if members.iter().any(|member| member.project == project) {
            let id = &image.id;
            let message = format!("Member {project} is duplicated for image {id}");
            return Err(ApiError::Conflict { message }.into());
        }
        if members.len() >= MEMBERS_MAX {
            let message = format!("Image member limit exceeded for image {}", image.id);
            return Err(ApiError::LimitExceeded { message }.into());
        }
        let member = Member {
            id: Member::record_id(image.id.as_str(), project.as_str()),
            image: image.id,
            project: project.clone(),
            status: MemberStatus::Pending,
            created_at: request.now,
            updated_at: request.now,
        };
        tx.insert(member.clone())?;
        Ok(member)
    })
    .await?;
    Reply::json(&views::member(&member))
}

/// The membership that the path names, if the caller may know of it.
fn named(
    services: &Services,
    request: &Request,
    image: &Image,
) -> Result<Arc<Stored<Member>>, ApiError> {
    let id = request.param("member_id");
    let record = Member::record_id(image.id.as_str(), id);
    services
        .store
        .snapshot()
        .get::<Member>(record)
        .filter(|member| may_know(request, image, &member.project))
        .ok_or_else(|| unknown(image, id))
}

fn unknown(image: &Image, member: &str) -> ApiError {
    let image = &image.id;
    ApiError::not_found(format!(
        "{member} not found in the member list of the image {image}."
    ))
}

/// Shows how a project stands to an image; what is forbidden is not found.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let Seen { image, .. } =
        shared(services, request, "get_member").map_err(|refused| match refused {
            ApiError::Forbidden { message } => ApiError::NotFound { message },
            other => other,
        })?;
    let member = named(services, request, &image)?;
    Reply::json(&views::member(&member))
}

/// Accepts or rejects an image for the caller's project.
pub(super) async fn update(services: &Arc<Services>, request: &Request) -> Result<Reply, ApiError> {
    let UpdateMember { status } = request.body()?;
    let status = MemberStatus::parse(&status)
        .ok_or_else(|| ApiError::invalid("status", "no status of a member"))?;
    let Seen { image, .. } = shared(services, request, "modify_member")?;
    let member = named(services, request, &image)?;
    let changed = transact(&services.store, |tx| {
        let stored = tx
            .get::<Member>(&member.id)
            .ok_or_else(|| unknown(&image, member.project.as_str()))?;
        let mut member = stored.value().clone();
        member.status = status;
        member.updated_at = request.now;
        tx.update(member.clone())?;
        Ok(member)
    })
    .await?;
    Reply::json(&views::member(&changed))
}

/// Stops sharing an image with a project.
pub(super) async fn remove(services: &Arc<Services>, request: &Request) -> Result<Reply, ApiError> {
    let Seen { image, .. } = shared(services, request, "delete_member")?;
    let member = named(services, request, &image)?;
    transact(&services.store, |tx| {
        if tx.get::<Member>(&member.id).is_none() {
            return Err(unknown(&image, member.project.as_str()).into());
        }
        tx.delete::<Member>(&member.id)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}
