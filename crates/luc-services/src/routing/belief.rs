//! What is believed of a site that is not trusted where answers are put together
//! ([`super::gather`]).
//!
//! Nothing of such a part passed through the feeds' checks, so it may say anything. It speaks for
//! what was born at that site alone, and of projects for those alone whose domain lives there;
//! anything else is left out. State contract, "Trust between sites".

use luc_core::id::ProjectId;
use luc_core::{SitePrefix, Uuid};
use serde_json::{Value, json};

use super::numbers;
use crate::ports::sites::SiteView;

/// The member of an answer whose numbers count what a site has itself.
const STATISTICS: &str = "hypervisor_statistics";

/// Leaves of `part`, which the site of `view` answered and whose numbers are lifted, what may be
/// believed of a site that is not trusted. `lives` tells whether a project's domain does there.
pub(super) fn narrow(part: &mut Value, view: &SiteView, lives: impl Fn(&ProjectId) -> bool) {
    let Some(members) = part.as_object_mut() else {
        *part = json!({});
        return;
    };
    members.retain(|name, member| match member {
        Value::Array(items) => {
            items.retain_mut(|item| is_its_own(item, view, &lives));
            true
        }
        Value::Object(counts) if name == STATISTICS => {
            counts.retain(|_, count| count.is_u64());
            true
        }
        _ => false,
    });
}

fn is_its_own(item: &mut Value, view: &SiteView, lives: &impl Fn(&ProjectId) -> bool) -> bool {
    let named = match &item["id"] {
        Value::String(id) => is_born_at(id, view.site),
        Value::Number(id) => id
            .as_u64()
            .is_some_and(|id| numbers::own(view.site, id) != id),
        Value::Null => item["zoneName"].as_str() == Some(view.name.as_str()),
        _ => false,
    };
    let agrees = match &item["uuid"] {
        Value::Null => true,
        Value::String(id) => is_born_at(id, view.site),
        _ => false,
    };
    let project = match &item["tenant_id"] {
        Value::Null => true,
        Value::String(id) => ProjectId::parse(id).is_ok_and(|id| lives(&id)),
        _ => false,
    };
    if let Some(servers) = item.get_mut("servers").and_then(Value::as_array_mut) {
        servers.retain(|server| {
            let id = server["uuid"].as_str();
            id.is_some_and(|id| is_born_at(id, view.site))
        });
    }
    named && agrees && project
}

fn is_born_at(id: &str, site: SitePrefix) -> bool {
    Uuid::parse(id).is_ok_and(|id| id.birth_site() == Some(site))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use luc_core::entropy::SplitMix64;
    use luc_core::id::ServerId;

    use super::*;

    #[test]
    fn an_edge_sites_part_speaks_for_what_was_born_there_and_for_projects_that_live_there() {
        let (edge, other) = (SitePrefix::of_key(b"edge"), SitePrefix::of_key(b"other"));
        let view = SiteView {
            site: edge,
            name: "edge".to_owned(),
            age: Duration::ZERO,
            reachable: true,
            trusted: false,
            room: None,
        };
        let mut random = SplitMix64::new(1);
        let mut born = |site| ServerId::born_at(site, &mut random).to_string();
        let (own, foreign) = (born(edge), born(other));
        let mut numbered = json!({"aggregates": [{"id": 7}]});
        numbers::lift(&mut numbered, edge);
        let lifted = numbered["aggregates"][0]["id"].clone();
        let mut stolen = json!({"aggregates": [{"id": 7}]});
        numbers::lift(&mut stolen, other);
        let stolen = stolen["aggregates"][0]["id"].clone();
        let mut part = json!({
            "servers": [
                {"id": own, "tenant_id": "here"}, {"id": own, "tenant_id": "there"},
                {"id": foreign, "tenant_id": "here"}, {"id": "x"}, {"name": "none"}, 7,
                {"id": own, "uuid": foreign}, {"id": own, "tenant_id": 5}, {"id": own},
            ],
            "aggregates": [{"id": lifted}, {"id": stolen}, {"id": 7}],
            "hypervisors": [{"id": own, "servers": [{"uuid": own}, {"uuid": foreign}, {}]}],
            "availabilityZoneInfo": [{"zoneName": "edge"}, {"zoneName": "other"}],
            "hypervisor_statistics": {"count": 2, "vcpus": -40, "name": "x"},
            "servers_links": [{"rel": "next", "href": "http://elsewhere"}],
            "version": {"id": "x"}, "limit": 3,
        });
        narrow(&mut part, &view, |project| project.as_str() == "here");
        let expected = json!({
            "servers": [{"id": own, "tenant_id": "here"}, {"id": own}],
            "aggregates": [{"id": lifted}],
            "hypervisors": [{"id": own, "servers": [{"uuid": own}]}],
            "availabilityZoneInfo": [{"zoneName": "edge"}],
            "hypervisor_statistics": {"count": 2},
            "servers_links": [],
        });
        assert_eq!(part, expected);
        let mut none = json!(["anything"]);
        narrow(&mut none, &view, |_| true);
        assert_eq!(none, json!({}));
    }
}
