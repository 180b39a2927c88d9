//! The rules that narrow application credentials: `/v3/users/{user_id}/access_rules`.
//!
//! They are made with a credential, may be shared by several of a user's, and outlive them.

use std::sync::Arc;

use luc_api::ApiError;
use luc_state::{Stored, key};
use serde_json::json;

use super::app_creds::check_primary;
use super::listing::{Field, Listing, root};
use super::model::{AccessRule, AppCred, User};
use super::refusal::{not_found, transact};
use super::{users, views};
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// The user of the path, whose rules the caller may see or delete.
fn authorize(services: &Services, request: &Request) -> Result<(), ApiError> {
    let id = request.param("user_id");
    let user = services.store.snapshot().get::<User>(id);
    request.authorize(&users::target(user.as_deref().map(Stored::value), id))?;
    check_primary(request.caller()?)?;
    user.map(drop).ok_or_else(|| not_found("user", id))
}

/// Lists the rules of a user.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &["service", "path", "method"])?;
    authorize(services, request)?;
    let snapshot = services.store.snapshot();
    let items = snapshot
        .find(&AccessRule::BY_USER, &key(&[request.param("user_id")]))
        .filter(|rule| {
            listing.keeps(|name| match name {
                "service" => Field::Text(&rule.service),
                "path" => Field::Text(&rule.path),
                _ => Field::Text(&rule.method),
            })
        })
        .collect();
    let root = root(request);
    listing.reply(request, "access_rules", items, |rule| {
        views::access_rule(&root, rule)
    })
}

/// The rule of the path, if it is the user's.
fn existing(services: &Services, request: &Request) -> Result<Arc<Stored<AccessRule>>, ApiError> {
    let id = request.param("access_rule_id");
    let rule = services.store.snapshot().get::<AccessRule>(id);
    rule.filter(|rule| rule.user_id.as_str() == request.param("user_id"))
        .ok_or_else(|| not_found("Access Rule", id))
}

/// Shows a rule.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    authorize(services, request)?;
    let rule = existing(services, request)?;
    Reply::json(&json!({"access_rule": views::access_rule(&root(request), rule.value())}))
}

/// Deletes a rule that no credential uses.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    authorize(services, request)?;
    let rule = existing(services, request)?;
    transact(services, |tx| {
        if !tx.find(&AppCred::BY_RULE, &key(&[&rule.id])).is_empty() {
            return Err(ApiError::forbidden("May not delete access rule in use").into());
        }
        if tx.get::<AccessRule>(&rule.id).is_none() {
            return Err(not_found("Access Rule", &rule.id).into());
        }
        tx.delete::<AccessRule>(&rule.id)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}
