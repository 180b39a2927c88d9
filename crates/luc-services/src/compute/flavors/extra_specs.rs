//! What a flavor tells the scheduler and the hypervisor.

use luc_api::ApiError;
use luc_api::compute::flavor::{CreateExtraSpecs, UpdateExtraSpec};
use luc_api::policy::Attributes;
use serde_json::json;

use super::{change, find};
use crate::Services;
use crate::compute::model::flavor::Flavor;
use crate::reply::Reply;
use crate::request::Request;

/// Lists the extra specs of a flavor.
pub(in crate::compute) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&request.own_target())?;
    let flavor = find(
        &services.store.snapshot(),
        request,
        request.param("flavor_id"),
    )?;
    Reply::json(&json!({"extra_specs": flavor.extra_specs}))
}

/// Shows one extra spec.
pub(in crate::compute) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&request.own_target())?;
    let flavor = find(
        &services.store.snapshot(),
        request,
        request.param("flavor_id"),
    )?;
    let key = request.param("key");
    let value = flavor
        .extra_specs
        .get(key)
        .ok_or_else(|| no_such_key(&flavor, key))?;
    Reply::json(&json!({key: value}))
}

/// Adds extra specs; answers with what was sent, as Nova does.
pub(in crate::compute) async fn create(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let specs = request.body::<CreateExtraSpecs>()?.extra_specs;
    change(services, request, |flavor| {
        let specs = specs
            .iter()
            .map(|(key, value)| (key.clone(), value.to_string()));
        flavor.extra_specs.extend(specs);
        Ok(())
    })
    .await?;
    Reply::json(&json!({"extra_specs": specs}))
}

/// Sets one extra spec; answers with what was sent, as Nova does.
pub(in crate::compute) async fn update(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let key = request.param("key");
    let body = request.body::<UpdateExtraSpec>()?.0;
    let Some(value) = body.get(key) else {
        return Err(ApiError::bad_request("Request body and URI mismatch"));
    };
    change(services, request, |flavor| {
        flavor.extra_specs.insert(key.to_owned(), value.to_string());
        Ok(())
    })
    .await?;
    Reply::json(&body)
}

/// Removes one extra spec.
pub(in crate::compute) async fn delete(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let key = request.param("key");
    change(services, request, |flavor| {
        match flavor.extra_specs.remove(key) {
            Some(_) => Ok(()),
            None => Err(no_such_key(flavor, key)),
        }
    })
    .await?;
    Ok(Reply::empty())
}

fn no_such_key(flavor: &Flavor, key: &str) -> ApiError {
    let message = format!("Flavor {} has no extra specs with key {key}.", flavor.id);
    ApiError::not_found(message)
}
