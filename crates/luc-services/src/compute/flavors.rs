//! Flavors: how big servers can be, and which projects may choose which.
//!
//! Reading needs a token only; a private flavor is not there for projects without access to it.
//! Servers keep a copy of their flavor, so deleting one touches no server.

mod access;
mod extra_specs;
mod view;

use std::cmp::Ordering;
use std::sync::Arc;

use luc_api::ApiError;
use luc_api::compute::flavor::{CreateFlavor, NewFlavor, UpdateFlavor};
use luc_api::paging::{Direction, Page};
use luc_api::policy::Attributes;
use luc_api::value::parse_bool;
use luc_core::id::FlavorId;
use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use luc_state::{Snapshot, Stored, key};
use serde_json::{Value, json};

use super::model::flavor::Flavor;
use super::page::{LIMIT_MAX, check_parameters, next_links};
use super::write::transact;
use crate::Services;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

pub(super) use access::{add as add_access, list as list_access, remove as remove_access};
pub(super) use extra_specs::{
    create as create_extra_specs, delete as delete_extra_spec, list as list_extra_specs,
    show as show_extra_spec, update as update_extra_spec,
};

/// The parameters of the lists.
const PARAMETERS: [&str; 7] = [
    "limit",
    "marker",
    "is_public",
    "minRam",
    "minDisk",
    "sort_key",
    "sort_dir",
];

/// The flavor `id`, if the caller's project may use it; an administrator sees every flavor.
pub(super) fn find(
    snapshot: &Snapshot,
    request: &Request,
    id: &str,
) -> Result<Arc<Stored<Flavor>>, ApiError> {
    let flavor = snapshot
        .get::<Flavor>(id)
        .filter(|flavor| is_visible(request, flavor));
    flavor.ok_or_else(|| not_found(id))
}

/// What is answered for a flavor that is not there.
pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::not_found(format!("Flavor {id} could not be found."))
}

fn is_visible(request: &Request, flavor: &Flavor) -> bool {
    let project = request
        .caller
        .as_ref()
        .and_then(|caller| caller.project_id());
    flavor.is_public || project.is_some_and(|id| flavor.is_open_to(id)) || is_admin(request)
}

fn is_admin(request: &Request) -> bool {
    request.may("context_is_admin", &Attributes::new())
}

/// Whether the extra specs of flavors are shown to the caller.
fn shows_extra_specs(request: &Request) -> bool {
    let rule = "os_compute_api:os-flavor-extra-specs:index";
    request.version.at_least(2, 61) && request.may(rule, &request.own_target())
}

/// Lists flavors by id and name.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let flavors = page(services, request)?;
    let shown: Vec<_> = flavors
        .iter()
        .map(|flavor| view::brief(request, flavor))
        .collect();
    Reply::json(&listed(request, &flavors, &shown)?)
}

/// Lists flavors whole.
pub(super) fn detail(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let flavors = page(services, request)?;
    let specs = shows_extra_specs(request);
    let shown: Vec<_> = flavors
        .iter()
        .map(|flavor| view::whole(request, flavor, specs))
        .collect();
    Reply::json(&listed(request, &flavors, &shown)?)
}

fn listed(
    request: &Request,
    flavors: &[Arc<Stored<Flavor>>],
    shown: &[Value],
) -> Result<Value, ApiError> {
    let limit = Page::of(&request.query, LIMIT_MAX)?.limit;
    let last = flavors.last().map(|flavor| flavor.id.as_str());
    let mut body = json!({"flavors": shown});
    if let Some(links) = next_links(request, limit, flavors.len(), last) {
        body["flavors_links"] = links;
    }
    Ok(body)
}

