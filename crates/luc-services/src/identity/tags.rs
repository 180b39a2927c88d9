//! The tags of a project: `/v3/projects/{project_id}/tags`.

use std::sync::Arc;

use http::header::LOCATION;
use luc_api::ApiError;
use luc_api::identity::requests::{ReplaceTags, check_tags};
use luc_state::Stored;
use serde_json::json;

use super::model::{Project, is_immutable};
use super::places::sorted;
use super::projects::target;
use super::refusal::{Refusal, immutable, not_found, transact};
use super::residency::Nameable;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

fn reply(request: &Request, tags: &[String]) -> Result<Reply, ApiError> {
    let link = format!("{}{}", request.base_url, request.path.trim_end_matches('/'));
    Reply::json(&json!({"tags": tags, "links": {"self": link}}))
}

/// The project of the path, which the caller may see or change.
fn allowed(services: &Services, request: &Request) -> Result<Arc<Stored<Project>>, ApiError> {
    let id = request.param("project_id");
    let project = services.store.snapshot().get::<Project>(id);
    request.authorize(&target(project.as_deref().map(Stored::value), id))?;
    project.ok_or_else(|| not_found("project", id))
}

/// Changes the tags of the project of the path.
async fn change(
    services: &Services,
    request: &Request,
    change: impl Fn(&mut Vec<String>) -> Result<(), ApiError>,
) -> Result<Arc<Stored<Project>>, ApiError> {
    allowed(services, request)?;
    let (id, nameable) = (request.param("project_id"), Nameable::of(services));
    transact(services, |tx| -> Result<_, Refusal> {
        let project = tx
            .get::<Project>(id)
            .ok_or_else(|| not_found("project", id))?;
        if is_immutable(&project.options) {
            return Err(immutable("update", "project", id).into());
        }
        let mut changed = project.value().clone();
        change(&mut changed.tags)?;
        check_tags("tags", &changed.tags).map_err(ApiError::from)?;
        nameable.check(&project.tags, &changed.tags)?;
        changed.tags = sorted(&changed.tags);
        Ok(tx.update(changed)?)
    })
    .await
}

/// Lists the tags.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    reply(request, &allowed(services, request)?.tags)
}

/// Replaces all tags.
pub(super) async fn replace(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let ReplaceTags { tags } = request.body()?;
    let changed = change(services, request, |all| {
        all.clone_from(&tags);
        Ok(())
    })
    .await?;
    reply(request, &changed.tags)
}

/// Takes all tags off.
pub(super) async fn clear(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    change(services, request, |all| {
        all.clear();
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

fn missing(tag: &str) -> ApiError {
    not_found("project tag", tag)
}

/// Whether there is a tag.
pub(super) fn check(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let tag = request.param("tag");
    let project = allowed(services, request)?;
    if project.tags.iter().any(|own| own == tag) {
        Ok(Reply::empty())
    } else {
        Err(missing(tag))
    }
}

/// Adds a tag; one that is there already is a 400, as in Keystone.
pub(super) async fn add(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let tag = request.param("tag");
    change(services, request, |all| {
        all.push(tag.to_owned());
        Ok(())
    })
    .await?;
    let link = format!("{}{}", request.base_url, request.path);
    Reply::empty().header(LOCATION, &link)
}

/// Takes a tag off.
pub(super) async fn remove(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let tag = request.param("tag");
    change(services, request, |all| {
        let position = all
            .iter()
            .position(|own| own == tag)
            .ok_or_else(|| missing(tag))?;
        all.remove(position);
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}
