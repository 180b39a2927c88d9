//! Builds whose host went down and never said that it has begun: they do not wait for it for ever.
//!
//! ```text
//! the host was not let begin it ─▶ another host, at once; if there is none for long: error
//! it may have begun ─────────────▶ error after long: it may run there, so nowhere else
//! ```
//!
//! At most one copy of a server ever runs. A host begins only what it was granted ([`Door`]), so
//! what is certain is that it does not run what was ordered since this process began and not
//! granted since. What it reads of such a build later is granted no more, and what it says of it
//! answers an older order. Three hosts are tried in all, failed builds included. A host that comes
//! back to a server in error only looks. Called by [`crate::compute::hosts::Keeper`].

use std::collections::BTreeSet;
use std::time::Duration;

use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::time::Timestamp;
use luc_state::{Snapshot, Store, Tx, key};

use super::apply::{Scene, fault, move_on, tried};
use crate::compute::claim::{self, Site};
use crate::compute::host::{Build, Door, Host, Liveness};
use crate::compute::model::server::{Attempt, Server, Task};
use crate::compute::server::history;
use crate::compute::server::outcome;
use crate::compute::server::state::{PowerState, TaskState, VmState};
use crate::compute::write::{WriteError, transact};

/// How long a host may be down before its builds end in error.
pub(in crate::compute) const PATIENCE: Duration = Duration::from_secs(60);

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
/// this one may have let their hosts begin.
pub(in crate::compute) async fn rescue(
    ground: &Ground<'_>,
    earlier: &BTreeSet<Build>,
) -> Result<(), ApiError> {
    forget_grants(ground);
    let snapshot = ground.store.snapshot();
    for host in snapshot.all::<Host>() {
        let name = host.name.as_str();
        // A door that is still shut stands for a commit of which nobody knows whether it was made.
        let pending = ground.door.is_shut(name);
        let down = ground.liveness.down_for(name);
        let Some(down) = down.or(pending.then_some(Duration::ZERO)) else {
            continue;
        };
        let on_host = snapshot.find(&Server::BY_HOST, &key(&[name]));
        let stuck = on_host.filter(|server| server.home() == ground.site && waits(server));
        let stuck: Vec<Build> = stuck.map(|server| build(&server)).collect();
        if stuck.is_empty() || host.home() != ground.site {
            ground.door.open(name);
            continue;
        }
        let late = down >= PATIENCE;
        let begun = leave(ground, name, (stuck, earlier), late).await?;
        if late && !begun.is_empty() {
            change(ground, name, &begun, give_up).await?;
        }
    }
    Ok(())
}

/// Forgets grants of builds that do not wait any more: those stay where they are.
fn forget_grants(ground: &Ground<'_>) {
    let granted = ground.door.granted();
    // Read after the grants: each was given for an order that was there already.
    let snapshot = ground.store.snapshot();
    for (host, builds) in granted {
        let over = builds.iter().filter(|(id, number)| {
            let server = snapshot.get::<Server>(id);
            !server.is_some_and(|server| waits(&server) && server.order.generation == *number)
        });
        ground.door.withdraw(&host, over);
    }
}

/// Orders the builds elsewhere that `host` cannot have begun, and returns the others. Those that
/// were ordered since this process began are such, unless they were granted.
async fn leave(
    ground: &Ground<'_>,
    host: &str,
    (stuck, earlier): (Vec<Build>, &BTreeSet<Build>),
    late: bool,
) -> Result<Vec<Build>, ApiError> {
    let Some(granted) = ground.door.shut(host) else {
        return Ok(stuck);
    };
    let may_run = |build: &Build| earlier.contains(build) || granted.contains(build);
    let (begun, free): (Vec<Build>, Vec<Build>) = stuck.into_iter().partition(may_run);
    let left = change(ground, host, &free, |tx, scene, server| {
        go_elsewhere(tx, scene, server, late)
    });
    let left = left.await;
    // While nobody knows what was written the host must not ask.
    if !matches!(left, Err(ApiError::OutcomeUnknown { .. })) {
        ground.door.open(host);
    }
    left.map(|()| begun)
}

/// Does `what` to those of `builds` that still wait for `host`.
async fn change(
    ground: &Ground<'_>,
    host: &str,
    builds: &[Build],
    what: impl Fn(&mut Tx<'_>, &Scene<'_>, &mut Server) -> Result<(), WriteError>,
) -> Result<(), ApiError> {
    if builds.is_empty() {
        return Ok(());
    }
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
    let Some(placement) = &server.placement else {
        return Ok(());
    };
    let site = Site::read(tx);
    let view = site.view(scene.liveness);
    let mut ask = claim::ask_for(tx, server, placement.claim);
    ask.tried.insert(placement.host.clone());
    if view.choose(&ask).is_err() && !late {
        return Ok(());
    }
    let action = server.order.action.as_deref();
    history::close(tx, action, Some(&silence(server)), scene.now)?;
    note_silence(server);
    move_on(tx, scene, server)
}

/// Nobody builds `server` any more. What it claims stays claimed, for its host may have begun.
fn give_up(tx: &mut Tx<'_>, scene: &Scene<'_>, server: &mut Server) -> Result<(), WriteError> {
    let reason = silence(server);
    let message = format!("Build of instance {} aborted: {reason}", server.id);
    let action = server.order.action.as_deref();
    history::close(tx, action, Some(&message), scene.now)?;
    note_silence(server);
    let why = "The last one may have begun the server, so no other host was told to build it.";
    let details = format!("{}\n{why}", tried(server));
    let fault = fault(&message, Some(details), scene.now);
    outcome::failed(server, Task::Build, PowerState::NoState, fault);
    Ok(())
}

/// Writes the silence of its host among the attempts to build `server`.
fn note_silence(server: &mut Server) {
    let reason = silence(server);
    let host = server.host().unwrap_or_default().to_owned();
    server.attempts.push(Attempt { host, reason });
}
