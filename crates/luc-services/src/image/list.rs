//! Listing images: those the caller may see, filtered, sorted, page by page.

use std::collections::BTreeMap;
use std::sync::Arc;

use luc_api::ApiError;
use luc_api::query::{Query, encode};
use luc_core::id::{ImageId, ProjectId};
use luc_state::{Snapshot, Stored, key};
use serde_json::{Map, Value, json};

use super::access::{self, authorize, is_admin, is_visible};
use super::filter::{Filter, Shown};
use super::model::{Image, Member, MemberStatus, Visibility};
use super::sort::Order;
use super::views;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// How many images a page has if nothing is asked: Glance's `limit_param_default`.
const LIMIT_DEFAULT: usize = 25;

/// How many images a page may have: Glance's `api_limit_max`.
const LIMIT_MAX: usize = 1000;

/// Lists images.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    authorize(request, "get_images", &request.own_target())?;
    let query = &request.query;
    let (filter, order) = (Filter::of(query)?, Order::of(query)?);
    let limit = limit(query)?;
    let snapshot = services.store.snapshot();
    let project = request.caller()?.project_id();
    let viewer = Viewer {
        snapshot: &snapshot,
        project,
        admin: is_admin(request),
    };
    let uploads = &services.image.uploads;
    let mut images: Vec<_> = viewer
        .candidates(&filter, member_status(query)?)
        .into_values()
        .filter(|image| viewer.is_listed(image, filter.shown))
        .filter(|image| filter.wants(image, uploads.status(image)))
        .filter(|image| viewer.is_permitted(image, request))
        .collect();
    images.sort_by(|left, right| order.compare(left, right));
    let start = match query.last("marker") {
        None => 0,
        Some(marker) => viewer.after(&images, &order, marker)?,
    };
    let page: Vec<_> = images.iter().skip(start).take(limit).collect();
    let views: Vec<_> = page
        .iter()
        .map(|image| views::image(image, uploads.holds(&image.id)))
        .collect();
    let mut body = Map::new();
    body.insert("images".to_owned(), json!(views));
    body.insert("schema".to_owned(), json!("/v2/schemas/images"));
    body.insert("first".to_owned(), json!(link(query, None)));
    // Glance names a next page whenever this one is full.
    if let Some(last) = page.last().filter(|_| page.len() == limit) {
        body.insert(
            "next".to_owned(),
            json!(link(query, Some(last.id.as_str()))),
        );
    }
    Reply::json(&Value::Object(body))
}

fn limit(query: &Query) -> Result<usize, ApiError> {
    let Some(text) = query.last("limit") else {
        return Ok(LIMIT_DEFAULT);
    };
    match text.trim().parse::<i64>() {
        Ok(limit) if limit >= 0 => Ok(usize::try_from(limit).unwrap_or(LIMIT_MAX).min(LIMIT_MAX)),
        Ok(_) => Err(ApiError::bad_request("limit param must be positive")),
        Err(_) => Err(ApiError::bad_request("limit param must be an integer")),
    }
}

/// Which memberships count: one status, or `None` for all.
fn member_status(query: &Query) -> Result<Option<MemberStatus>, ApiError> {
    match query.last("member_status").unwrap_or("accepted") {
        "all" => Ok(None),
        word => MemberStatus::parse(word)
            .map(Some)
            .ok_or_else(|| ApiError::bad_request(format!("Invalid status: {word}"))),
    }
}

/// A link to a page with the same filters, from its beginning or after `marker`.
fn link(query: &Query, marker: Option<&str>) -> String {
    let kept = query.iter().filter(|(name, _)| *name != "marker");
    let pairs: Vec<_> = kept
        .chain(marker.map(|marker| ("marker", marker)))
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    if pairs.is_empty() {
        return "/v2/images".to_owned();
    }
    format!("/v2/images?{}", pairs.join("&"))
}

/// Who looks, at which revision.
struct Viewer<'a> {
    snapshot: &'a Snapshot,
    project: Option<&'a ProjectId>,
    admin: bool,
}

type Candidates = BTreeMap<ImageId, Arc<Stored<Image>>>;

impl Viewer<'_> {
    /// The images that may be listed, found by index where the caller sees not all.
    fn candidates(&self, filter: &Filter, status: Option<MemberStatus>) -> Candidates {
        let by_id = |image: Arc<Stored<Image>>| (image.id.clone(), image);
        if let Some(ids) = filter.ids() {
            let images = ids.iter().filter_map(|id| self.snapshot.get::<Image>(id));
            return images
                .filter(|image| self.sees(image, status))
                .map(by_id)
                .collect();
        }
        if self.admin {
            return self.snapshot.all::<Image>().map(by_id).collect();
        }
        let mut found = Candidates::new();
        for visibility in [Visibility::Public, Visibility::Community] {
            let images = self
                .snapshot
                .find(&Image::BY_VISIBILITY, &key(&[visibility.as_str()]));
            found.extend(images.map(by_id));
        }
        if let Some(project) = self.project {
            let project = key(&[project.as_str()]);
            found.extend(self.snapshot.find(&Image::BY_OWNER, &project).map(by_id));
            let memberships = self.snapshot.find(&Member::BY_PROJECT, &project);
            let images = memberships
                .filter(|member| status.is_none_or(|status| member.status == status))
                .filter_map(|member| self.snapshot.get::<Image>(member.image.as_str()))
                .filter(|image| image.visibility == Visibility::Shared);
            found.extend(images.map(by_id));
        }
        found
    }

    /// Whether an image that was named may be listed: what [`Self::candidates`] finds by index.
    fn sees(&self, image: &Image, status: Option<MemberStatus>) -> bool {
        if self.admin {
            return true;
        }
        let own = self.project.is_some() && image.owner.as_ref() == self.project;
        match image.visibility {
            Visibility::Public | Visibility::Community => true,
            Visibility::Private => own,
            Visibility::Shared => {
                own || self
                    .project
                    .and_then(|project| access::membership(self.snapshot, image, project))
                    .is_some_and(|member| status.is_none_or(|status| member.status == status))
            }
        }
    }

    /// Whether its visibility is one of those that are listed.
    fn is_listed(&self, image: &Image, shown: Shown) -> bool {
        match shown {
            Shown::All => true,
            Shown::Only(visibility) => image.visibility == visibility,
            Shown::Usual => {
                let own = self.project.is_some() && image.owner.as_ref() == self.project;
                own || image.visibility != Visibility::Community
            }
        }
    }

    /// Whether the policy lets the caller see it.
    fn is_permitted(&self, image: &Image, request: &Request) -> bool {
        let guest = image.visibility == Visibility::Shared && image.owner.as_ref() != self.project;
        let member = self.project.filter(|_| guest);
        request.may("get_image", &access::target(image, member))
    }

    /// Where the page after `marker` begins. A marker that is no longer in the list, because it
    /// was changed in the meantime, still has its place in the order.
    fn after(
        &self,
        images: &[Arc<Stored<Image>>],
        order: &Order,
        marker: &str,
    ) -> Result<usize, ApiError> {
        let image = self
            .snapshot
            .get::<Image>(marker)
            .filter(|image| self.admin || is_visible(self.snapshot, image, self.project))
            .ok_or_else(|| ApiError::bad_request(format!("No image found with ID {marker}")))?;
        Ok(images.partition_point(|other| order.compare(other, &image).is_le()))
    }
}
