//! `POST /servers`: one transaction makes the servers, their claims, quota, group membership and
//! history.
//!
//! As in Nova the answer is 202 whether or not a host was found: a server without one is in ERROR,
//! and its fault says which filter removed how many hosts.

use http::header::LOCATION;
use luc_api::ApiError;
use luc_api::compute::server_create::CreateServer;
use luc_core::SitePrefix;
use luc_core::id::ServerId;
use luc_core::time::Timestamp;
use luc_state::Tx;
use serde_json::json;

use super::history::{self, Origin, Step};
use super::placement::{self, Near};
use super::plan::{self, Plan};
use super::references::References;
use super::state::VmState;
use super::view::{CreatedView, Frame, Occasion};
use super::{access, action};
use crate::Services;
use crate::compute::claim::{self, Site};
use crate::compute::host::{Liveness, Resources};
use crate::compute::model::quota::{QuotaUsage, Resource};
use crate::compute::model::server::{Fault, Server, Task, footprint};
use crate::compute::model::server_group::ServerGroup;
use crate::compute::quota::{self, Delta, Held, Lent, ReserveError, exchange};
use crate::compute::write::WriteError;
use crate::identity::residency;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::{Place as Where, Request};

/// What is drawn for each server before the transaction, which may run more than once.
pub(super) struct Seed {
    pub(super) id: ServerId,
    pub(super) origin: Origin,
}

/// Where servers are created.
pub(super) struct Place<'p> {
    /// The name of the site, which does the scheduling.
    pub(super) site: &'p str,
    /// Which hosts live.
    pub(super) liveness: &'p Liveness,
    /// Where else there may be room, if nothing is to be made without room here.
    pub(super) next: Option<&'p [SitePrefix]>,
}

/// Creates servers.
pub(in crate::compute) async fn create(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let body: CreateServer = request.body()?;
    named_by(&body).come(services, request).await;
    let snapshot = services.store.snapshot();
    let near = Near::of(services, &snapshot, request, &body)?;
    if let Some(home) = placement::named(services, &snapshot, request, &body, &near) {
        residency::check_zone(services, request.project_id()?.as_str(), home)?;
        return Err(ApiError::Elsewhere { home });
    }
    placement::check_residency(services, request, &body)?;
    let plan = plan::plan(services, &snapshot, request, body)?;
    let origin = access::origin(services, request)?;
    let seeds: Vec<Seed> = (0..plan.most)
        .map(|_| Seed {
            id: ServerId::born_at(services.site, &mut Drawn(&*services.random)),
            origin: access::another(services, &origin),
        })
        .collect();
    let next = match request.place {
        Where::Anywhere => Some(placement::next(services, &plan, &near)).filter(|n| !n.is_empty()),
        Where::Here => Some(Vec::new()),
        Where::Last => None,
    };
    let place = Place {
        site: &services.compute.zone,
        liveness: &services.compute.liveness,
        next: next.as_deref(),
    };
    let first = exchange::transact(services, |tx, lent| -> Result<Server, WriteError> {
        build(tx, lent, &plan, &seeds, &place, request.now)
    })
    .await?;
    if plan.only_reservation {
        return Reply::json(&json!({"reservation_id": plan.template.reservation}));
    }
    let target = request.own_target();
    let snapshot = services.store.snapshot();
    let frame = Frame::of(services, &snapshot, request, Occasion::Show, &target);
    let view = CreatedView {
        server: &first,
        frame: &frame,
        security_groups: &plan.security_groups,
        admin_pass: &plan.admin_pass,
    };
    let location = format!("{}/servers/{}", frame.root, first.id);
    Reply::json(&json!({"server": view}))?.header(LOCATION, &location)
}

fn named_by(body: &CreateServer) -> References<'_> {
    let hints = body.scheduler_hints();
    References {
        image: body.server.image_id(),
        flavor: Some(body.server.flavor.id()),
        group: hints.and_then(|hints| hints.group.as_deref()),
    }
}

/// Makes as many of the planned servers as the quota admits and returns the first.
pub(super) fn build(
    tx: &mut Tx<'_>,
    lent: &Lent,
    plan: &Plan,
    seeds: &[Seed],
    place: &Place<'_>,
    now: Timestamp,
) -> Result<Server, WriteError> {
    let size = footprint(&plan.template.flavor, plan.template.image.disk);
    let count = reserve(tx, lent, plan, size)?;
    let seeds = &seeds[..count as usize];
    join_group(tx, plan, seeds)?;
    let seen = Site::read(tx);
    let mut view = seen.view(place.liveness);
    let mut first = None;
    for (index, seed) in seeds.iter().enumerate() {
        let mut server = named(&plan.template, &seed.id, index, count);
        let ask = claim::ask_for(tx, &server, size);
        match claim::take(tx, &mut view, &ask)? {
            Ok(placement) => {
                server.placement = Some(placement);
                action::begin(&mut server, Task::Build, Some(seed.origin.id.clone()), now);
                let (name, event) = history::names(Task::Build);
                let step = Some(Step::of_host(event));
                history::open(tx, &mut server, name, step, &seed.origin, now)?;
            }
            Err(none) => {
                if let (Some(next), None) = (place.next, &first) {
                    let next = next.to_vec();
                    return Err(ApiError::NoRoomHere { next }.into());
                }
                let reason = none.to_string();
                let message = format!("No valid host was found. {reason}");
                server.vm_state = VmState::Error;
                server.task_state = None;
                server.fault = Some(Fault {
                    code: 500,
                    message,
                    details: None,
                    created_at: now,
                });
                let event = "conductor_schedule_and_build_instances";
                let step = Some(Step {
                    event,
                    by: Some(place.site),
                });
                history::open(tx, &mut server, "create", step, &seed.origin, now)?;
                history::close(tx, Some(&seed.origin.id), Some(&reason), now)?;
            }
        }
        let stored = tx.insert(server)?;
        first.get_or_insert(stored);
    }
    let first = first.map(|stored| stored.value().clone());
    first.ok_or_else(|| ApiError::internal("no server was planned").into())
}

