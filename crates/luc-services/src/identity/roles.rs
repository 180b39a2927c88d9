//! Roles: `/v3/roles`. Those of a domain are guarded by rules of their own.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::identity::requests::{CreateRole, UpdateRole};
use luc_api::policy::Attributes;
use luc_core::id::{DomainId, RoleId};
use luc_state::{Stored, TxError, key};
use serde_json::json;

use super::listing::{Field, Listing, root};
use super::model::{Domain, Extra, IMMUTABLE, Role, is_immutable, merge_options};
use super::places::new_extra;
use super::refusal::{Refusal, check_id_kept, immutable, not_found, taken, transact};
use super::{removal, views};
use crate::Services;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

/// Lists the roles of a domain, or those without one.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &["name", "domain_id"])?;
    let domain = listing
        .exactly("domain_id")
        .filter(|domain| !domain.is_empty());
    match domain {
        Some(_) => request.authorize_as("identity:list_domain_roles", &Attributes::new())?,
        None => request.authorize(&Attributes::new())?,
    }
    let snapshot = services.store.snapshot();
    let items = snapshot
        .find(&Role::BY_DOMAIN, &key(&[domain.unwrap_or_default()]))
        .filter(|role| listing.keeps(|name| field(role.value(), name)))
        .collect();
    let root = root(request);
    listing.reply(request, "roles", items, |role| views::role(&root, role))
}

fn field<'r>(role: &'r Role, name: &str) -> Field<'r> {
    match name {
        "name" => Field::Text(&role.name),
        "domain_id" => role
            .domain_id
            .as_ref()
            .map_or(Field::Null, |id| Field::Text(id.as_str())),
        _ => Field::Null,
    }
}

/// Makes a role.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let CreateRole { role: wanted } = request.body()?;
    let domain_id = wanted.domain_id.flatten();
    match &domain_id {
        Some(id) => {
            let target = Attributes::new().with("target.role.domain_id", id.as_str());
            request.authorize_as("identity:create_domain_role", &target)?;
        }
        None => request.authorize(&Attributes::new())?,
    }
    let mut options = Extra::new();
    merge_options(&mut options, wanted.options.unwrap_or_default());
    let domain_id = domain_id.as_deref().map(DomainId::parse).transpose();
    let role = Role {
        id: RoleId::born_at(services.site, &mut Drawn(&*services.random)),
        name: wanted.name,
        domain_id: domain_id
            .map_err(|error| ApiError::invalid("role.domain_id", error.to_string()))?,
        description: wanted.description.flatten(),
        options,
        extra: new_extra(wanted.extra),
    };
    let made = transact(services, |tx| {
        if let Some(domain) = &role.domain_id {
            tx.get::<Domain>(domain)
                .ok_or_else(|| not_found("domain", domain.as_str()))?;
        }
        tx.insert(role.clone())
            .map_err(|error| name_taken(error, &role.name))
    })
    .await?;
    Reply::json(&json!({"role": views::role(&root(request), made.value())}))
}

fn name_taken(error: TxError, name: &str) -> Refusal {
    taken(
        error,
        "role",
        &format!("Duplicate entry found with name {name}."),
    )
}

/// What policy may ask about a role.
pub(super) fn target(role: &Role) -> Attributes<'_> {
    Attributes::new()
        .with("target.role.id", role.id.as_str())
        .with("target.role.name", role.name.as_str())
        .with(
            "target.role.domain_id",
            role.domain_id.as_ref().map(DomainId::as_str),
        )
}

/// The role of the path, with which the caller may do what is asked; `of_domain` is the rule for
/// roles of a domain.
fn allowed(
    services: &Services,
    request: &Request,
    of_domain: &str,
) -> Result<Arc<Stored<Role>>, ApiError> {
    let id = request.param("role_id");
    let role = services.store.snapshot().get::<Role>(id);
    match role.as_deref().map(Stored::value) {
        Some(role) if role.domain_id.is_some() => {
            request.authorize_as(of_domain, &target(role))?;
        }
        Some(role) => request.authorize(&target(role))?,
        None => request.authorize(&Attributes::new())?,
    }
    role.ok_or_else(|| not_found("role", id))
}

/// Shows a role.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let role = allowed(services, request, "identity:get_domain_role")?;
    Reply::json(&json!({"role": views::role(&root(request), role.value())}))
}

/// Changes a role.
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let UpdateRole { role: wanted } = request.body()?;
    allowed(services, request, "identity:update_domain_role")?;
    let id = request.param("role_id");
    check_id_kept(wanted.id.as_ref(), id)?;
    let protection = wanted
        .options
        .as_ref()
        .and_then(|options| options.get(IMMUTABLE));
    let unprotects = protection.is_some_and(|value| !value.as_bool().unwrap_or(false))
        && wanted.name.is_none()
        && wanted.description.is_none()
        && wanted.extra.is_empty();
    let changed = transact(services, |tx| {
        let role = tx.get::<Role>(id).ok_or_else(|| not_found("role", id))?;
        if is_immutable(&role.options) && !unprotects {
            return Err(immutable("update", "role", id).into());
        }
        let is = role.domain_id.as_ref().map(DomainId::as_str);
        if wanted
            .domain_id
            .as_ref()
            .is_some_and(|wanted| wanted.as_deref() != is)
        {
            return Err(ApiError::bad_request("Update of `domain_id` is not allowed.").into());
        }
        let mut changed = role.value().clone();
        if let Some(name) = &wanted.name {
            changed.name.clone_from(name);
        }
        if let Some(description) = &wanted.description {
            changed.description.clone_from(description);
        }
        merge_options(
            &mut changed.options,
            wanted.options.clone().unwrap_or_default(),
        );
        changed.extra.extend(wanted.extra.clone());
        let name = changed.name.clone();
        tx.update(changed).map_err(|error| name_taken(error, &name))
    })
    .await?;
    Reply::json(&json!({"role": views::role(&root(request), changed.value())}))
}

/// Deletes a role.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let role = allowed(services, request, "identity:delete_domain_role")?;
    transact(services, |tx| {
        let id = role.id.as_str();
        let role = tx.get::<Role>(id).ok_or_else(|| not_found("role", id))?;
        if is_immutable(&role.options) {
            return Err(immutable("delete", "role", id).into());
        }
        removal::role(tx, &role.id)
    })
    .await?;
    Ok(Reply::empty())
}
