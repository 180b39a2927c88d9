//! Application credentials: `/v3/users/{user_id}/application_credentials`.
//!
//! A credential acts for its user on one project with a part of the user's roles: never with more
//! than the token had it was made with, and never with a role that the user has lost since.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use luc_api::ApiError;
use luc_api::identity::requests::{AccessRuleRequest, CreateAppCred, NewAppCred, RoleChoice};
use luc_api::policy::Attributes;
use luc_api::value::Secret;
use luc_core::Uuid;
use luc_core::id::{AppCredId, ProjectId, RoleId};
use luc_core::time::Timestamp;
use luc_state::{Snapshot, Stored, Tx, key};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::entitlement::with_implied;
use super::listing::{Field, Listing, root};
use super::model::{AccessRule, AppCred, Role, User};
use super::refusal::{Refusal, forbidden_action, not_found, taken, transact};
use super::{bits, views};
use crate::Services;
use crate::caller::{Caller, Scope};
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

/// Lists the application credentials of a user.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &["name"])?;
    let user_id = request.param("user_id");
    request.authorize(&Attributes::new().with("user_id", user_id))?;
    let snapshot = services.store.snapshot();
    snapshot
        .get::<User>(user_id)
        .ok_or_else(|| not_found("user", user_id))?;
    let items = snapshot
        .find(&AppCred::BY_USER, &key(&[user_id]))
        .filter(|cred| listing.keeps(|_| Field::Text(&cred.name)))
        .collect();
    let root = root(request);
    listing.reply(request, "application_credentials", items, |cred| {
        view(&root, &snapshot, cred)
    })
}

fn view(root: &str, snapshot: &Snapshot, cred: &AppCred) -> Value {
    let held = cred.roles.iter().filter_map(|id| snapshot.get::<Role>(id));
    let mut shown = views::app_cred(root, cred, held.map(|role| views::bare_role(role.value())));
    if let Some(ids) = &cred.access_rules {
        let rules = ids.iter().filter_map(|id| snapshot.get::<AccessRule>(id));
        shown["access_rules"] = rules
            .map(|rule| views::bare_access_rule(rule.value()))
            .collect();
    }
    shown
}

/// Credentials and their rules are not managed with what was delegated, unless it may.
pub(super) fn check_primary(caller: &Caller) -> Result<(), ApiError> {
    if caller
        .app_cred
        .as_ref()
        .is_some_and(|cred| !cred.unrestricted)
    {
        return Err(forbidden_action(
            "Using method 'application_credential' is not allowed for managing additional \
             application credentials.",
        ));
    }
    Ok(())
}

/// Makes an application credential; its secret is shown this once.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let CreateAppCred {
        application_credential: wanted,
    } = request.body()?;
    let user_id = request.param("user_id");
    request.authorize(&Attributes::new().with("user_id", user_id))?;
    let caller = request.caller()?;
    check_primary(caller)?;
    if caller.user_id.as_str() != user_id {
        return Err(forbidden_action(
            "Cannot create an application credential for another user.",
        ));
    }
    let project_id = project_of(caller)?;
    let snapshot = services.store.snapshot();
    let roles = roles_of(&snapshot, caller, wanted.roles.as_deref())?;
    let expires_at = wanted
        .expires_at
        .as_deref()
        .map(|text| end_of(text, request.now));
    let expires_at = expires_at.transpose()?;
    let secret = match wanted
        .secret
        .clone()
        .filter(|secret| !secret.reveal().is_empty())
    {
        Some(secret) => secret,
        None => Secret::new(BASE64.encode(bits::<64>(&*services.random))),
    };
    let salt = bits(&*services.random);
    let hashed = services.identity.passwords.hash(&secret, salt).await?;
    let id = AppCredId::born_at(services.site, &mut Drawn(&*services.random));
    let rule_ids: Vec<String> = wanted
        .access_rules
        .iter()
        .flatten()
        .map(|_| Uuid::born_at(services.site, &mut Drawn(&*services.random)).simple())
        .collect();
    let made = transact(services, |tx| {
        let user = tx
            .get::<User>(user_id)
            .ok_or_else(|| not_found("user", user_id))?;
        let cred = AppCred {
            id: id.clone(),
            name: wanted.name.clone(),
            user_id: user.id.clone(),
            domain_id: user.domain_id.clone(),
            project_id: project_id.clone(),
            description: wanted.description.clone(),
            secret: hashed.clone(),
            expires_at,
            unrestricted: wanted.unrestricted,
            roles: roles.clone(),
            access_rules: rules_of(tx, user.value(), &wanted, &rule_ids)?,
        };
        let details = format!("Duplicate entry found with name {}.", cred.name);
        tx.insert(cred)
            .map_err(|error| taken(error, "application_credential", &details))
    })
    .await?;
    let mut shown = view(&root(request), &services.store.snapshot(), made.value());
    shown["secret"] = json!(secret.reveal());
    Reply::json(&json!({"application_credential": shown}))
}

/// The project of the token; one without any scope gives a credential without any.
fn project_of(caller: &Caller) -> Result<Option<ProjectId>, ApiError> {
    match &caller.scope {
        Scope::Project { id, .. } => Ok(Some(id.clone())),
        Scope::Unscoped => Ok(None),
        Scope::Domain(_) | Scope::System => Err(ApiError::bad_request(
            "Invalid application credential: it is for a project, and the token is not",
        )),
    }
}

