//! Which roles imply which: `/v3/roles/{role_id}/implies` and `/v3/role_inferences`.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::policy::Attributes;
use luc_state::{Snapshot, Stored, TxError, key};
use serde_json::{Value, json};

use super::listing::root;
use super::model::{ImpliedRole, Role};
use super::refusal::{not_found, taken, transact};
use super::views;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// The name of the role that nothing may imply (Keystone's `prohibited_implied_role`).
const NEVER_IMPLIED: &str = "admin";

fn role(snapshot: &Snapshot, id: &str) -> Result<Arc<Stored<Role>>, ApiError> {
    snapshot
        .get::<Role>(id)
        .ok_or_else(|| not_found("role", id))
}

fn implied_by(snapshot: &Snapshot, prior: &Role) -> Vec<Arc<Stored<Role>>> {
    let implied = snapshot.find(&ImpliedRole::BY_PRIOR, &key(&[prior.id.as_str()]));
    implied
        .filter_map(|inference| snapshot.get::<Role>(&inference.implied))
        .collect()
}

fn self_link(request: &Request) -> Value {
    json!({"self": format!("{}{}", request.base_url, request.path.trim_end_matches('/'))})
}

/// Lists what a role implies.
pub(super) fn list_of_role(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let snapshot = services.store.snapshot();
    let prior = role(&snapshot, request.param("role_id"))?;
    let inference = inference(&root(request), &snapshot, prior.value());
    Reply::json(&json!({"role_inference": inference, "links": self_link(request)}))
}

fn inference(root: &str, snapshot: &Snapshot, prior: &Role) -> Value {
    let implied = implied_by(snapshot, prior);
    let implied = implied
        .iter()
        .map(|role| views::role_in_inference(root, role.value()));
    json!({
        "prior_role": views::role_in_inference(root, prior),
        "implies": implied.collect::<Value>(),
    })
}

/// Lists every role that implies others.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let snapshot = services.store.snapshot();
    let root = root(request);
    let inferences: Vec<Value> = snapshot
        .all::<Role>()
        .filter(|role| {
            let of_role = key(&[role.id.as_str()]);
            snapshot.count_of(&ImpliedRole::BY_PRIOR, &of_role) > 0
        })
        .map(|role| inference(&root, &snapshot, role.value()))
        .collect();
    Reply::json(&json!({"role_inferences": inferences}))
}

/// A role and one that it implies.
type Pair = (Arc<Stored<Role>>, Arc<Stored<Role>>);

/// Both roles of the path, of which the first implies the second.
fn existing(snapshot: &Snapshot, request: &Request) -> Result<Pair, ApiError> {
    let prior = role(snapshot, request.param("role_id"))?;
    let implied = role(snapshot, request.param("implied_role_id"))?;
    let id = ImpliedRole::id_of(prior.id.as_str(), implied.id.as_str());
    if snapshot.get::<ImpliedRole>(&id).is_none() {
        return Err(missing(&prior, &implied));
    }
    Ok((prior, implied))
}

fn missing(prior: &Role, implied: &Role) -> ApiError {
    ApiError::not_found(format!("{} does not imply {}.", prior.id, implied.id))
}

fn shown(request: &Request, prior: &Role, implied: &Role) -> Value {
    let root = root(request);
    json!({
        "role_inference": {
            "prior_role": views::role_in_inference(&root, prior),
            "implies": views::role_in_inference(&root, implied),
        },
        "links": self_link(request),
    })
}

/// Shows that one role implies another.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let (prior, implied) = existing(&services.store.snapshot(), request)?;
    Reply::json(&shown(request, &prior, &implied))
}

/// Whether one role implies another.
pub(super) fn check(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    existing(&services.store.snapshot(), request)?;
    Ok(Reply::empty())
}

/// Makes a role imply another: not `admin`, and none of a domain.
pub(super) async fn add(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let (prior_id, implied_id) = (request.param("role_id"), request.param("implied_role_id"));
    let (prior, implied) = transact(services, |tx| {
        let prior = tx
            .get::<Role>(prior_id)
            .ok_or_else(|| not_found("role", prior_id))?;
        let implied = tx
            .get::<Role>(implied_id)
            .ok_or_else(|| not_found("role", implied_id))?;
        if implied.name == NEVER_IMPLIED || implied.domain_id.is_some() {
            let message = format!("{implied_id} cannot be an implied roles.");
            return Err(ApiError::forbidden(message).into());
        }
        tx.insert(ImpliedRole::new(&prior.id, &implied.id))
            .map_err(|error| taken(error, "implied_role", "Duplicate entry."))?;
        Ok((prior, implied))
    })
    .await?;
    Reply::json(&shown(request, &prior, &implied))
}

/// Makes a role no longer imply another.
pub(super) async fn remove(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let (prior, implied) = existing(&services.store.snapshot(), request)?;
    let id = ImpliedRole::id_of(prior.id.as_str(), implied.id.as_str());
    transact(services, |tx| match tx.delete::<ImpliedRole>(&id) {
        Err(TxError::Missing { .. }) => Err(missing(&prior, &implied).into()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    })
    .await?;
    Ok(Reply::empty())
}
