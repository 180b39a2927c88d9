//! At which site a new server is made: the one that is named, else near the point that is named,
//! else here; without room there, at the next site in the order of their distance.
//!
//! Two scheduler hints of ours: `luc:near` names the point (a site, a server, or the address of a
//! server of the project), `luc:max_rtt_ms` how far from it the server may be. Which site has room
//! is a hint only; the site that is asked decides (`crate::routing::spill`).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use luc_api::ApiError;
use luc_api::compute::server_create::CreateServer;
use luc_core::{SitePrefix, Uuid};
use luc_state::{Snapshot, Stored, key};
use serde_json::Value;

use super::access;
use super::plan::{Plan, open_zones};
use crate::Services;
use crate::compute::host::Resources;
use crate::compute::model::server::{Server, footprint};
use crate::identity::residency;
use crate::ports::sites::Room;
use crate::request::{Place, Request};

/// The hint that names the point.
const NEAR: &str = "luc:near";
/// The hint that says how far from there a server may be; `max_rtt_ms` is taken for it.
const RTT_MAX: &str = "luc:max_rtt_ms";

/// The point that a server is to be near.
pub(super) struct Near {
    /// The site nearest to it.
    site: SitePrefix,
    /// How far from there the server may be.
    rtt_max: Option<Duration>,
}

impl Near {
    /// What the hints of `body` say; else this site.
    pub(super) fn of(
        services: &Services,
        snapshot: &Snapshot,
        request: &Request,
        body: &CreateServer,
    ) -> Result<Self, ApiError> {
        let hints = body.scheduler_hints();
        let hint = |name: &str| hints.and_then(|hints| hints.extra.get(name));
        let site = match hint(NEAR) {
            None => services.site,
            Some(point) => site_of(services, snapshot, request, &text(NEAR, point)?)?,
        };
        let rtt_max = hint(RTT_MAX).or_else(|| hint("max_rtt_ms"));
        let rtt_max = rtt_max.map(milliseconds).transpose()?;
        let names = hints.iter().flat_map(|hints| hints.extra.keys());
        let mut ours = names.filter(|name| name.starts_with("luc:"));
        if let Some(unknown) = ours.find(|name| ![NEAR, RTT_MAX].contains(&name.as_str())) {
            let field = format!("os:scheduler_hints.{unknown}");
            let reason = format!("is no hint: there are {NEAR} and {RTT_MAX}");
            return Err(ApiError::invalid(field, reason));
        }
        Ok(Self { site, rtt_max })
    }
}

/// The one value of a hint; clients send a list where they were given the hint more than once.
fn text(name: &str, value: &Value) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Array(values) if values.len() == 1 => text(name, &values[0]),
        _ => Err(ApiError::invalid(name, "is not one text")),
    }
}

fn milliseconds(value: &Value) -> Result<Duration, ApiError> {
    let name = RTT_MAX;
    let number: Option<f64> = text(name, value)?.trim().parse().ok();
    let seconds = number.map(|number| number / 1000.0);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| ApiError::invalid(name, "is not a number of milliseconds"))
}

/// The site at `point`: by its name, a server, or the address of a server of the project.
fn site_of(
    services: &Services,
    snapshot: &Snapshot,
    request: &Request,
    point: &str,
) -> Result<SitePrefix, ApiError> {
    let sites = services.sites.all();
    if let Some(site) = sites.iter().find(|view| view.name == point) {
        return Ok(site.site);
    }
    let project = request.project_id()?;
    let visible =
        |server: &Arc<Stored<Server>>| server.project == *project || access::is_admin(request);
    if let Some(server) = snapshot.get::<Server>(point).filter(visible) {
        return Ok(server.home());
    }
    if let Ok(address) = point.parse::<IpAddr>() {
        let own = key(&[project.as_str()]);
        let mut servers = snapshot.find(&Server::BY_PROJECT, &own);
        let holder = servers.find(|server| {
            let mut addresses = server.addresses.iter();
            addresses.any(|known| known.address == address)
        });
        if let Some(server) = holder {
            return Ok(server.home());
        }
    }
    let birth = Uuid::parse(point).ok().and_then(|id| id.birth_site());
    let birth = birth.filter(|birth| sites.iter().any(|view| view.site == *birth));
    birth
        .filter(|birth| *birth != services.site)
        .ok_or_else(|| {
            let reason = format!("'{point}' is neither a site, a server nor the address of one");
            ApiError::invalid(NEAR, reason)
        })
}

/// The other site that must make the servers: that of the zone, else that of the point.
pub(super) fn named(
    services: &Services,
    snapshot: &Snapshot,
    request: &Request,
    body: &CreateServer,
    near: &Near,
) -> Option<SitePrefix> {
    let zone = body.server.availability_zone.as_deref().unwrap_or_default();
    let zone = zone.split(':').next().unwrap_or_default();
    if zone.is_empty() {
        let point = near.site;
        return (request.place == Place::Anywhere && point != services.site).then_some(point);
    }
    if zone == services.compute.zone || open_zones(snapshot).contains(zone) {
        return None;
    }
    let sites = services.sites.all();
    let named = sites.iter().find(|view| view.name == zone)?;
    (named.site != services.site).then_some(named.site)
}

/// Refuses servers whose project may not live here, in the words of who named the zone or did not.
pub(super) fn check_residency(
    services: &Services,
    request: &Request,
    body: &CreateServer,
) -> Result<(), ApiError> {
    let project = request.project_id()?.as_str();
    match body.server.availability_zone.as_deref() {
        None | Some("") => residency::check(services, project),
        Some(_) => residency::check_zone(services, project, services.site),
    }
}

/// The other sites that may have room for a server of `plan`, the nearest to `near` first. None, if
/// the request says more of where it is to be than another site could heed.
pub(super) fn next(services: &Services, plan: &Plan, near: &Near) -> Vec<SitePrefix> {
    let wish = &plan.template.wish;
    let bound = wish.zone.is_some()
        || wish.host.is_some()
        || wish.hypervisor.is_some()
        || wish.group.is_some()
        || !wish.same_host.is_empty();
    if bound {
        return Vec::new();
    }
    let size = footprint(&plan.template.flavor, plan.template.image.disk);
    let views = services.sites.all();
    let order = services.sites.nearest(near.site).into_iter();
    let near_enough = order.filter(|(_, rtt)| match (near.rtt_max, rtt) {
        (None, _) => true,
        (Some(most), Some(rtt)) => *rtt <= most,
        (Some(_), None) => false,
    });
    let sites = near_enough.map(|(site, _)| site);
    let others = sites.filter(|site| *site != services.site);
    let project = plan.template.project.as_str();
    let others = others.filter(|site| residency::may_live_at(services, *site, project));
    let roomy = others.filter(|site| {
        let view = views.iter().find(|view| view.site == *site);
        view.is_some_and(|view| view.reachable && view.room.is_none_or(|room| admits(room, size)))
    });
    roomy.collect()
}

/// Whether a site that says it has `room` may have it for a claim of `size`.
fn admits(room: Room, size: Resources) -> bool {
    room.vcpus >= size.vcpus.get()
        && room.memory_mib >= size.memory.get()
        && room.disk_gib >= size.disk.get()
}