/// Takes as many servers of the plan out of the quota as it admits, at least the fewest wanted.
fn reserve(tx: &mut Tx<'_>, lent: &Lent, plan: &Plan, size: Resources) -> Result<u32, WriteError> {
    let template = &plan.template;
    let delta = |count: u32| Delta {
        instances: u64::from(count),
        cores: luc_core::units::Vcpus(size.vcpus.get() * u64::from(count)),
        ram: luc_core::units::MemoryMib(size.memory.get() * u64::from(count)),
    };
    let mut count = if plan.least == plan.most {
        plan.most
    } else {
        let room = room(tx, template, size);
        plan.most
            .min(u32::try_from(room).unwrap_or(u32::MAX))
            .max(plan.least)
    };
    loop {
        let delta = delta(count);
        match quota::reserve(tx, lent, &template.project, &template.user, delta) {
            Ok(()) => return Ok(count),
            // Fewer may fit into what this site was lent.
            Err(ReserveError::Refused { .. }) if count > plan.least => count -= 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// How many servers of `size` the quota of `template`'s project and user still admits.
fn room(tx: &Tx<'_>, template: &Server, size: Resources) -> u64 {
    let held = Held::within(tx, template.project.as_str());
    let usage = tx.get::<QuotaUsage>(&template.project);
    let of_project = usage.as_ref().map(|usage| usage.used).unwrap_or_default();
    let of_user = usage
        .as_ref()
        .and_then(|usage| usage.users.get(&template.user).copied());
    let sides = [
        (None, of_project),
        (Some(&template.user), of_user.unwrap_or_default()),
    ];
    let mut room = u64::MAX;
    for (user, used) in sides {
        let allowance = held.allowance(user);
        let rows = [
            (Resource::Instances, used.instances, 1),
            (Resource::Cores, used.cores, size.vcpus.get()),
            (Resource::Ram, used.ram, size.memory.get()),
        ];
        for (resource, used, each) in rows {
            // A limit below zero is none.
            if let Ok(limit) = u64::try_from(allowance.limit(resource))
                && each > 0
            {
                room = room.min(limit.saturating_sub(used) / each);
            }
        }
    }
    room
}

/// Makes the servers members of the group that was asked for.
fn join_group(tx: &mut Tx<'_>, plan: &Plan, seeds: &[Seed]) -> Result<(), WriteError> {
    let Some(id) = &plan.template.wish.group else {
        return Ok(());
    };
    let Some(group) = tx.get::<ServerGroup>(id) else {
        let message = format!("Instance group {id} could not be found.");
        return Err(ApiError::bad_request(message).into());
    };
    let mut group = group.value().clone();
    group
        .members
        .extend(seeds.iter().map(|seed| seed.id.clone()));
    let held = Held::within(tx, plan.template.project.as_str());
    let members = group.members.len() as u64;
    if !held
        .allowance(None)
        .admits(Resource::ServerGroupMembers, members)
    {
        let message = "Quota exceeded, too many servers in group".to_owned();
        return Err(ApiError::QuotaExceeded { message }.into());
    }
    tx.update(group)?;
    Ok(())
}

/// The server of `template` with this id, which is the one at `index` of `count`.
fn named(template: &Server, id: &ServerId, index: usize, count: u32) -> Server {
    let mut server = Server {
        id: id.clone(),
        ..template.clone()
    };
    server.launch_index = u32::try_from(index).unwrap_or(u32::MAX);
    let hostname = sanitized(&template.name).unwrap_or_else(|| format!("Server-{id}"));
    server.personal.hostname = hostname;
    if count > 1 {
        server.name = format!("{}-{}", template.name, index + 1);
        server.personal.hostname = format!("{}-{}", server.personal.hostname, index + 1);
    }
    server
}

/// The longest label of a host name (RFC 1123).
const LABEL_LENGTH_MAX: usize = 63;

/// The host name that `name` becomes; nothing, if nothing is left of it.
fn sanitized(name: &str) -> Option<String> {
    let kept: String = name
        .chars()
        .map(|c| {
            if matches!(c, ' ' | '_' | '.') {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(LABEL_LENGTH_MAX)
        .collect();
    let kept = kept.trim_matches('-');
    (!kept.is_empty()).then(|| kept.to_owned())
}

#[cfg(test)]
mod tests;
