//! `os-instance-actions`: what was asked of a server, and how it went. From 2.21 on also of one
//! that is gone.

use luc_api::ApiError;
use luc_api::policy::Attributes;
use luc_core::id::{ProjectId, ServerId};
use luc_state::{Snapshot, Stored};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::json;
use std::sync::Arc;

use super::access;
use super::history;
use super::view::host_id;
use crate::Services;
use crate::compute::model::instance_action::{ActionEvent, InstanceAction, Outcome};
use crate::compute::wire_time::{self, Micros};
use crate::reply::Reply;
use crate::request::Request;

/// The most actions in one answer.
const LIMIT_MAX: u64 = 1000;

/// The server whose history is asked for, after the row's own rule has been checked.
fn subject(snapshot: &Snapshot, request: &Request) -> Result<(ServerId, ProjectId), ApiError> {
    let (id, project) = match access::visible(snapshot, request) {
        Ok(server) => (server.id.clone(), server.project.clone()),
        Err(missing) => {
            let gone = access::visible_deleted(snapshot, request);
            let gone = gone
                .filter(|_| request.version.at_least(2, 21))
                .ok_or(missing)?;
            (gone.server.id.clone(), gone.server.project.clone())
        }
    };
    request.authorize(&Attributes::new().with("project_id", project.as_str()))?;
    Ok((id, project))
}

struct ActionView<'a> {
    action: &'a InstanceAction,
    updated: bool,
    events: Option<Vec<EventView<'a>>>,
}

impl Serialize for ActionView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let action = self.action;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("action", &action.action)?;
        map.serialize_entry("instance_uuid", &action.server)?;
        map.serialize_entry("request_id", &action.request_id)?;
        map.serialize_entry("user_id", &action.user)?;
        map.serialize_entry("project_id", &action.user_project)?;
        map.serialize_entry("start_time", &Micros(action.started_at))?;
        map.serialize_entry("message", &action.message)?;
        if self.updated {
            map.serialize_entry("updated_at", &Micros(action.updated_at))?;
        }
        if let Some(events) = &self.events {
            map.serialize_entry("events", events)?;
        }
        map.end()
    }
}

#[derive(Clone, Copy)]
struct EventRights {
    traceback: bool,
    host: bool,
    host_id: bool,
}

struct EventView<'a> {
    event: &'a ActionEvent,
    project: &'a str,
    rights: EventRights,
}

impl Serialize for EventView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.event;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", &event.event)?;
        map.serialize_entry("start_time", &Micros(event.started_at))?;
        map.serialize_entry("finish_time", &event.finished_at.map(Micros))?;
        map.serialize_entry("result", &event.outcome.map(Outcome::as_str))?;
        if self.rights.traceback {
            map.serialize_entry("traceback", &event.traceback)?;
        }
        if self.rights.host {
            map.serialize_entry("host", &event.host)?;
        }
        if self.rights.host_id {
            let id = event
                .host
                .as_deref()
                .map(|host| host_id(self.project, host));
            map.serialize_entry("hostId", &id.unwrap_or_default())?;
        }
        map.end()
    }
}

/// `GET /servers/{id}/os-instance-actions`.
pub(in crate::compute) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let snapshot = services.store.snapshot();
    let (server, _) = subject(&snapshot, request)?;
    let actions = history::of_server(&snapshot, &server);
    if !request.version.at_least(2, 58) {
        let views = actions.iter().map(|action| ActionView {
            action,
            updated: false,
            events: None,
        });
        return Reply::json(&json!({"instanceActions": views.collect::<Vec<_>>()}));
    }
    let (page, next) = page(request, &server, actions)?;
    let views: Vec<_> = page
        .iter()
        .map(|action| ActionView {
            action,
            updated: true,
            events: None,
        })
        .collect();
    match next {
        None => Reply::json(&json!({"instanceActions": views})),
        Some(href) => Reply::json(&json!({
            "instanceActions": views,
            "links": [{"rel": "next", "href": href}],
        })),
    }
}

type Actions = Vec<Arc<Stored<InstanceAction>>>;

/// The part of `actions` that is asked for, and where the next part is.
fn page(
    request: &Request,
    server: &ServerId,
    mut actions: Actions,
) -> Result<(Actions, Option<String>), ApiError> {
    let query = &request.query;
    let before_too = request.version.at_least(2, 66);
    for (name, _) in query.iter() {
        let known = matches!(name, "limit" | "marker" | "changes-since")
            || (name == "changes-before" && before_too);
        if !known {
            let reason = format!("Additional properties are not allowed ('{name}' was unexpected)");
            return Err(ApiError::invalid("query", reason));
        }
    }
    let time = |name: &str| {
        query
            .get(name)
            .map(|text| wire_time::parse(name, text))
            .transpose()
    };
    let since = time("changes-since")?;
    let before = time("changes-before")?;
    if since.is_some() && before.is_some() && before < since {
        return Err(ApiError::bad_request(
            "The value of changes-since must be less than or equal to changes-before.",
        ));
    }
    let limit = query.number("limit")?.unwrap_or(LIMIT_MAX).min(LIMIT_MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if let Some(marker) = query.get("marker") {
        let at = actions
            .iter()
            .position(|action| action.request_id == marker);
        let at = at
            .ok_or_else(|| ApiError::bad_request(format!("Marker {marker} could not be found.")))?;
        actions.drain(..=at);
    }
    actions.retain(|action| {
        since.is_none_or(|since| action.updated_at >= since)
            && before.is_none_or(|before| action.updated_at <= before)
    });
    actions.truncate(limit);
    let last = actions.last().filter(|_| actions.len() == limit);
    let next = last.map(|last| {
        let root = luc_api::Service::Compute.url(&request.base_url);
        let query = query.with("marker", &last.request_id);
        format!("{root}/servers/{server}/os-instance-actions?{query}")
    });
    Ok((actions, next))
}

/// `GET /servers/{id}/os-instance-actions/{request}`.
pub(in crate::compute) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let snapshot = services.store.snapshot();
    let (server, project) = subject(&snapshot, request)?;
    let wanted = request.param("request_id");
    let actions = history::of_server(&snapshot, &server);
    let action = actions
        .iter()
        .find(|action| action.request_id == wanted)
        .ok_or_else(|| ApiError::not_found(format!("Action {wanted} not found")))?;
    let target = Attributes::new().with("project_id", project.as_str());
    let all = request.may("os_compute_api:os-instance-actions:events", &target);
    let version = request.version;
    let rights = EventRights {
        traceback: all,
        host: all && version.at_least(2, 62),
        host_id: version.at_least(2, 62),
    };
    let events = (all || version.at_least(2, 51)).then(|| {
        let views = action.events.iter().rev();
        views
            .map(|event| EventView {
                event,
                project: project.as_str(),
                rights,
            })
            .collect()
    });
    let view = ActionView {
        action,
        updated: version.at_least(2, 58),
        events,
    };
    Reply::json(&json!({"instanceAction": view}))
}
