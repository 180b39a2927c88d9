//! Quotas as JSON, by microversion.
//!
//! Sets of projects lose the network's resources with 2.36, classes with 2.50; both lose injected
//! files with 2.57; classes show server groups from 2.50 on.

use serde_json::{Map, Value, json};

use super::Usage;
use crate::compute::model::quota::Resource;
use crate::compute::quota::Allowance;
use crate::request::Request;

/// Whether the network proxy's days, or those of injected files, brought `resource`.
fn is_network(resource: Resource) -> bool {
    matches!(
        resource,
        Resource::FixedIps
            | Resource::FloatingIps
            | Resource::SecurityGroupRules
            | Resource::SecurityGroups
    )
}

fn is_injected(resource: Resource) -> bool {
    matches!(
        resource,
        Resource::InjectedFileContentBytes
            | Resource::InjectedFilePathBytes
            | Resource::InjectedFiles
    )
}

fn set_shows(request: &Request, resource: Resource) -> bool {
    let version = request.version;
    let gone = is_network(resource) && version.at_least(2, 36)
        || is_injected(resource) && version.at_least(2, 57);
    !gone
}

fn class_shows(request: &Request, resource: Resource) -> bool {
    let version = request.version;
    let gone = is_network(resource) && version.at_least(2, 50)
        || is_injected(resource) && version.at_least(2, 57);
    let grouped = matches!(
        resource,
        Resource::ServerGroups | Resource::ServerGroupMembers
    );
    !gone && (!grouped || version.at_least(2, 50))
}

/// Resources with what `value` says of each, under an id if there is one.
fn members(
    id: Option<&str>,
    shows: impl Fn(Resource) -> bool,
    value: impl Fn(Resource) -> Value,
) -> Map<String, Value> {
    let id = id.map(|id| ("id".to_owned(), json!(id)));
    let resources = Resource::ALL
        .into_iter()
        .filter(|resource| shows(*resource));
    id.into_iter()
        .chain(resources.map(|resource| (resource.name().to_owned(), value(resource))))
        .collect()
}

/// The limits of a project.
pub(super) fn set(request: &Request, id: Option<&str>, allowance: &Allowance<'_>) -> Value {
    let shows = |resource| set_shows(request, resource);
    json!({"quota_set": members(id, shows, |resource| json!(allowance.limit(resource)))})
}

/// The limits of a project and what is used. Nothing is ever reserved here.
pub(super) fn detail(
    request: &Request,
    id: &str,
    allowance: &Allowance<'_>,
    usage: &Usage,
) -> Value {
    let shows = |resource| set_shows(request, resource);
    let value = |resource| {
        json!({
            "limit": allowance.limit(resource),
            "in_use": usage.count(resource),
            "reserved": 0,
        })
    };
    json!({"quota_set": members(Some(id), shows, value)})
}

/// The limits of a class.
pub(super) fn class(request: &Request, id: Option<&str>, allowance: &Allowance<'_>) -> Value {
    let shows = |resource| class_shows(request, resource);
    json!({"quota_class_set": members(id, shows, |resource| json!(allowance.limit(resource)))})
}
