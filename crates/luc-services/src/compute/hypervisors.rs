//! Hypervisors: the hosts of the site, what they have and what is claimed of them.

mod view;

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::paging::Page;
use luc_api::policy::Attributes;
use luc_core::Uuid;
use luc_core::time::Timestamp;
use luc_state::{Snapshot, Stored, key};
use serde_json::json;
use time::OffsetDateTime;

use super::host::{Heartbeat, Host};
use super::page::{LIMIT_MAX, check_all_parameters, next_links};
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

use view::Shown;

/// The parameters of the lists from 2.53 on.
const PARAMETERS: [&str; 4] = [
    "limit",
    "marker",
    "hypervisor_hostname_pattern",
    "with_servers",
];

fn not_found(id: &str) -> ApiError {
    ApiError::not_found(format!("Hypervisor with ID '{id}' could not be found."))
}

/// Lists hypervisors by id and name.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    listed(services, request, false)
}

/// Lists hypervisors whole.
pub(super) fn detail(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    listed(services, request, true)
}

fn listed(services: &Services, request: &Request, detail: bool) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let modern = request.version.at_least(2, 53);
    if modern {
        check_all_parameters(request, &PARAMETERS)?;
        check_single(request)?;
    }
    let pattern = request
        .query
        .get("hypervisor_hostname_pattern")
        .filter(|_| modern);
    let with_servers = modern && request.query.bool("with_servers")?.unwrap_or(false);
    let snapshot = services.store.snapshot();
    let shown = Shown {
        services,
        request,
        snapshot: &snapshot,
        detail,
        with_servers,
    };
    if let Some(pattern) = pattern {
        if request.query.has("limit") || request.query.has("marker") {
            return Err(ApiError::bad_request(
                "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is \
                 not supported.",
            ));
        }
        let hosts = matching(&snapshot, pattern)?;
        return Reply::json(&json!({"hypervisors": shown.all(&hosts)}));
    }
    if !request.version.at_least(2, 33) {
        return Reply::json(&json!({"hypervisors": shown.all(&hosts(&snapshot))}));
    }
    let page = Page::of(&request.query, LIMIT_MAX)?;
    let named: Vec<(String, Arc<Stored<Host>>)> = hosts(&snapshot)
        .into_iter()
        .map(|host| {
            (
                if modern {
                    host.hypervisor.to_string()
                } else {
                    host.number.to_string()
                },
                host,
            )
        })
        .collect();
    let (named, _) = page.cut(named, |(id, _)| id.as_str())?;
    let last = named.last().map(|(id, _)| id.clone());
    let hosts: Vec<_> = named.into_iter().map(|(_, host)| host).collect();
    let mut body = json!({"hypervisors": shown.all(&hosts)});
    if let Some(links) = next_links(request, page.limit, hosts.len(), last.as_deref()) {
        body["hypervisors_links"] = links;
    }
    Reply::json(&body)
}

/// Refuses parameters that are there twice.
fn check_single(request: &Request) -> Result<(), ApiError> {
    match PARAMETERS
        .into_iter()
        .find(|name| request.query.all(name).count() > 1)
    {
        Some(name) => Err(ApiError::invalid(name, "is there more than once")),
        None => Ok(()),
    }
}

/// All hosts, by number.
fn hosts(snapshot: &Snapshot) -> Vec<Arc<Stored<Host>>> {
    let mut hosts: Vec<_> = snapshot.all::<Host>().collect();
    hosts.sort_by_key(|host| host.number);
    hosts
}

/// The hosts whose own name contains `pattern`; a 404 if there is none.
fn matching(snapshot: &Snapshot, pattern: &str) -> Result<Vec<Arc<Stored<Host>>>, ApiError> {
    let wanted = pattern.to_lowercase();
    let mut hosts = hosts(snapshot);
    hosts.retain(|host| host.hypervisor_hostname.to_lowercase().contains(&wanted));
    if hosts.is_empty() {
        let message = format!("No hypervisor matching '{pattern}' could be found.");
        return Err(ApiError::not_found(message));
    }
    Ok(hosts)
}

/// The host that the path names: by UUID from 2.53 on, before by number.
fn find(snapshot: &Snapshot, request: &Request) -> Result<Arc<Stored<Host>>, ApiError> {
    let id = request.param("hypervisor_id");
    let found = if request.version.at_least(2, 53) {
        let refused = |_| ApiError::bad_request(format!("Invalid uuid {id}"));
        let uuid = Uuid::parse(id).map_err(refused)?;
        snapshot.one(&Host::BY_HYPERVISOR, &key(&[&uuid.hyphenated()]))
    } else {
        let number: Option<u32> = id.parse().ok();
        number.and_then(|id| snapshot.one(&Host::BY_NUMBER, &key(&[&id.to_string()])))
    };
    found.ok_or_else(|| not_found(id))
}

