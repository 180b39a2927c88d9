//! Which projects may use a flavor that is not public.

use luc_api::ApiError;
use luc_api::compute::flavor::{AddFlavorAccess, RemoveFlavorAccess};
use luc_api::policy::Attributes;
use luc_core::id::ProjectId;
use serde_json::{Value, json};

use super::{change, find};
use crate::Services;
use crate::compute::model::flavor::Flavor;
use crate::compute::projects;
use crate::reply::Reply;
use crate::request::Request;

/// Lists the projects that may use a private flavor.
pub(in crate::compute) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&request.own_target())?;
    let flavor = find(
        &services.store.snapshot(),
        request,
        request.param("flavor_id"),
    )?;
    if flavor.is_public {
        return Err(ApiError::not_found(
            "Access list not available for public flavors.",
        ));
    }
    Reply::json(&view(&flavor))
}

/// Lets a project use a flavor.
pub(in crate::compute) async fn add(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let tenant = request.body::<AddFlavorAccess>()?.access.tenant;
    let project = projects::find(&services.store.snapshot(), &tenant)?
        .id
        .clone();
    let refuse_public = request.version.at_least(2, 7);
    let flavor = change(services, request, |flavor| {
        if refuse_public && flavor.is_public {
            return Err(ApiError::conflict("Can not add access to a public flavor."));
        }
        if flavor.projects.insert(project.clone()) {
            return Ok(());
        }
        Err(ApiError::conflict(format!(
            "Flavor access already exists for flavor {} and project {project} combination.",
            flavor.id
        )))
    })
    .await?;
    Reply::json(&view(&flavor))
}

/// No longer lets a project, which may be gone, use a flavor.
pub(in crate::compute) async fn remove(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let tenant = request.body::<RemoveFlavorAccess>()?.access.tenant;
    let project = ProjectId::parse(&tenant).ok();
    let flavor = change(services, request, |flavor| {
        if project
            .as_ref()
            .is_some_and(|id| flavor.projects.remove(id))
        {
            return Ok(());
        }
        Err(ApiError::not_found(format!(
            "Flavor access not found for {} / {tenant} combination.",
            flavor.id
        )))
    })
    .await?;
    Reply::json(&view(&flavor))
}

fn view(flavor: &Flavor) -> Value {
    let of = |project: &ProjectId| json!({"flavor_id": flavor.id, "tenant_id": project});
    json!({"flavor_access": flavor.projects.iter().map(of).collect::<Vec<_>>()})
}
