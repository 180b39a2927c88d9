//! Version discovery documents, derived from the facts of each service.
//!
//! Clients follow the `self` links, so they are built from the address under which the node was
//! asked. Discovery needs no token and never redirects. Shapes: answers of the real services.

use serde_json::{Value, json};

use crate::service::Service;

/// The status of the document at the unversioned root: Keystone and Glance answer 300.
pub fn root_status(service: Service) -> u16 {
    match service {
        Service::Identity | Service::Image => 300,
        Service::Compute => 200,
    }
}

/// The document at the unversioned root of `service`, reached at `base` (`http://host:port`).
pub fn root(service: Service, base: &str) -> Value {
    match service {
        Service::Identity => json!({"versions": {"values": [identity_version(base)]}}),
        Service::Image => json!({"versions": image_versions(base)}),
        Service::Compute => json!({"versions": [compute_version(base, false)]}),
    }
}

/// The document at the versioned root of `service`.
pub fn version(service: Service, base: &str) -> Value {
    match service {
        Service::Identity => json!({"version": identity_version(base)}),
        Service::Image => json!({"versions": image_versions(base)}),
        Service::Compute => json!({"version": compute_version(base, true)}),
    }
}

/// The address of the versioned root, with the slash that clients expect.
fn self_href(service: Service, base: &str) -> String {
    let facts = service.facts();
    format!("{base}{}{}/", facts.prefix, facts.version_segment)
}

fn identity_version(base: &str) -> Value {
    let max = Service::Identity.facts().microversions.max;
    json!({
        "id": format!("v{max}"),
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": self_href(Service::Identity, base)}],
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.identity-v3+json",
        }],
    })
}

fn image_versions(base: &str) -> Vec<Value> {
    let max = Service::Image.facts().microversions.max;
    let links = json!([{"rel": "self", "href": self_href(Service::Image, base)}]);
    (0..=max.minor)
        .rev()
        .filter(|&minor| minor != 8) // Glance never published 2.8.
        .map(|minor| {
            let status = if minor == max.minor {
                "CURRENT"
            } else {
                "SUPPORTED"
            };
            json!({"id": format!("v{}.{minor}", max.major), "status": status, "links": links})
        })
        .collect()
}

fn compute_version(base: &str, whole: bool) -> Value {
    let range = Service::Compute.facts().microversions;
    let mut links = vec![json!({"rel": "self", "href": self_href(Service::Compute, base)})];
    if whole {
        links.push(json!({
            "rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/",
        }));
    }
    let mut document = json!({
        "id": "v2.1",
        "status": "CURRENT",
        "version": range.max.to_string(),
        "min_version": range.min.to_string(),
        "updated": "2013-07-23T11:33:21Z",
        "links": links,
    });
    if whole {
        document["media-types"] = json!([{
            "base": "application/json",
            "type": "application/vnd.openstack.compute+json;version=2.1",
        }]);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://10.0.0.1:9000";

    #[test]
    fn links_name_the_node_that_was_asked() {
        for service in Service::ALL {
            for document in [root(service, BASE), version(service, BASE)] {
                let text = document.to_string();
                let link = format!("{BASE}{}", service.facts().prefix);
                assert!(text.contains(&link), "{text}");
            }
        }
    }

    #[test]
    fn compute_advertises_the_range_that_is_served() {
        let document = version(Service::Compute, BASE);
        assert_eq!(document["version"]["min_version"], "2.1");
        let max = Service::Compute.facts().microversions.max.to_string();
        assert_eq!(document["version"]["version"], max);
    }

    #[test]
    fn the_newest_image_version_is_the_current_one() {
        let document = root(Service::Image, BASE);
        let current: Vec<_> = document["versions"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|version| version["status"] == "CURRENT")
            .collect();
        assert_eq!(current.len(), 1);
        assert_eq!(current[0]["id"], "v2.9");
    }
}
