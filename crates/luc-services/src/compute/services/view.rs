//! Compute services as JSON, by microversion.
//!
//! 2.11 adds `forced_down`; from 2.53 the id is a UUID.

use luc_state::Snapshot;
use serde_json::{Value, json};

use super::{BINARY, shown_id};
use crate::Services;
use crate::compute::availability_zones::zone_of;
use crate::compute::host::Host;
use crate::compute::wire_time::Micros;
use crate::request::Request;

/// All of it.
pub(super) fn whole(
    services: &Services,
    request: &Request,
    snapshot: &Snapshot,
    host: &Host,
) -> Value {
    let mut shown = json!({
        "binary": BINARY,
        "host": host.name,
        "id": shown_id(request, host, host.service.as_str()),
        "zone": zone_of(snapshot, host),
        "status": status(host.disabled),
        "state": state(services, host),
        "updated_at": seen_at(services, host),
        "disabled_reason": host.disabled_reason,
    });
    if request.version.at_least(2, 11) {
        shown["forced_down"] = json!(host.forced_down);
    }
    shown
}

/// Whether new servers may come.
pub(in crate::compute) fn status(disabled: bool) -> &'static str {
    if disabled { "disabled" } else { "enabled" }
}

/// Whether the host is there.
pub(in crate::compute) fn state(services: &Services, host: &Host) -> &'static str {
    if services.compute.liveness.is_up(host) {
        "up"
    } else {
        "down"
    }
}

/// When the host was last heard, or when its record changed if it was not heard since the start.
pub(in crate::compute) fn seen_at(services: &Services, host: &Host) -> Micros {
    let heard = services
        .compute
        .liveness
        .last(&host.name)
        .map(|heard| heard.at);
    Micros(heard.unwrap_or(host.updated_at))
}
