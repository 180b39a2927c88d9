//! Groups and who is in them: `/v3/groups`.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::identity::requests::{CreateGroup, UpdateGroup};
use luc_api::policy::Attributes;
use luc_core::id::{DomainId, GroupId};
use luc_state::{Stored, TxError, key};
use serde_json::json;

use super::listing::{Field, Listing, root};
use super::model::{Domain, Group, Membership, User};
use super::places::new_extra;
use super::refusal::{Refusal, check_id_kept, not_found, taken, transact};
use super::{removal, users, views};
use crate::Services;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

/// Lists groups; with a token for a domain, those of that domain.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &["domain_id", "name"])?;
    let own = request.caller()?.domain_id();
    let target = own.map_or(Attributes::new(), |id| {
        Attributes::new().with("target.group.domain_id", id.as_str())
    });
    request.authorize(&target)?;
    let snapshot = services.store.snapshot();
    let items = snapshot
        .all::<Group>()
        .filter(|group| own.is_none_or(|own| *own == group.domain_id))
        .filter(|group| listing.keeps(|name| field(group.value(), name)))
        .collect();
    let root = root(request);
    listing.reply(request, "groups", items, |group| views::group(&root, group))
}

pub(super) fn field<'g>(group: &'g Group, name: &str) -> Field<'g> {
    match name {
        "domain_id" => Field::Text(group.domain_id.as_str()),
        "name" => Field::Text(&group.name),
        _ => Field::Null,
    }
}

/// Makes a group.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let CreateGroup { group: wanted } = request.body()?;
    let asked = wanted.domain_id.as_deref();
    request.authorize(&Attributes::new().with("target.group.domain_id", asked))?;
    let domain_id = users::domain_of_new(request, asked)?;
    let id = GroupId::born_at(services.site, &mut Drawn(&*services.random));
    let extra = new_extra(wanted.extra);
    let description = wanted.description.unwrap_or_else(|| Some(String::new()));
    let name = wanted.name.trim().to_owned();
    let made = transact(services, |tx| {
        let domain = tx
            .get::<Domain>(&domain_id)
            .ok_or_else(|| not_found("domain", &domain_id))?;
        let group = Group {
            id: id.clone(),
            domain_id: domain.id.clone(),
            name: name.clone(),
            description: description.clone(),
            extra: extra.clone(),
        };
        tx.insert(group.clone())
            .map_err(|error| name_taken(error, &group.name, Some(&group.domain_id)))
    })
    .await?;
    Reply::json(&json!({"group": views::group(&root(request), made.value())}))
}

/// The domain is named on creation only, as Keystone does.
fn name_taken(error: TxError, name: &str, domain: Option<&DomainId>) -> Refusal {
    let at = domain.map_or_else(String::new, |id| format!(" at domain ID {id}"));
    let details = format!("Duplicate entry found with name {name}{at}.");
    taken(error, "group", &details)
}

fn target<'a>(group: Option<&'a Group>, id: &'a str) -> Attributes<'a> {
    let target = Attributes::new().with("group_id", id);
    match group {
        None => target,
        Some(group) => target
            .with("target.group.id", group.id.as_str())
            .with("target.group.domain_id", group.domain_id.as_str()),
    }
}

/// The group of the path, with which the caller may do what is asked.
fn allowed(services: &Services, request: &Request) -> Result<Arc<Stored<Group>>, ApiError> {
    let id = request.param("group_id");
    let group = services.store.snapshot().get::<Group>(id);
    request.authorize(&target(group.as_deref().map(Stored::value), id))?;
    group.ok_or_else(|| not_found("group", id))
}

/// Shows a group.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let group = allowed(services, request)?;
    Reply::json(&json!({"group": views::group(&root(request), group.value())}))
}

