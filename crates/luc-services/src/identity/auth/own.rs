//! What the caller may choose as a scope, and the catalog for it: `GET /v3/auth/…`.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::policy::Attributes;
use luc_state::{Snapshot, Stored};
use serde_json::json;

use super::super::entitlement::{effective_roles, places_of};
use super::super::model::{Domain, Place, Project};
use super::super::trust::Trust;
use super::super::{catalog, listing, views};
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// Shows the catalog for the caller's project.
pub(in super::super) fn show_catalog(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let caller = request.caller()?;
    if caller.project_id().is_none() {
        // That a project is needed is not said; nor does Keystone.
        let message = "You are not authorized to perform the requested action.";
        return Err(ApiError::forbidden(message));
    }
    let catalog = catalog::of_caller(&services.store.snapshot(), caller, &request.base_url);
    let link = format!("{}/auth/catalog", listing::root(request));
    Reply::json(&json!({"catalog": catalog, "links": {"self": link}}))
}

/// Lists the projects on which the caller has a role, disabled ones too.
pub(in super::super) fn list_projects(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let user = request.caller()?.user_id.as_str();
    let root = listing::root(request);
    let projects = projects_of(&services.store.snapshot(), &Trust::of(services), user);
    let shown = projects
        .iter()
        .map(|project| views::project(&root, project.value()))
        .collect();
    listing::reply_whole(request, "projects", shown)
}

/// The projects on which a user has a role, in the order of their ids.
pub(in super::super) fn projects_of(
    snapshot: &Snapshot,
    trust: &Trust,
    user: &str,
) -> Vec<Arc<Stored<Project>>> {
    let places = places_of(snapshot, user).into_iter();
    places
        .filter(|place| !effective_roles(snapshot, trust, user, place).is_empty())
        .filter_map(|place| match place {
            Place::Project(id) => snapshot.get::<Project>(&id),
            Place::Domain(_) | Place::System => None,
        })
        .collect()
}

/// Lists the domains on which the caller has a role.
pub(in super::super) fn list_domains(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let user = request.caller()?.user_id.as_str();
    let root = listing::root(request);
    let snapshot = services.store.snapshot();
    let trust = Trust::of(services);
    let places = places_of(&snapshot, user).into_iter();
    let shown = places
        .filter(|place| !effective_roles(&snapshot, &trust, user, place).is_empty())
        .filter_map(|place| match place {
            Place::Domain(id) => snapshot.get::<Domain>(&id),
            Place::Project(_) | Place::System => None,
        })
        .map(|domain| views::domain(&root, domain.value()))
        .collect();
    listing::reply_whole(request, "domains", shown)
}

/// Says whether the caller has a role on the system.
pub(in super::super) fn show_system(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let user = request.caller()?.user_id.as_str();
    let roles = effective_roles(
        &services.store.snapshot(),
        &Trust::of(services),
        user,
        &Place::System,
    );
    let system = if roles.is_empty() {
        json!([])
    } else {
        json!([{"all": true}])
    };
    let link = format!("{}/auth/system", listing::root(request));
    Reply::json(&json!({"system": system, "links": {"self": link}}))
}
