//! Who may see an image, and what policy rules are asked about it.
//!
//! As in Glance two things decide: what the owner says of the image (its visibility and members),
//! and the policy. An image that a caller may not see does not exist for that caller.

use std::sync::Arc;

use luc_api::policy::Attributes;
use luc_api::{ApiError, Service};
use luc_core::id::ProjectId;
use luc_state::{Snapshot, Stored};

use super::model::{Image, Member, Visibility};
use crate::Services;
use crate::request::Request;

/// An image as a caller sees it.
pub(super) struct Seen {
    /// The image.
    pub(super) image: Arc<Stored<Image>>,
    /// The caller's project, if that sees the image as one of its members.
    pub(super) member: Option<ProjectId>,
}

impl Seen {
    /// What policy rules may ask about it.
    pub(super) fn target(&self) -> Attributes<'_> {
        target(&self.image, self.member.as_ref())
    }

    /// Checks `rule`; what the caller may not even see is not found.
    pub(super) fn authorize(&self, request: &Request, rule: &str) -> Result<(), ApiError> {
        let target = self.target();
        authorize(request, rule, &target).map_err(|refused| {
            if rule == "get_image" || !request.may("get_image", &target) {
                return not_found(self.image.id.as_str());
            }
            refused
        })
    }
}

/// Checks `rule`, refusing in Glance's words.
pub(super) fn authorize(
    request: &Request,
    rule: &str,
    target: &Attributes<'_>,
) -> Result<(), ApiError> {
    request
        .authorize_as(rule, target)
        .map_err(|refused| match refused {
            ApiError::Forbidden { .. } => {
                ApiError::forbidden(format!("You are not authorized to complete {rule} action."))
            }
            other => other,
        })
}

/// What policy rules may ask about `image`, for a caller whose project is its `member`.
pub(super) fn target<'a>(image: &'a Image, member: Option<&'a ProjectId>) -> Attributes<'a> {
    let owner = image.owner.as_ref().map(ProjectId::as_str);
    Attributes::new()
        .with("project_id", owner)
        .with("owner", owner)
        .with("visibility", image.visibility.as_str())
        .with("member_id", member.map(ProjectId::as_str))
}

/// The image that the request's path names, if the caller may see it.
pub(super) fn seen(services: &Services, request: &Request) -> Result<Seen, ApiError> {
    let snapshot = services.store.snapshot();
    let id = request.param("image_id");
    let project = request.caller()?.project_id();
    let image = snapshot
        .get::<Image>(id)
        .filter(|image| is_admin(request) || is_visible(&snapshot, image, project))
        .ok_or_else(|| not_found(id))?;
    let is_guest = |project: &&ProjectId| {
        image.visibility == Visibility::Shared && image.owner.as_ref() != Some(project)
    };
    let member = project.filter(is_guest).cloned();
    Ok(Seen { image, member })
}

/// Whether `project` may see `image`; `None` stands for a caller without a project.
pub(super) fn is_visible(snapshot: &Snapshot, image: &Image, project: Option<&ProjectId>) -> bool {
    if matches!(image.visibility, Visibility::Public | Visibility::Community) {
        return true;
    }
    let Some(owner) = &image.owner else {
        return true;
    };
    project.is_some_and(|project| {
        owner == project
            || (image.visibility == Visibility::Shared
                && membership(snapshot, image, project).is_some())
    })
}

/// How `project` stands to `image`, if it is one of its members.
pub(super) fn membership(
    snapshot: &Snapshot,
    image: &Image,
    project: &ProjectId,
) -> Option<Arc<Stored<Member>>> {
    let member = snapshot.get::<Member>(Member::record_id(image.id.as_str(), project.as_str()))?;
    shares(snapshot, &member).then_some(member)
}

/// Whether the image of `member` is one of the site that says so: not another site's with its id.
pub(super) fn shares(snapshot: &Snapshot, member: &Stored<Member>) -> bool {
    let image = snapshot.get::<Image>(member.image.as_str());
    image.is_some_and(|image| image.home() == member.home())
}

/// Whether the caller is an administrator of the image service.
pub(super) fn is_admin(request: &Request) -> bool {
    request.caller.as_ref().is_some_and(|caller| {
        request
            .policy
            .is_admin(Service::Image, &caller.credentials())
    })
}

/// The refusal for an image that is not there, or not for this caller.
pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::not_found(format!("No image found with ID {id}"))
}