/// The roles of the credential: all of the token's, or the chosen ones and what they imply, which
/// the token must have too.
fn roles_of(
    snapshot: &Snapshot,
    caller: &Caller,
    chosen: Option<&[RoleChoice]>,
) -> Result<Vec<RoleId>, ApiError> {
    let Some(chosen) = chosen.filter(|chosen| !chosen.is_empty()) else {
        return Ok(caller.roles.iter().map(|role| role.id.clone()).collect());
    };
    let unassigned = || {
        ApiError::bad_request(
            "Invalid application credential: Cannot create an application credential with \
             unassigned role",
        )
    };
    let mut ids = Vec::new();
    for choice in chosen {
        let role = match (&choice.id, &choice.name) {
            (Some(id), _) => snapshot.get::<Role>(id).ok_or_else(unassigned)?,
            (None, name) => {
                let name = name.as_deref().unwrap_or_default();
                let role = snapshot.one(&Role::BY_NAME, &key(&["", name]));
                role.ok_or_else(|| not_found("role", name))?
            }
        };
        ids.push(role.id.clone());
    }
    let ids: Vec<RoleId> = with_implied(snapshot, ids)
        .iter()
        .map(|role| role.id.clone())
        .collect();
    let held = |id: &RoleId| caller.roles.iter().any(|role| role.id == *id);
    if ids.is_empty() || !ids.iter().all(held) {
        return Err(unassigned());
    }
    Ok(ids)
}

/// Reads when a credential ends; a time without a zone is meant in UTC.
fn end_of(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    const MALFORMED: &str = "The server could not comply with the request since it is \
                             either malformed or otherwise incorrect. The client is assumed to \
                             be in error.";
    let parsed = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339));
    let micros = parsed
        .ok()
        .and_then(|time| i64::try_from(time.unix_timestamp_nanos().div_euclid(1000)).ok());
    let end = micros.map(Timestamp::from_unix_micros).ok_or_else(|| {
        ApiError::bad_request(format!("Timestamp not in expected format. {MALFORMED}"))
    })?;
    if end <= now {
        let message = format!("The 'expires_at' must not be before now. {MALFORMED}");
        return Err(ApiError::bad_request(message));
    }
    Ok(end)
}

/// The ids of the rules that narrow the credential: named ones of the user, equal ones that are
/// there, or new ones. An empty list is none at all, as in Keystone.
fn rules_of(
    tx: &mut Tx<'_>,
    user: &User,
    wanted: &NewAppCred,
    new_ids: &[String],
) -> Result<Option<Vec<String>>, Refusal> {
    let Some(rules) = wanted
        .access_rules
        .as_ref()
        .filter(|rules| !rules.is_empty())
    else {
        return Ok(None);
    };
    let mut ids = Vec::new();
    for (rule, new_id) in rules.iter().zip(new_ids) {
        let own = tx.find(&AccessRule::BY_USER, &key(&[user.id.as_str()]));
        let equal = own.iter().find(|own| means(own.value(), rule));
        let id = match (equal, &rule.id) {
            (Some(equal), _) => equal.id.clone(),
            (None, Some(id)) if rule.path.is_none() => {
                return Err(not_found("Access Rule", id).into());
            }
            (None, _) => {
                tx.insert(AccessRule {
                    id: new_id.clone(),
                    user_id: user.id.clone(),
                    domain_id: user.domain_id.clone(),
                    service: rule.service.clone().unwrap_or_default(),
                    path: rule.path.clone().unwrap_or_default(),
                    method: rule.method.clone().unwrap_or_default(),
                })?;
                new_id.clone()
            }
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(Some(ids))
}

/// Whether the rule that is there is the wished one: by id, or by all that it says.
fn means(own: &AccessRule, wished: &AccessRuleRequest) -> bool {
    if wished.path.is_none() {
        return wished.id.as_deref() == Some(&own.id);
    }
    wished.service.as_deref() == Some(&own.service)
        && wished.path.as_deref() == Some(&own.path)
        && wished.method.as_deref() == Some(&own.method)
}

/// The credential of the path, with which the caller may do what is asked. Whether the caller may
/// is judged by whose the credential is, not by what the path says.
fn allowed(services: &Services, request: &Request) -> Result<Arc<Stored<AppCred>>, ApiError> {
    let id = request.param("application_credential_id");
    let cred = services.store.snapshot().get::<AppCred>(id);
    let owner = cred
        .as_ref()
        .map_or(request.param("user_id"), |cred| cred.user_id.as_str());
    let target = Attributes::new()
        .with("user_id", owner)
        .with("target.user_id", owner);
    request.authorize(&target)?;
    cred.filter(|cred| cred.user_id.as_str() == request.param("user_id"))
        .ok_or_else(|| not_found("Application Credential", id))
}

/// Shows an application credential.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let cred = allowed(services, request)?;
    let shown = view(&root(request), &services.store.snapshot(), cred.value());
    Reply::json(&json!({"application_credential": shown}))
}

/// Deletes an application credential; tokens obtained with it notice by themselves.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let cred = allowed(services, request)?;
    check_primary(request.caller()?)?;
    transact(services, |tx| {
        if tx.get::<AppCred>(&cred.id).is_none() {
            return Err(not_found("Application Credential", cred.id.as_str()).into());
        }
        tx.delete::<AppCred>(&cred.id)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_time_after_now() {
        let now = Timestamp::from_unix_secs(1_000_000_000);
        let end = |text: &str| end_of(text, now).map(Timestamp::unix_secs);
        assert_eq!(end("2030-01-01T00:00:00Z").unwrap(), 1_893_456_000);
        assert_eq!(end("2030-01-01T00:00:00.0").unwrap(), 1_893_456_000);
        assert_eq!(end("2030-01-01T01:00:00+01:00").unwrap(), 1_893_456_000);
        for bad in [
            "tomorrow",
            "2030-13-01T00:00:00Z",
            "",
            "2001-01-01T00:00:00Z",
        ] {
            assert!(end(bad).is_err(), "{bad}");
        }
    }
}
