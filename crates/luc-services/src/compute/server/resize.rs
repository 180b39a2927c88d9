//! A new size for a server: resize, confirm, revert; and rebuild, which keeps the size.
//!
//! A server is resized on its host: its disk is there. While the owner has not decided, the greater
//! of both sizes is claimed and charged in every dimension, so that going back always fits.

use http::header::LOCATION;
use luc_api::ApiError;
use luc_api::compute::server_action::Resize;
use luc_api::compute::server_create::DiskConfig;
use luc_api::compute::server_update::{Rebuild, RebuildServer};
use luc_api::value::Secret;
use luc_core::id::UserId;
use luc_core::units::DiskGib;
use luc_state::{Snapshot, Tx};

use super::access::{self, Attempted};
use super::action::{self, Action};
use super::history::{self, Step};
use super::plan;
use super::references::References;
use super::show::Wrapped;
use super::view::{Frame, Occasion, ServerView, Shown};
use super::{password, power};
use crate::Services;
use crate::compute::claim;
use crate::compute::host::{Host, HostUsage, Liveness, Resources};
use crate::compute::model::server::{
    Fault, FlavorCopy, ImageCopy, InjectedFile, LoginKey, Resizing, Server, Task, footprint,
};
use crate::compute::quota::{self, Delta, Held, Lent, exchange};
use crate::compute::write::{WriteError, transact};
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

