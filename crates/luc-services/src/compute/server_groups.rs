//! Server groups: servers that the scheduler keeps together or apart.

mod view;

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::compute::server_group::{CreateServerGroup, NewServerGroup, PolicyName};
use luc_api::policy::Attributes;
use luc_core::id::ServerGroupId;
use luc_state::{Snapshot, Stored, Tx, key};
use serde_json::json;

use super::model::quota::Resource;
use super::model::server_group::{GroupPolicy, ServerGroup};
use super::page::{LIMIT_MAX, check_parameters};
use super::quota::{Held, Lent, check_group, exchange};
use super::write::{WriteError, transact};
use crate::Services;
use crate::identity::residency;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

fn not_found(id: &str) -> ApiError {
    ApiError::not_found(format!("Instance group {id} could not be found."))
}

/// The group that the path names, if the caller may know of it: one of the caller's project, or
/// any for an administrator.
fn find(snapshot: &Snapshot, request: &Request) -> Result<Arc<Stored<ServerGroup>>, ApiError> {
    let id = request.param("server_group_id");
    let own = request.caller()?.project_id();
    let admin = request.may("context_is_admin", &Attributes::new());
    let group = snapshot
        .get::<ServerGroup>(id)
        .filter(|group| admin || own == Some(&group.project));
    // A rule is checked for every answer, for this one against the caller's own project.
    let Some(group) = group else {
        request.authorize(&request.own_target())?;
        return Err(not_found(id));
    };
    request.authorize(&Attributes::new().with("project_id", group.project.as_str()))?;
    Ok(group)
}

/// Lists the groups of the caller's project, or with `all_projects` an administrator's of all.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&request.own_target())?;
    check_parameters(request, &["all_projects", "limit", "offset"])?;
    let all_projects = "os_compute_api:os-server-groups:index:all_projects";
    let all =
        request.query.has("all_projects") && request.may("context_is_admin", &Attributes::new());
    let snapshot = services.store.snapshot();
    let mut groups: Vec<_> = if all {
        request.authorize_as(all_projects, &request.own_target())?;
        snapshot.all::<ServerGroup>().collect()
    } else {
        let project = request.caller()?.project_id().map_or("", |id| id.as_str());
        snapshot
            .find(&ServerGroup::BY_PROJECT, &key(&[project]))
            .collect()
    };
    groups.sort_by(|left, right| {
        left.created_at
            .cmp(&right.created_at)
            .then_with(|| left.id.cmp(&right.id))
    });
    let offset = request
        .query
        .number("offset")?
        .map_or(0, |offset| offset as usize);
    // A limit of zero is none, here only.
    let limit = request.query.number("limit")?.filter(|limit| *limit > 0);
    let limit = limit
        .map_or(LIMIT_MAX, |limit| limit as usize)
        .min(LIMIT_MAX);
    let shown = groups
        .iter()
        .skip(offset)
        .take(limit)
        .map(|group| view::whole(request, group));
    Reply::json(&json!({"server_groups": shown.collect::<Vec<_>>()}))
}

/// Shows a group.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let group = find(&services.store.snapshot(), request)?;
    Reply::json(&json!({"server_group": view::whole(request, &group)}))
}

/// Makes a group.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&request.own_target())?;
    let wish = request.body::<CreateServerGroup>()?.server_group;
    residency::check(services, request.project_id()?.as_str())?;
    let group = made(services, request, &wish)?;
    exchange::transact(services, |tx, lent| store(tx, lent, &group)).await?;
    Reply::json(&json!({"server_group": view::whole(request, &group)}))
}

fn made(
    services: &Services,
    request: &Request,
    wish: &NewServerGroup,
) -> Result<ServerGroup, ApiError> {
    let policy = match wish.chosen_policy() {
        Some(PolicyName::Affinity) => GroupPolicy::Affinity,
        Some(PolicyName::AntiAffinity) => GroupPolicy::AntiAffinity,
        Some(PolicyName::SoftAffinity) => GroupPolicy::SoftAffinity,
        Some(PolicyName::SoftAntiAffinity) => GroupPolicy::SoftAntiAffinity,
        None => {
            return Err(ApiError::invalid(
                "server_group",
                "'policy' is a required property",
            ));
        }
    };
    let max_per_host = wish.rules.and_then(|rules| rules.max_server_per_host);
    if max_per_host.is_some() && policy != GroupPolicy::AntiAffinity {
        return Err(ApiError::bad_request(
            "Only anti-affinity policy supports rules.",
        ));
    }
    Ok(ServerGroup {
        id: ServerGroupId::born_at(services.site, &mut Drawn(&*services.random)),
        name: wish.name.clone(),
        project: request.project_id()?.clone(),
        user: request.caller()?.user_id.clone(),
        policy,
        max_per_host: max_per_host.and_then(|most| u32::try_from(most.0).ok()),
        members: Vec::new(),
        created_at: request.now,
    })
}

/// Adds `group`, unless its project, or its user there, has as many as allowed. Those of other
/// sites count as what these were lent, not as what their feeds show here.
fn store(tx: &mut Tx<'_>, lent: &Lent, group: &ServerGroup) -> Result<(), WriteError> {
    let held = Held::within(tx, group.project.as_str());
    let groups = tx.find(&ServerGroup::BY_PROJECT, &key(&[group.project.as_str()]));
    let own = groups.iter().filter(|other| other.home() == lent.site());
    let of_user = { own.clone() }
        .filter(|other| other.user == group.user)
        .count() as u64;
    let of_project = own.count() as u64;
    let admitted = held
        .allowance(None)
        .admits(Resource::ServerGroups, of_project + 1)
        && held
            .allowance(Some(&group.user))
            .admits(Resource::ServerGroups, of_user + 1);
    if !admitted {
        let message = "Quota exceeded, too many server groups.".to_owned();
        return Err(ApiError::QuotaExceeded { message }.into());
    }
    check_group(tx, lent, &group.project, &group.user)?;
    tx.insert(group.clone())?;
    Ok(())
}

/// Deletes a group; its members stay where they are.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let id = find(&services.store.snapshot(), request)?.id.clone();
    transact(&services.store, |tx| {
        if tx.get::<ServerGroup>(&id).is_none() {
            return Err(not_found(id.as_str()).into());
        }
        tx.delete::<ServerGroup>(&id)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}