/// The part of the list that is asked for, in order.
fn page(services: &Services, request: &Request) -> Result<Vec<Arc<Stored<Flavor>>>, ApiError> {
    request.authorize(&Attributes::new())?;
    check_parameters(request, &PARAMETERS)?;
    let order = Order::of(request)?;
    let filter = Filter::of(request)?;
    let page = Page::of(&request.query, LIMIT_MAX)?;
    let snapshot = services.store.snapshot();
    let mut flavors: Vec<_> = snapshot
        .all::<Flavor>()
        .filter(|flavor| filter.passes(request, flavor))
        .collect();
    flavors.sort_by(|left, right| order.compare(left, right));
    Ok(page.cut(flavors, |flavor| flavor.id.as_str())?.0)
}

/// Which flavors are asked for.
struct Filter {
    is_admin: bool,
    is_public: Option<bool>,
    ram_min: Option<i64>,
    disk_min: Option<i64>,
}

impl Filter {
    fn of(request: &Request) -> Result<Self, ApiError> {
        let is_admin = is_admin(request);
        let is_public = match request.query.last("is_public").filter(|_| is_admin) {
            None => Some(true),
            Some(text) if text.is_empty() || text.eq_ignore_ascii_case("none") => None,
            Some(text) => Some(parse_bool(text).ok_or_else(|| {
                ApiError::bad_request(format!("Invalid is_public filter [{text}]"))
            })?),
        };
        let least = |name: &str| {
            let number = request.query.last(name).map(|text| {
                let refusal = || ApiError::bad_request(format!("Invalid {name} filter [{text}]"));
                text.trim().parse::<i64>().map_err(|_| refusal())
            });
            number.transpose()
        };
        Ok(Self {
            is_admin,
            is_public,
            ram_min: least("minRam")?,
            disk_min: least("minDisk")?,
        })
    }

    fn passes(&self, request: &Request, flavor: &Flavor) -> bool {
        let at_least = |size: u64, least: Option<i64>| {
            least.is_none_or(|least| i64::try_from(size).is_ok_and(|size| size >= least))
        };
        let project = request
            .caller
            .as_ref()
            .and_then(|caller| caller.project_id());
        let granted = project.is_some_and(|id| flavor.projects.contains(id));
        let public = match self.is_public {
            None => true,
            Some(true) => flavor.is_public || granted,
            Some(false) => !flavor.is_public,
        };
        public
            && (self.is_admin || !flavor.disabled)
            && at_least(flavor.ram.get(), self.ram_min)
            && at_least(flavor.disk.get(), self.disk_min)
    }
}

/// By which member a list is ordered; the id decides among equals.
struct Order {
    compare: fn(&Flavor, &Flavor) -> Ordering,
    direction: Direction,
}

impl Order {
    fn of(request: &Request) -> Result<Self, ApiError> {
        let asked = |name: &str| request.query.last(name).filter(|text| !text.is_empty());
        let direction = Direction::parse(asked("sort_dir").unwrap_or("asc"))?;
        let compare: fn(&Flavor, &Flavor) -> Ordering = match asked("sort_key") {
            // Nova's key of the table and its weight of old schedulers; flavors here have neither.
            None | Some("flavorid" | "vcpu_weight") => |_, _| Ordering::Equal,
            Some("id" | "created_at" | "updated_at") => |l, r| l.created_at.cmp(&r.created_at),
            Some("description") => |l, r| l.description.cmp(&r.description),
            Some("disabled") => |l, r| l.disabled.cmp(&r.disabled),
            Some("ephemeral_gb") => |l, r| l.ephemeral.cmp(&r.ephemeral),
            Some("is_public") => |l, r| l.is_public.cmp(&r.is_public),
            Some("memory_mb") => |l, r| l.ram.cmp(&r.ram),
            Some("name") => |l, r| l.name.cmp(&r.name),
            Some("root_gb") => |l, r| l.disk.cmp(&r.disk),
            Some("rxtx_factor") => |l, r| l.rxtx_factor.total_cmp(&r.rxtx_factor),
            Some("swap") => |l, r| l.swap.cmp(&r.swap),
            Some("vcpus") => |l, r| l.vcpus.cmp(&r.vcpus),
            Some(other) => {
                let reason = format!("flavors cannot be sorted by '{other}'");
                return Err(ApiError::invalid("sort_key", reason));
            }
        };
        Ok(Self { compare, direction })
    }

