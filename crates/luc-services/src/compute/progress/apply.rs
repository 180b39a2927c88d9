//! One report, applied inside a transaction.

use luc_core::time::Timestamp;
use luc_state::{Tx, TxError};

use super::{Phase, Received, Report};
use crate::compute::claim::{self, Site};
use crate::compute::host::{Host, Liveness};
use crate::compute::model::server::{
    Address, Attempt, Connection, DeletedServer, Fault, Server, Task, USER_NETWORK,
};
use crate::compute::quota::{self, Delta};
use crate::compute::server::history::{self, Origin, Step};
use crate::compute::server::outcome::{self, Settlement};
use crate::compute::server::state::{PowerState, VmState};
use crate::compute::server::{action, removal};
use crate::compute::write::WriteError;

/// How many hosts may try to build a server: Nova's `[scheduler] max_attempts`.
const BUILD_ATTEMPTS_MAX: usize = 3;

/// What all reports of one transaction have in common.
pub(super) struct Scene<'s> {
    pub(super) now: Timestamp,
    pub(super) liveness: &'s Liveness,
    pub(super) ids: Vec<String>,
}

/// Applies `report`. `id` is for an instance action that it may bring about.
pub(super) fn report(
    tx: &mut Tx<'_>,
    scene: &Scene<'_>,
    report: &Report,
    id: &str,
) -> Result<Received, WriteError> {
    let Some(stored) = tx.get::<Server>(&report.server) else {
        return Ok(of_deleted(tx, report)?);
    };
    let before = stored.value();
    if before.host() != Some(report.host.as_str()) || before.order.generation != report.generation {
        return Ok(Received::Ignored);
    }
    // Another site may have a host of the same name.
    if tx
        .get::<Host>(&report.host)
        .is_some_and(|host| host.home() != stored.home())
    {
        return Ok(Received::Ignored);
    }
    let mut server = before.clone();
    server.addresses = addresses(&server, report);
    match (&report.phase, server.order.task) {
        (Phase::Gone, Some(Task::Delete)) => {
            history::close(tx, server.order.action.as_deref(), None, scene.now)?;
            removal::bury(tx, server, false, scene.now)?;
            return Ok(Received::Applied);
        }
        (Phase::Gone, Some(Task::Abandon)) => move_on(tx, scene, &mut server)?,
        (Phase::Gone, _) => return Ok(Received::Ignored),
        (Phase::Working(stage), Some(task)) => {
            server.task_state = outcome::working(task, *stage);
        }
        (Phase::Working(_), None) => {}
        (Phase::Settled | Phase::Drifted, Some(task)) => {
            finish(tx, scene, &mut server, task, report)?;
        }
        (Phase::Settled | Phase::Drifted, None) => {
            drift(tx, scene, &mut server, report.power, id)?;
        }
        (Phase::Failed { message, details }, Some(Task::Build)) => {
            let cause = details.as_deref().unwrap_or(message);
            history::close(tx, server.order.action.as_deref(), Some(cause), scene.now)?;
            let host = report.host.clone();
            server.attempts.push(Attempt {
                host,
                reason: message.clone(),
            });
            let record = server.order.action.clone();
            action::begin(&mut server, Task::Abandon, record, scene.now);
        }
        (Phase::Failed { message, details }, task) => {
            let fault = fault(message, details.clone(), scene.now);
            fail(tx, scene, &mut server, task, report.power, fault)?;
        }
    }
    if server == *before {
        return Ok(Received::Known);
    }
    server.updated_at = scene.now;
    tx.update(server)?;
    Ok(Received::Applied)
}

/// A host has cleaned up what it had of a deleted server.
fn of_deleted(tx: &mut Tx<'_>, report: &Report) -> Result<Received, TxError> {
    let gone = tx.get::<DeletedServer>(&report.server);
    let Some(gone) = gone.filter(|gone| gone.leftover && report.phase == Phase::Gone) else {
        return Ok(Received::Ignored);
    };
    let Some(placement) = gone
        .server
        .placement
        .as_ref()
        .filter(|p| p.host == report.host)
    else {
        return Ok(Received::Ignored);
    };
    claim::give_back(tx, placement)?;
    tx.update(DeletedServer {
        leftover: false,
        ..gone.value().clone()
    })?;
    Ok(Received::Applied)
}

/// The order has been carried out.
fn finish(
    tx: &mut Tx<'_>,
    scene: &Scene<'_>,
    server: &mut Server,
    task: Task,
    report: &Report,
) -> Result<(), TxError> {
    history::close(tx, server.order.action.as_deref(), None, scene.now)?;
    let settlement = outcome::done(server, task, report.power, scene.now);
    settle_claim(tx, server, settlement)?;
    if report.phase == Phase::Drifted {
        outcome::seen(server, report.power);
    }
    Ok(())
}

