//! Server groups as JSON, by microversion.
//!
//! 2.13 adds project and user; from 2.64 there is one policy with rules, before a list of one
//! policy and a member `metadata` that was always empty.

use serde_json::{Value, json};

use crate::compute::model::server_group::ServerGroup;
use crate::request::Request;

/// All of it.
pub(super) fn whole(request: &Request, group: &ServerGroup) -> Value {
    let mut shown = json!({"id": group.id, "name": group.name, "members": group.members});
    if request.version.at_least(2, 64) {
        shown["policy"] = json!(group.policy.as_str());
        shown["rules"] = match group.max_per_host {
            Some(most) => json!({"max_server_per_host": most}),
            None => json!({}),
        };
    } else {
        shown["policies"] = json!([group.policy.as_str()]);
        shown["metadata"] = json!({});
    }
    if request.version.at_least(2, 13) {
        shown["project_id"] = json!(group.project);
        shown["user_id"] = json!(group.user);
    }
    shown
}
