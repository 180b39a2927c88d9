//! A project's limits and what it uses of them, in the words of the oldest part of Nova's API.

use luc_api::policy::Attributes;
use luc_api::{ApiError, Microversion};
use luc_core::id::ProjectId;
use serde_json::{Map, Value, json};

use super::model::quota::Resource;
use super::page::check_parameters;
use super::quota::{Allowance, Held};
use super::quotas::Usage;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// The limits by their names here; network proxies left with 2.36, image metadata with 2.39,
/// injected files with 2.57.
const LIMITS: [(&str, Resource, Microversion); 13] = [
    ("maxTotalInstances", Resource::Instances, NEVER),
    ("maxTotalCores", Resource::Cores, NEVER),
    ("maxTotalRAMSize", Resource::Ram, NEVER),
    ("maxServerMeta", Resource::MetadataItems, NEVER),
    (
        "maxImageMeta",
        Resource::MetadataItems,
        Microversion::new(2, 39),
    ),
    (
        "maxPersonality",
        Resource::InjectedFiles,
        Microversion::new(2, 57),
    ),
    (
        "maxPersonalitySize",
        Resource::InjectedFileContentBytes,
        Microversion::new(2, 57),
    ),
    ("maxTotalKeypairs", Resource::KeyPairs, NEVER),
    ("maxServerGroups", Resource::ServerGroups, NEVER),
    ("maxServerGroupMembers", Resource::ServerGroupMembers, NEVER),
    (
        "maxTotalFloatingIps",
        Resource::FloatingIps,
        Microversion::new(2, 36),
    ),
    (
        "maxSecurityGroups",
        Resource::SecurityGroups,
        Microversion::new(2, 36),
    ),
    (
        "maxSecurityGroupRules",
        Resource::SecurityGroupRules,
        Microversion::new(2, 36),
    ),
];

/// What is used, by its names here, with the microversion with which it left.
const USED: [(&str, Resource, Microversion); 6] = [
    ("totalRAMUsed", Resource::Ram, NEVER),
    ("totalCoresUsed", Resource::Cores, NEVER),
    ("totalInstancesUsed", Resource::Instances, NEVER),
    (
        "totalFloatingIpsUsed",
        Resource::FloatingIps,
        Microversion::new(2, 36),
    ),
    (
        "totalSecurityGroupsUsed",
        Resource::SecurityGroups,
        Microversion::new(2, 36),
    ),
    ("totalServerGroupsUsed", Resource::ServerGroups, NEVER),
];

const NEVER: Microversion = Microversion::new(u16::MAX, 0);

/// Shows the limits of the caller's project, or of another one to those who may know.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    check_parameters(request, &["tenant_id"])?;
    let other = request.query.last("tenant_id");
    if other.is_some() {
        request.authorize_as("os_compute_api:limits:other_project", &request.own_target())?;
    }
    let own = request.caller()?.project_id().map(ProjectId::as_str);
    let project = other.or(own).unwrap_or_default();
    let snapshot = services.store.snapshot();
    let held = Held::of(&snapshot, project);
    let usage = ProjectId::parse(project).map_or_else(
        |_| Usage::default(),
        |id| Usage::of(services, &snapshot, &id, None),
    );
    Reply::json(&view(request.version, &held.allowance(None), &usage))
}

fn view(version: Microversion, allowance: &Allowance<'_>, usage: &Usage) -> Value {
    let limits = LIMITS
        .into_iter()
        .filter(|(_, _, gone)| version < *gone)
        .map(|(name, resource, _)| (name.to_owned(), json!(allowance.limit(resource))));
    let used = USED
        .into_iter()
        .filter(|(_, _, gone)| version < *gone)
        .map(|(name, resource, _)| (name.to_owned(), json!(usage.count(resource))));
    let absolute: Map<String, Value> = limits.chain(used).collect();
    json!({"limits": {"rate": [], "absolute": absolute}})
}