/// Changes a group.
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let UpdateGroup { group: wanted } = request.body()?;
    allowed(services, request)?;
    let id = request.param("group_id");
    check_id_kept(wanted.id.as_ref(), id)?;
    let changed = transact(services, |tx| {
        let group = tx.get::<Group>(id).ok_or_else(|| not_found("group", id))?;
        if wanted
            .domain_id
            .as_deref()
            .is_some_and(|wanted| wanted != group.domain_id.as_str())
        {
            return Err(ApiError::bad_request("Cannot change Domain ID").into());
        }
        let mut changed = group.value().clone();
        if let Some(name) = &wanted.name {
            name.trim().clone_into(&mut changed.name);
        }
        if let Some(description) = &wanted.description {
            changed.description.clone_from(description);
        }
        changed.extra.extend(wanted.extra.clone());
        let named = changed.name.clone();
        tx.update(changed)
            .map_err(|error| name_taken(error, &named, None))
    })
    .await?;
    Reply::json(&json!({"group": views::group(&root(request), changed.value())}))
}

/// Deletes a group.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let group = allowed(services, request)?;
    transact(services, |tx| {
        if tx.get::<Group>(&group.id).is_none() {
            return Err(not_found("group", group.id.as_str()).into());
        }
        removal::group(tx, &group.id)
    })
    .await?;
    Ok(Reply::empty())
}

/// Lists the users of a group; with a token for a domain, those of that domain.
pub(super) fn list_users(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &users::FILTERS)?;
    let group = allowed(services, request)?;
    let own = request.caller()?.domain_id();
    let snapshot = services.store.snapshot();
    let memberships = snapshot.find(&Membership::BY_GROUP, &key(&[group.id.as_str()]));
    let items = memberships
        .filter_map(|membership| snapshot.get::<User>(&membership.user_id))
        .filter(|user| own.is_none_or(|own| *own == user.domain_id))
        .filter(|user| listing.keeps(|name| users::field(user.value(), name)))
        .collect();
    let root = root(request);
    listing.reply(request, "users", items, |user| views::user(&root, user))
}

/// A group and a user.
type Pair = (Arc<Stored<Group>>, Arc<Stored<User>>);

/// Group and user of the path, with which the caller may do what is asked.
fn allowed_both(services: &Services, request: &Request) -> Result<Pair, ApiError> {
    let (group_id, user_id) = (request.param("group_id"), request.param("user_id"));
    let snapshot = services.store.snapshot();
    let (group, user) = (
        snapshot.get::<Group>(group_id),
        snapshot.get::<User>(user_id),
    );
    let mut target = target(group.as_deref().map(Stored::value), group_id);
    target = target.with("user_id", user_id);
    if let Some(user) = &user {
        target = target
            .with("target.user.id", user.id.as_str())
            .with("target.user.domain_id", user.domain_id.as_str());
    }
    request.authorize(&target)?;
    let group = group.ok_or_else(|| not_found("group", group_id))?;
    let user = user.ok_or_else(|| not_found("user", user_id))?;
    Ok((group, user))
}

fn not_in_group(user: &User, group: &Group) -> ApiError {
    ApiError::not_found(format!(
        "User '{}' not found in group '{}'",
        user.id, group.id
    ))
}

/// Whether a user is in a group.
pub(super) fn check_user(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let (group, user) = allowed_both(services, request)?;
    let id = Membership::id_of(group.id.as_str(), user.id.as_str());
    let membership = services.store.snapshot().get::<Membership>(&id);
    membership
        .map(|_| Reply::empty())
        .ok_or_else(|| not_in_group(&user, &group))
}

/// Puts a user into a group; again is no harm.
pub(super) async fn add_user(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let (group, user) = allowed_both(services, request)?;
    transact(services, |tx| {
        let group = tx
            .get::<Group>(&group.id)
            .ok_or_else(|| not_found("group", group.id.as_str()));
        let user = tx
            .get::<User>(&user.id)
            .ok_or_else(|| not_found("user", user.id.as_str()));
        tx.put(Membership::new(group?.value(), &user?.id))?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// Takes a user out of a group.
pub(super) async fn remove_user(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let (group, user) = allowed_both(services, request)?;
    let id = Membership::id_of(group.id.as_str(), user.id.as_str());
    transact(services, |tx| match tx.delete::<Membership>(&id) {
        Err(TxError::Missing { .. }) => Err(not_in_group(&user, &group).into()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    })
    .await?;
    Ok(Reply::empty())
}
