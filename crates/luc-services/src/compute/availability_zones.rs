//! Availability zones: the site's name, or what an aggregate calls the zone of its hosts.

use std::collections::{BTreeMap, BTreeSet};

use luc_api::ApiError;
use luc_api::policy::Attributes;
use luc_state::{Snapshot, key};
use serde_json::{Map, Value, json};

use super::host::Host;
use super::model::aggregate::Aggregate;
use super::services::{BINARY, seen_at};
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// The zone of `host`.
pub(super) fn zone_of(snapshot: &Snapshot, host: &Host) -> String {
    let mut aggregates = snapshot.find(&Aggregate::BY_HOST, &key(&[host.name.as_str()]));
    let zone = aggregates.find_map(|aggregate| aggregate.zone.clone());
    zone.unwrap_or_else(|| host.zone.clone())
}

/// The zones by name with their enabled hosts. A zone is available if it has one.
fn zones(snapshot: &Snapshot) -> BTreeMap<String, BTreeSet<String>> {
    let mut zones: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for host in snapshot.all::<Host>() {
        let enabled = zones.entry(zone_of(snapshot, &host)).or_default();
        if !host.disabled {
            enabled.insert(host.name.clone());
        }
    }
    zones
}

/// Lists the zones: those that are available, then the others.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let zones = zones(&services.store.snapshot());
    let mut shown = shown(&zones, |_| Value::Null);
    if let Some(list) = shown["availabilityZoneInfo"].as_array_mut() {
        list.extend(of_other_sites(services, &zones));
    }
    Reply::json(&shown)
}

/// The zones of the other sites, by their names: open as long as the site can be reached.
fn of_other_sites(services: &Services, own: &BTreeMap<String, BTreeSet<String>>) -> Vec<Value> {
    let mut others = services.sites.all();
    others.retain(|view| view.site != services.site && !own.contains_key(&view.name));
    others.sort_by_key(|view| !view.reachable);
    let entries = others
        .iter()
        .map(|view| entry(&view.name, view.reachable, &Value::Null));
    entries.collect()
}

/// The entry of a site that did not say what it has.
pub(crate) fn silent(name: &str) -> Value {
    entry(name, false, &Value::Null)
}

/// Lists the zones with the services of their hosts.
pub(super) fn detail(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let snapshot = services.store.snapshot();
    let zones = zones(&snapshot);
    let of = |names: &BTreeSet<String>| {
        let hosts = names.iter().filter_map(|name| snapshot.get::<Host>(name));
        let shown = hosts.map(|host| {
            let service = json!({
                "available": services.compute.liveness.is_up(&host),
                "active": !host.disabled,
                "updated_at": seen_at(services, &host),
            });
            (host.name.clone(), json!({BINARY: service}))
        });
        Value::Object(shown.collect::<Map<_, _>>())
    };
    Reply::json(&shown(&zones, of))
}

fn shown(
    zones: &BTreeMap<String, BTreeSet<String>>,
    hosts: impl Fn(&BTreeSet<String>) -> Value,
) -> Value {
    let (open, closed): (Vec<_>, Vec<_>) = zones.iter().partition(|(_, names)| !names.is_empty());
    let open = open
        .into_iter()
        .map(|(zone, names)| entry(zone, true, &hosts(names)));
    let closed = closed
        .into_iter()
        .map(|(zone, _)| entry(zone, false, &Value::Null));
    json!({"availabilityZoneInfo": open.chain(closed).collect::<Vec<_>>()})
}

fn entry(zone: &str, available: bool, hosts: &Value) -> Value {
    json!({"zoneName": zone, "zoneState": {"available": available}, "hosts": hosts})
}