    fn compare(&self, left: &Flavor, right: &Flavor) -> Ordering {
        let ordering = (self.compare)(left, right);
        self.direction
            .apply(ordering.then_with(|| left.id.cmp(&right.id)))
    }
}

/// Shows a flavor.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let flavor = find(
        &services.store.snapshot(),
        request,
        request.param("flavor_id"),
    )?;
    reply(request, &flavor)
}

fn reply(request: &Request, flavor: &Flavor) -> Result<Reply, ApiError> {
    let whole = view::whole(request, flavor, shows_extra_specs(request));
    Reply::json(&json!({"flavor": whole}))
}

/// Makes a flavor.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let wish = request.body::<CreateFlavor>()?.flavor;
    let flavor = made(services, request, &wish)?;
    transact(&services.store, |tx| {
        if tx.get::<Flavor>(&flavor.id).is_some() {
            let message = format!("Flavor with ID {} already exists.", flavor.id);
            return Err(ApiError::conflict(message).into());
        }
        if tx.one(&Flavor::BY_NAME, &key(&[&flavor.name])).is_some() {
            let message = format!("Flavor with name {} already exists.", flavor.name);
            return Err(ApiError::conflict(message).into());
        }
        tx.insert(flavor.clone())?;
        Ok(())
    })
    .await?;
    reply(request, &flavor)
}

fn made(services: &Services, request: &Request, wish: &NewFlavor) -> Result<Flavor, ApiError> {
    let id = match &wish.id {
        Some(id) => FlavorId::parse(id.as_str())
            .map_err(|error| ApiError::invalid("flavor.id", error.to_string()))?,
        None => FlavorId::born_at(services.site, &mut Drawn(&*services.random)),
    };
    // The body's check has refused what is negative.
    let size = |number: luc_api::value::LooseInt| number.0.unsigned_abs();
    let optional = |number: Option<luc_api::value::LooseInt>| number.map_or(0, size);
    Ok(Flavor {
        id,
        name: wish.name.clone(),
        vcpus: Vcpus(size(wish.vcpus)),
        ram: MemoryMib(size(wish.ram)),
        disk: DiskGib(size(wish.disk)),
        ephemeral: DiskGib(optional(wish.ephemeral)),
        swap: MemoryMib(optional(wish.swap)),
        rxtx_factor: wish.rxtx_factor.map_or(1.0, |factor| factor.0),
        is_public: wish.is_public.is_none_or(|public| public.0),
        disabled: false,
        description: wish.description.clone(),
        extra_specs: std::collections::BTreeMap::new(),
        projects: std::collections::BTreeSet::new(),
        created_at: request.now,
    })
}

/// Changes the description of a flavor.
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let description = request.body::<UpdateFlavor>()?.flavor.description.flatten();
    let flavor = change(services, request, |flavor| {
        flavor.description.clone_from(&description);
        Ok(())
    })
    .await?;
    reply(request, &flavor)
}

/// Deletes a flavor.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let id = request.param("flavor_id");
    transact(&services.store, |tx| {
        if tx.get::<Flavor>(id).is_none() {
            return Err(not_found(id).into());
        }
        tx.delete::<Flavor>(id)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// Changes the flavor that the path names, in one transaction.
async fn change(
    services: &Services,
    request: &Request,
    mut edit: impl FnMut(&mut Flavor) -> Result<(), ApiError>,
) -> Result<Flavor, ApiError> {
    let id = request.param("flavor_id");
    transact(&services.store, |tx| {
        let stored = tx
            .get::<Flavor>(id)
            .filter(|flavor| is_visible(request, flavor));
        let mut flavor = stored.ok_or_else(|| not_found(id))?.value().clone();
        edit(&mut flavor)?;
        tx.update(flavor.clone())?;
        Ok(flavor)
    })
    .await
}