/// Shows a hypervisor.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let modern = request.version.at_least(2, 53);
    if modern {
        check_all_parameters(request, &["with_servers"])?;
        check_single(request)?;
    }
    let with_servers = modern && request.query.bool("with_servers")?.unwrap_or(false);
    let snapshot = services.store.snapshot();
    let host = find(&snapshot, request)?;
    let shown = Shown {
        services,
        request,
        snapshot: &snapshot,
        detail: true,
        with_servers,
    };
    Reply::json(&json!({"hypervisor": shown.one(&host)}))
}

/// Shows how long a host has been up, as the command `uptime` would.
pub(super) fn uptime(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let snapshot = services.store.snapshot();
    let host = find(&snapshot, request)?;
    if !services.compute.liveness.is_up(&host) {
        let name = &host.name;
        let message = format!("Compute service of {name} is unavailable at this time.");
        return Err(ApiError::bad_request(message));
    }
    let heard = services
        .compute
        .liveness
        .last(&host.name)
        .map(|heard| heard.heartbeat);
    let Some(text) = heard.and_then(|heartbeat| uptime_text(request.now, heartbeat)) else {
        let message = "The requested functionality is not supported.".to_owned();
        return Err(ApiError::NotImplemented { message });
    };
    let shown = Shown {
        services,
        request,
        snapshot: &snapshot,
        detail: false,
        with_servers: false,
    };
    let mut shown = shown.one(&host);
    shown["uptime"] = json!(text);
    Reply::json(&json!({"hypervisor": shown}))
}

/// A line as of the command `uptime`, without the number of users, which a host does not tell.
fn uptime_text(now: Timestamp, heartbeat: Heartbeat) -> Option<String> {
    let clock = OffsetDateTime::from_unix_timestamp(now.unix_secs())
        .ok()?
        .time();
    let up = heartbeat.uptime?;
    let minutes = up.as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    let days = match days {
        0 => String::new(),
        1 => "1 day, ".to_owned(),
        days => format!("{days} days, "),
    };
    let load = heartbeat
        .load
        .map_or_else(String::new, |[one, five, fifteen]| {
            format!(",  load average: {one:.2}, {five:.2}, {fifteen:.2}")
        });
    let (h, m, s) = clock.as_hms();
    Some(format!(
        " {h:02}:{m:02}:{s:02} up {days}{hours:2}:{minutes:02}{load}"
    ))
}

/// Finds hypervisors by a part of their name (until 2.52).
pub(super) fn search(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    found(services, request, false)
}

/// Finds hypervisors by a part of their name and lists their servers (until 2.52).
pub(super) fn servers(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    found(services, request, true)
}

fn found(services: &Services, request: &Request, with_servers: bool) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let snapshot = services.store.snapshot();
    let hosts = matching(&snapshot, request.param("pattern"))?;
    let shown = Shown {
        services,
        request,
        snapshot: &snapshot,
        detail: false,
        with_servers,
    };
    Reply::json(&json!({"hypervisors": shown.all(&hosts)}))
}

/// Shows what all enabled hosts together have, and what is claimed of it.
pub(super) fn statistics(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let snapshot = services.store.snapshot();
    let mut hosts = hosts(&snapshot);
    hosts.retain(|host| !host.disabled);
    Reply::json(&json!({"hypervisor_statistics": view::statistics(&snapshot, &hosts)}))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn uptime_reads_as_the_command_writes_it() {
        let noon = Timestamp::from_unix_secs(12 * 3_600 + 62);
        let mut heartbeat = Heartbeat {
            uptime: Some(Duration::from_secs(93 * 86_400 + 18 * 3_600 + 25 * 60 + 3)),
            load: Some([0.2, 0.12, 0.14]),
            running_vms: 0,
        };
        let text = uptime_text(noon, heartbeat).unwrap();
        assert_eq!(
            text,
            " 12:01:02 up 93 days, 18:25,  load average: 0.20, 0.12, 0.14"
        );
        heartbeat.load = None;
        heartbeat.uptime = Some(Duration::from_secs(61));
        assert_eq!(uptime_text(noon, heartbeat).unwrap(), " 12:01:02 up  0:01");
        heartbeat.uptime = None;
        assert_eq!(uptime_text(noon, heartbeat), None);
    }
}