/// The order could not be carried out, or the server broke without one.
fn fail(
    tx: &mut Tx<'_>,
    scene: &Scene<'_>,
    server: &mut Server,
    task: Option<Task>,
    power: PowerState,
    fault: Fault,
) -> Result<(), TxError> {
    let Some(task) = task else {
        if server.vm_state != VmState::Error {
            server.vm_state = VmState::Error;
            server.fault = Some(fault);
        }
        server.power_state = power;
        return Ok(());
    };
    let cause = fault.details.as_deref().unwrap_or(&fault.message);
    history::close(tx, server.order.action.as_deref(), Some(cause), scene.now)?;
    let settlement = outcome::failed(server, task, power, fault);
    settle_claim(tx, server, settlement)
}

/// The VM is something of which nothing was ordered; if that changed what the server is, its
/// history says so.
fn drift(
    tx: &mut Tx<'_>,
    scene: &Scene<'_>,
    server: &mut Server,
    power: PowerState,
    id: &str,
) -> Result<(), TxError> {
    if !outcome::seen(server, power) {
        return Ok(());
    }
    let name = match server.vm_state {
        VmState::Stopped => "stop",
        VmState::Paused => "pause",
        _ => "unpause",
    };
    let origin = Origin {
        id: id.to_owned(),
        request_id: format!("req-{id}"),
        user: None,
        project: None,
    };
    history::open(
        tx,
        server,
        name,
        Some(Step::of_host("compute_sync_power_state")),
        &origin,
        scene.now,
    )?;
    history::close(tx, Some(id), None, scene.now)
}

/// The host that could not build the server has nothing of it: another one tries.
pub(super) fn move_on(
    tx: &mut Tx<'_>,
    scene: &Scene<'_>,
    server: &mut Server,
) -> Result<(), WriteError> {
    let Some(left) = server.placement.take() else {
        return Ok(());
    };
    claim::give_back(tx, &left)?;
    let reason = server
        .attempts
        .last()
        .map(|attempt| attempt.reason.clone())
        .unwrap_or_default();
    let id = server.id.clone();
    if server.attempts.len() >= BUILD_ATTEMPTS_MAX {
        let message = format!(
            "Exceeded maximum number of retries. Exceeded max scheduling attempts \
             {BUILD_ATTEMPTS_MAX} for instance {id}. Last exception: {reason}"
        );
        give_up(server, &message, scene.now);
        return Ok(());
    }
    let site = Site::read(tx);
    let mut view = site.view(scene.liveness);
    let ask = claim::ask_for(tx, server, left.claim);
    match claim::take(tx, &mut view, &ask)? {
        Ok(placement) => {
            server.placement = Some(placement);
            let record = server.order.action.clone();
            action::begin(server, Task::Build, record, scene.now);
            history::go_on(tx, server, history::names(Task::Build).1, scene.now)?;
        }
        Err(none) => {
            tracing::info!(server = %id, %none, "no host is left to build a server");
            let message = format!(
                "Exceeded maximum number of retries. Exhausted all hosts available for retrying \
                 build failures for instance {id}. Last exception: {reason}"
            );
            give_up(server, &message, scene.now);
        }
    }
    Ok(())
}

/// No host will build the server.
fn give_up(server: &mut Server, message: &str, now: Timestamp) {
    server.fault = Some(fault(message, Some(tried(server)), now));
    server.vm_state = VmState::Error;
    server.task_state = None;
    server.power_state = PowerState::NoState;
    server.order.task = None;
    server.order.action = None;
}

/// The hosts that did not build `server`, each with its reason.
pub(super) fn tried(server: &Server) -> String {
    let attempts = server.attempts.iter();
    let tried: Vec<String> = attempts
        .map(|tried| format!("{}: {}", tried.host, tried.reason))
        .collect();
    tried.join("\n")
}

/// Brings claims and quota level with a decided change of size.
fn settle_claim(
    tx: &mut Tx<'_>,
    server: &mut Server,
    settlement: Settlement,
) -> Result<(), TxError> {
    let (Settlement::Claim(new), Some(placement)) = (settlement, &mut server.placement) else {
        return Ok(());
    };
    let old = std::mem::replace(&mut placement.claim, new);
    claim::swap(tx, &placement.host, old, new)?;
    let freed = old.minus(new);
    let freed = Delta {
        instances: 0,
        cores: freed.vcpus,
        ram: freed.memory,
    };
    quota::release(tx, &server.project, &server.user, freed)
}

fn addresses(server: &Server, report: &Report) -> Vec<Address> {
    if server.connection == Connection::None {
        return Vec::new();
    }
    let mac = report.mac.clone().unwrap_or_default();
    let address = |address| Address {
        network: USER_NETWORK.to_owned(),
        address,
        mac: mac.clone(),
    };
    report.addresses.iter().copied().map(address).collect()
}

pub(super) fn fault(message: &str, details: Option<String>, now: Timestamp) -> Fault {
    Fault {
        code: 500,
        message: message.to_owned(),
        details,
        created_at: now,
    }
}