/// `resize`.
pub(in crate::compute) async fn resize(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let snapshot = services.store.snapshot();
    let server = access::authorized(&snapshot, request)?;
    let body: Resize = request.body()?;
    let named = References {
        flavor: Some(body.resize.flavor.id()),
        ..References::default()
    };
    named.come(services, request).await;
    let snapshot = services.store.snapshot();
    let flavor = plan::flavor(&snapshot, request, body.resize.flavor.id())?;
    let attempted = Attempted::of(services, request)?;
    action::admit(Action::Resize, &server, attempted.is_admin)?;
    if flavor.disk == DiskGib::ZERO && server.flavor.disk != DiskGib::ZERO {
        return Err(ApiError::bad_request(
            "Server disk was unable to be resized because: Resize to zero disk flavor is not \
             allowed.",
        ));
    }
    if flavor.id == server.flavor.id {
        return Err(ApiError::bad_request(
            "When resizing, instances must change flavor!",
        ));
    }
    plan::check_fit(request, &access::target(&server), &flavor, &server.image)?;
    let flavor = plan::copy_of_flavor(&flavor);
    let auto_disk_config = body
        .resize
        .disk_config
        .is_some_and(|config| config == DiskConfig::Auto);
    let liveness = &services.compute.liveness;
    exchange::transact(services, |tx, lent| -> Result<(), WriteError> {
        let mut server = access::admitted(tx, &attempted.id, Action::Resize, attempted.is_admin)?;
        server.auto_disk_config = auto_disk_config;
        begin_resize(tx, lent, &attempted, liveness, &mut server, &flavor)?;
        tx.update(server)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// Claims and charges the greater of both sizes and orders the host to resize. Where the host has
/// no room the server stays as it was, and its history says why: as in Nova the caller has long
/// been answered.
fn begin_resize(
    tx: &mut Tx<'_>,
    lent: &Lent,
    attempted: &Attempted,
    liveness: &Liveness,
    server: &mut Server,
    flavor: &FlavorCopy,
) -> Result<(), WriteError> {
    let not_ready = || ApiError::conflict(format!("Instance {} is not ready", attempted.id));
    let placement = server.placement.clone().ok_or_else(not_ready)?;
    let host = tx.get::<Host>(&placement.host);
    let Some(host) = host.filter(|host| liveness.is_up(host)) else {
        return Err(ApiError::conflict("Service is unavailable at this time.").into());
    };
    let wanted = footprint(flavor, server.image.disk).max(placement.claim);
    let more = wanted.minus(placement.claim);
    let delta = Delta {
        instances: 0,
        cores: more.vcpus,
        ram: more.memory,
    };
    quota::reserve(tx, lent, &server.project, &server.user, delta)?;
    let claimed = tx
        .get::<HostUsage>(&placement.host)
        .map(|usage| usage.claimed);
    let free = host.promisable().minus(claimed.unwrap_or_default());
    if !fits(more, free) {
        quota::release(tx, &server.project, &server.user, delta)?;
        let reason = format!(
            "No valid host was found. There are not enough hosts available: the server's own \
             host, where its disk is, has {} vCPU, {} and {} left",
            free.vcpus.get(),
            free.memory,
            free.disk
        );
        let now = attempted.now;
        let (name, event) = history::names(Task::Resize);
        let step = Some(Step::of_host(event));
        history::open(tx, server, name, step, &attempted.origin, now)?;
        history::close(tx, Some(&attempted.origin.id), Some(&reason), now)?;
        server.fault = Some(Fault {
            code: 500,
            message: reason,
            details: None,
            created_at: now,
        });
        return Ok(());
    }
    claim::swap(tx, &placement.host, placement.claim, wanted)?;
    server.resizing = Some(Resizing {
        old_flavor: std::mem::replace(&mut server.flavor, flavor.clone()),
        old_claim: placement.claim,
        was: server.vm_state,
    });
    if let Some(placement) = &mut server.placement {
        placement.claim = wanted;
    }
    power::give(tx, attempted, server, Task::Resize)
}

fn fits(more: Resources, free: Resources) -> bool {
    more.vcpus <= free.vcpus && more.memory <= free.memory && more.disk <= free.disk
}

/// `confirmResize`.
pub(in crate::compute) async fn confirm(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    decide(
        services,
        request,
        Action::ConfirmResize,
        Task::ConfirmResize,
    )
    .await
}

/// `revertResize`.
pub(in crate::compute) async fn revert(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    decide(services, request, Action::RevertResize, Task::RevertResize).await
}

async fn decide(
    services: &Services,
    request: &Request,
    action: Action,
    task: Task,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    access::check_form(request)?;
    let attempted = Attempted::of(services, request)?;
    transact(&services.store, |tx| -> Result<(), WriteError> {
        let mut server = access::admitted(tx, &attempted.id, action, attempted.is_admin)?;
        if server.resizing.is_none() || server.order.task == Some(Task::ConfirmResize) {
            return Err(ApiError::bad_request("Instance has not been resized.").into());
        }
        power::give(tx, &attempted, &mut server, task)?;
        tx.update(server)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// What becomes of the key of a server that is rebuilt.
enum NewKey {
    Keep,
    Set(Option<LoginKey>),
}

/// What a rebuild changes, worked out before its transaction.
struct Renewal {
    image: ImageCopy,
    admin_pass: String,
    key: NewKey,
    files: Option<Vec<InjectedFile>>,
    body: Rebuild,
}

/// `rebuild`.
pub(in crate::compute) async fn rebuild(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let snapshot = services.store.snapshot();
    let server = access::authorized(&snapshot, request)?;
    let body: RebuildServer = request.body()?;
    let named = References {
        image: Some(&body.rebuild.image),
        ..References::default()
    };
    named.come(services, request).await;
    let snapshot = services.store.snapshot();
    let attempted = Attempted::of(services, request)?;
    action::admit(Action::Rebuild, &server, attempted.is_admin)?;
    let renewal = renewal(services, request, &snapshot, &server, body.rebuild)?;
    let server = transact(&services.store, |tx| -> Result<Server, WriteError> {
        let mut server = access::admitted(tx, &attempted.id, Action::Rebuild, attempted.is_admin)?;
        renew(&renewal, &mut server);
        power::give(tx, &attempted, &mut server, Task::Rebuild)?;
        tx.update(server.clone())?;
        Ok(server)
    })
    .await?;
    let snapshot = services.store.snapshot();
    let target = access::target(&server);
    let frame = Frame::of(services, &snapshot, request, Occasion::Rebuild, &target);
    let admin_pass = Some(renewal.admin_pass.as_str());
    let view = ServerView {
        shown: Shown::live(&server),
        frame: &frame,
        admin_pass,
    };
    let location = format!("{}/servers/{}", frame.root, server.id);
    Reply::json(&Wrapped { server: view })?.header(LOCATION, &location)
}

fn renewal(
    services: &Services,
    request: &Request,
    snapshot: &Snapshot,
    server: &Server,
    body: Rebuild,
) -> Result<Renewal, ApiError> {
    let target = access::target(server);
    let certificates = body
        .trusted_image_certificates
        .as_ref()
        .and_then(Option::as_deref);
    plan::check_certificates(request, &target, certificates)?;
    let user: &UserId = &request.caller()?.user_id;
    let key = match &body.key_name {
        None => NewKey::Keep,
        Some(None) => NewKey::Set(None),
        Some(Some(name)) => NewKey::Set(Some(plan::login_key(snapshot, user, name)?)),
    };
    let image = plan::find_image(snapshot, request, &body.image)
        .ok_or_else(|| ApiError::bad_request("Cannot find image for rebuild"))?;
    plan::usable(&image)?;
    let image = plan::copy_of(&image);
    plan::check_copy_fits(&server.flavor, &image)?;
    let held = Held::of(snapshot, server.project.as_str());
    if let Some(metadata) = &body.metadata {
        plan::check_metadata_quota(&held, user, metadata.len())?;
    }
    let files = body.personality.as_deref();
    let files = files
        .map(|files| plan::injected_files(&held, user, files))
        .transpose()?;
    let admin_pass = match &body.admin_pass {
        Some(given) => given.reveal().to_owned(),
        None => password::generate(&mut Drawn(&*services.random)),
    };
    Ok(Renewal {
        image,
        admin_pass,
        key,
        files,
        body,
    })
}

fn renew(renewal: &Renewal, server: &mut Server) {
    let Renewal {
        image,
        admin_pass,
        key,
        files,
        body,
    } = renewal;
    server.image = image.clone();
    server.personal.admin_pass = Some(Secret::new(admin_pass.clone()));
    if let Some(name) = &body.name {
        server.name.clone_from(name);
    }
    if let Some(description) = &body.description {
        server.description.clone_from(description);
    }
    if let Some(metadata) = &body.metadata {
        server.metadata.clone_from(metadata);
    }
    if let NewKey::Set(key) = key {
        server.personal.key.clone_from(key);
    }
    if let Some(files) = files {
        server.personal.files.clone_from(files);
    }
    if let Some(user_data) = &body.user_data {
        server.personal.user_data.clone_from(user_data);
    }
    if let Some(config) = body.disk_config {
        server.auto_disk_config = config == DiskConfig::Auto;
    }
    server.access_ipv4 = body.access_ipv4.or(server.access_ipv4);
    server.access_ipv6 = body.access_ipv6.or(server.access_ipv6);
}
