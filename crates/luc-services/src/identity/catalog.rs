//! The service catalog as clients get it, and what may stand in an endpoint's URL.
//!
//! URLs hold substitutions in Keystone's form. Beside its `$(project_id)s`, `$(tenant_id)s` and
//! `$(user_id)s` there is ours, `$(base_url)s`: the address under which the caller reached this
//! node, so that one catalog serves every node of the cloud.

use luc_api::identity::requests::BASE_URL;
use luc_core::id::RegionId;
use luc_state::{Snapshot, key};
use serde_json::{Value, json};

use super::model::{CatalogEndpoint, CatalogService};
use crate::caller::Caller;

/// The substitutions that a URL may hold; those without a value here are left as they are.
const KNOWN: [&str; 11] = [
    "base_url",
    "project_id",
    "tenant_id",
    "user_id",
    "public_bind_host",
    "admin_bind_host",
    "compute_host",
    "admin_port",
    "public_port",
    "public_endpoint",
    "admin_endpoint",
];

/// The catalog for `caller`, who reached this node at `base_url`: enabled services with their
/// enabled endpoints. Endpoints that need a project are left out where there is none.
pub(super) fn of_caller(snapshot: &Snapshot, caller: &Caller, base_url: &str) -> Vec<Value> {
    let project = caller.project_id().map(luc_core::id::ProjectId::as_str);
    let services = snapshot
        .all::<CatalogService>()
        .filter(|service| service.enabled);
    services
        .map(|service| {
            let endpoints =
                snapshot.find(&CatalogEndpoint::BY_SERVICE, &key(&[service.id.as_str()]));
            let endpoints: Vec<Value> = endpoints
                .filter(|endpoint| endpoint.enabled)
                .filter_map(|endpoint| {
                    let user = caller.user_id.as_str();
                    let url = filled(&endpoint.url, base_url, user, project)?;
                    let region = endpoint.region_id.as_ref().map(RegionId::as_str);
                    Some(json!({
                        "id": endpoint.id,
                        "interface": endpoint.interface,
                        "region_id": region,
                        "region": region,
                        "url": url,
                    }))
                })
                .collect();
            json!({
                "id": service.id,
                "type": service.kind,
                "name": service.name,
                "endpoints": endpoints,
            })
        })
        .collect()
}

/// The URL with its substitutions made; `None` if it needs a project and there is none.
fn filled(url: &str, base_url: &str, user: &str, project: Option<&str>) -> Option<String> {
    let needs_project = url.contains("$(project_id)s") || url.contains("$(tenant_id)s");
    if needs_project && project.is_none() {
        return None;
    }
    let project = project.unwrap_or_default();
    Some(
        url.replace(BASE_URL, base_url)
            .replace("$(project_id)s", project)
            .replace("$(tenant_id)s", project)
            .replace("$(user_id)s", user),
    )
}

/// Whether every substitution in `url` is a known one.
pub(super) fn is_valid(url: &str) -> bool {
    url.split("$(").skip(1).all(|rest| {
        rest.split_once(")s")
            .is_some_and(|(name, _)| KNOWN.contains(&name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substitutions_are_made() {
        let url = filled(
            "$(base_url)s/x/$(tenant_id)s/$(user_id)s",
            "http://n:1",
            "u",
            Some("p"),
        );
        assert_eq!(url.as_deref(), Some("http://n:1/x/p/u"));
        assert_eq!(filled("http://x/$(project_id)s", "b", "u", None), None);
        assert_eq!(
            filled("http://x", "b", "u", None).as_deref(),
            Some("http://x")
        );
    }

    #[test]
    fn unknown_and_broken_substitutions_are_seen() {
        assert!(is_valid("http://x/$(project_id)s") && is_valid("$(base_url)s/y"));
        assert!(!is_valid("http://x/$(nope)s"));
        assert!(!is_valid("http://x/$(tenant_id)"));
        assert!(!is_valid("http://x/$(tenant_id"));
    }
}
