//! Builds whose host went down and never said that it has begun: they do not wait for it for ever.
//!
//! ```text
//! the host was never told of it ─▶ another host, at once; if there is none for long: error
//! it may have been told ─────────▶ error after long: it may run there, so nowhere else
//! ```
//!
//! At most one copy of a server ever runs. A host builds only what it was told, and asks again when
//! it comes back, so what is certain is that it does not run what it cannot have been told: a build
//! ordered since this process began, of a host that has not asked since ([`Door`]). A host that
//! comes back to a server in error only looks. Called by [`crate::compute::hosts::Keeper`].

use std::collections::BTreeSet;
use std::time::Duration;

use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::ServerId;
use luc_core::time::Timestamp;
use luc_state::{Snapshot, Store, Tx, key};

use super::apply::{Scene, fault, move_on};
use crate::compute::claim::{self, Site};
use crate::compute::host::{Door, Host, Liveness};
use crate::compute::model::server::{Attempt, Server, Task};
use crate::compute::server::history;
use crate::compute::server::outcome;
use crate::compute::server::state::{PowerState, TaskState, VmState};
use crate::compute::write::{WriteError, transact};

/// How long a host may be down before its builds end in error.
pub(in crate::compute) const PATIENCE: Duration = Duration::from_secs(60);

/// A build that waits: the server and the number of its order.
pub(in crate::compute) type Build = (ServerId, u64);

/// What is looked at.
pub(in crate::compute) struct Ground<'g> {
    pub(in crate::compute) store: &'g Store,
    pub(in crate::compute) site: SitePrefix,
    pub(in crate::compute) liveness: &'g Liveness,
    pub(in crate::compute) door: &'g Door,
    pub(in crate::compute) now: Timestamp,
}

/// All builds of `site` that no host has said to have begun.
pub(in crate::compute) fn waiting(snapshot: &Snapshot, site: SitePrefix) -> BTreeSet<Build> {
    let servers = snapshot.all::<Server>();
    let own = servers.filter(|server| server.home() == site && waits(server));
    own.map(|server| build(&server)).collect()
}

fn build(server: &Server) -> Build {
    (server.id.clone(), server.order.generation)
}

fn waits(server: &Server) -> bool {
    server.order.task == Some(Task::Build)
        && server.vm_state == VmState::Building
        && server.task_state == Some(TaskState::Scheduling)
}

/// Sees to the builds that wait for hosts that are down. `earlier`: those that a process before
/// this one may have told their hosts.
pub(in crate::compute) async fn rescue(
    ground: &Ground<'_>,
    earlier: &BTreeSet<Build>,
) -> Result<(), ApiError> {
    let snapshot = ground.store.snapshot();
    for host in snapshot.all::<Host>() {
        let name = host.name.as_str();
        let Some(down) = ground.liveness.down_for(name) else {
            continue;
        };
        let on_host = snapshot.find(&Server::BY_HOST, &key(&[name]));
        let stuck = on_host.filter(|server| server.home() == ground.site && waits(server));
        let stuck: Vec<Build> = stuck.map(|server| build(&server)).collect();
        if stuck.is_empty() || host.home() != ground.site {
            continue;
        }
        let late = down >= PATIENCE;
        let (before, since) = stuck.into_iter().partition(|build| earlier.contains(build));
        let told = leave(ground, name, (before, since), late).await?;
        if late && !told.is_empty() {
            change(ground, name, &told, give_up).await?;
        }
    }
    Ok(())
}

/// Orders the builds elsewhere of which `host` cannot know, and returns the others. Those that were
/// ordered `since` this process began are such, unless the host has asked.
async fn leave(
    ground: &Ground<'_>,
    host: &str,
    (mut before, since): (Vec<Build>, Vec<Build>),
    late: bool,
) -> Result<Vec<Build>, ApiError> {
    if since.is_empty() || !ground.door.shut(host) {
        before.extend(since);
        return Ok(before);
    }
    let left = change(ground, host, &since, |tx, scene, server| {
        go_elsewhere(tx, scene, server, late)
    });
    let left = left.await;
    // While nobody knows what was written the host must not ask.
    if !matches!(left, Err(ApiError::OutcomeUnknown { .. })) {
        ground.door.open(host);
    }
    left.map(|()| before)
}

/// Does `what` to those of `builds` that still wait for `host`.
async fn change(
    ground: &Ground<'_>,
    host: &str,
    builds: &[Build],
    what: impl Fn(&mut Tx<'_>, &Scene<'_>, &mut Server) -> Result<(), WriteError>,
) -> Result<(), ApiError> {
    let scene = Scene {
        now: ground.now,
        liveness: ground.liveness,
        ids: Vec::new(),
    };
    let changed = transact(ground.store, |tx| {
        let mut changed = Vec::new();
        for one in builds {
            let found = tx.get::<Server>(&one.0);
            let found = found.filter(|server| {
                server.host() == Some(host) && waits(server) && build(server) == *one
            });
            let Some(found) = found else { continue };
            let mut server = found.value().clone();
            what(tx, &scene, &mut server)?;
            if server != *found.value() {
                server.updated_at = ground.now;
                changed.push((server.id.clone(), server.host().map(str::to_owned)));
                tx.update(server)?;
            }
        }
        Ok(changed)
    })
    .await?;
    for (server, now_on) in changed {
        tracing::warn!(%server, host, now_on, "a build does not wait for its silent host");
    }
    Ok(())
}

fn silence(server: &Server) -> String {
    let host = server.host().unwrap_or_default();
    format!("Host '{host}' did not answer.")
}

/// Another host builds `server`. While there is none it waits on, unless it is `late`.
fn go_elsewhere(
    tx: &mut Tx<'_>,
    scene: &Scene<'_>,
    server: &mut Server,
    late: bool,
) -> Result<(), WriteError> {
    let Some(placement) = server.placement.clone() else {
        return Ok(());
    };
    let site = Site::read(tx);
    let view = site.view(scene.liveness);
    let found = view.choose(&claim::ask_for(tx, server, placement.claim));
    if found.is_err() && !late {
        return Ok(());
    }
    let reason = silence(server);
    let action = server.order.action.as_deref();
    history::close(tx, action, Some(&reason), scene.now)?;
    server.attempts.push(Attempt {
        host: placement.host,
        reason,
    });
    move_on(tx, scene, server)
}

/// Nobody builds `server` any more. What it claims stays claimed, for its host may have begun.
fn give_up(tx: &mut Tx<'_>, scene: &Scene<'_>, server: &mut Server) -> Result<(), WriteError> {
    let reason = silence(server);
    let message = format!("Build of instance {} aborted: {reason}", server.id);
    let details = "It may have been told to build the server, so no other host was.".to_owned();
    let action = server.order.action.as_deref();
    history::close(tx, action, Some(&message), scene.now)?;
    let fault = fault(&message, Some(details), scene.now);
    outcome::failed(server, Task::Build, PowerState::NoState, fault);
    Ok(())
}
