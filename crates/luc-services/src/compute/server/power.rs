//! The actions that change what a server does: power, pause, suspend, lock, state.
//!
//! Each checks the state, writes the order and the history in one transaction, and answers at once;
//! the host carries it out.

use luc_api::ApiError;
use luc_api::compute::server_action::ResettableState;
use luc_api::compute::server_action::{Lock as LockBody, Reboot, RebootKind, ResetState};
use luc_state::Tx;

use super::access::{self, Attempted};
use super::action::{self, Action};
use super::history::{self, Step};
use super::state::VmState;
use crate::Services;
use crate::compute::model::server::{Lock, Server, Task};
use crate::compute::write::{WriteError, transact};
use crate::reply::Reply;
use crate::request::Request;

/// Orders the host to carry out `task`, if `action` may begin.
pub(in crate::compute) async fn order(
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
        give(tx, &attempted, &mut server, task)?;
        tx.update(server)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// Gives the order and opens its history. The record is not written yet.
pub(super) fn give(
    tx: &mut Tx<'_>,
    attempted: &Attempted,
    server: &mut Server,
    task: Task,
) -> Result<(), WriteError> {
    let now = attempted.now;
    // A hard reboot may cut in on what is being done.
    history::close(
        tx,
        server.order.action.as_deref(),
        Some("Another action took over."),
        now,
    )?;
    let (name, event) = history::names(task);
    let step = Some(Step::of_host(event));
    history::open(tx, server, name, step, &attempted.origin, now)?;
    action::begin(server, task, Some(attempted.origin.id.clone()), now);
    Ok(())
}

/// `reboot`.
pub(in crate::compute) async fn reboot(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let body: Reboot = request.body()?;
    let (action, task) = match body.reboot.kind {
        RebootKind::Soft => (Action::RebootSoft, Task::RebootSoft),
        RebootKind::Hard => (Action::RebootHard, Task::RebootHard),
    };
    order(services, request, action, task).await
}

/// `lock`.
pub(in crate::compute) async fn lock(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    let body: LockBody = request.body()?;
    let reason = body
        .reason()
        .filter(|_| request.version.at_least(2, 73))
        .map(str::to_owned);
    let project = request.caller()?.project_id().cloned();
    change(services, request, "lock", |server| {
        let by_admin = project.as_ref() != Some(&server.project);
        // An owner's lock stays as it is when the owner locks again.
        if server.lock.is_some() && !by_admin {
            return;
        }
        server.lock = Some(Lock {
            by_admin,
            reason: reason.clone(),
        });
    })
    .await
}

/// `unlock`.
pub(in crate::compute) async fn unlock(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    access::check_form(request)?;
    let is_owner = request.caller()?.project_id() == Some(&server.project);
    if server
        .lock
        .as_ref()
        .is_some_and(|lock| lock.by_admin == is_owner)
    {
        let rule = "os_compute_api:os-lock-server:unlock:unlock_override";
        request.authorize_as(rule, &access::target(&server))?;
    }
    change(services, request, "unlock", |server| server.lock = None).await
}

/// `os-resetState`.
pub(in crate::compute) async fn reset_state(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    let body: ResetState = request.body()?;
    change(services, request, "resetState", |server| {
        server.vm_state = match body.reset.state {
            ResettableState::Active => VmState::Active,
            ResettableState::Error => VmState::Error,
        };
        server.task_state = None;
        server.order.generation += 1;
        server.order.task = None;
        server.order.action = None;
    })
    .await
}

/// Changes a server's record in a way that its host need not hear of, and records it as `name`.
async fn change(
    services: &Services,
    request: &Request,
    name: &str,
    mut change: impl FnMut(&mut Server),
) -> Result<Reply, ApiError> {
    let attempted = Attempted::of(services, request)?;
    transact(&services.store, |tx| -> Result<(), WriteError> {
        let found = tx.get::<Server>(&attempted.id);
        let stored = found.ok_or_else(|| access::not_found(&attempted.id))?;
        let mut server = stored.value().clone();
        change(&mut server);
        if server == *stored.value() {
            return Ok(());
        }
        let event = format!("api_{name}");
        let step = Some(Step::of_host(&event));
        history::open(
            tx,
            &mut server,
            name,
            step,
            &attempted.origin,
            attempted.now,
        )?;
        history::close(tx, Some(&attempted.origin.id), None, attempted.now)?;
        server.updated_at = attempted.now;
        tx.update(server)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}
