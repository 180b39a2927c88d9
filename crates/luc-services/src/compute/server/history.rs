//! The history of a server: an instance action for each thing that was asked of it.
//!
//! An action begins in the transaction that gives the order, and ends in the one that takes the
//! host's report. Event names are those of Nova's compute manager.

use luc_core::id::{ProjectId, ServerId, UserId};
use luc_core::time::Timestamp;
use luc_state::{Tx, TxError};

use crate::compute::model::instance_action::{ActionEvent, InstanceAction, Outcome};
use crate::compute::model::server::{Server, Task};

/// Who asked, with which request; for the action's record.
#[derive(Clone, Debug)]
pub(in crate::compute) struct Origin {
    /// The id of the record.
    pub(in crate::compute) id: String,
    /// The request.
    pub(in crate::compute) request_id: String,
    /// Who asked; nobody, if the server changed by itself.
    pub(in crate::compute) user: Option<UserId>,
    /// The project of whoever asked.
    pub(in crate::compute) project: Option<ProjectId>,
}

/// A step of an action that begins with it.
#[derive(Clone, Copy, Debug)]
pub(in crate::compute) struct Step<'a> {
    /// Its name.
    pub(in crate::compute) event: &'a str,
    /// Who does it: the server's host, unless another is named.
    pub(in crate::compute) by: Option<&'a str>,
}

impl<'a> Step<'a> {
    /// The server's host does it.
    pub(in crate::compute) const fn of_host(event: &'a str) -> Self {
        Self { event, by: None }
    }
}

/// The name of the action that a task belongs to, and of the event in which a host does it.
pub(in crate::compute) const fn names(task: Task) -> (&'static str, &'static str) {
    match task {
        Task::Build | Task::Abandon => ("create", "compute__do_build_and_run_instance"),
        Task::Start => ("start", "compute_start_instance"),
        Task::Stop => ("stop", "compute_stop_instance"),
        Task::RebootSoft | Task::RebootHard => ("reboot", "compute_reboot_instance"),
        Task::Pause => ("pause", "compute_pause_instance"),
        Task::Unpause => ("unpause", "compute_unpause_instance"),
        Task::Suspend => ("suspend", "compute_suspend_instance"),
        Task::Resume => ("resume", "compute_resume_instance"),
        Task::Rebuild => ("rebuild", "compute_rebuild_instance"),
        Task::Resize => ("resize", "compute_resize_instance"),
        Task::ConfirmResize => ("confirmResize", "compute_confirm_resize"),
        Task::RevertResize => ("revertResize", "compute_revert_resize"),
        Task::Delete => ("delete", "compute_terminate_instance"),
    }
}

/// Records that `action` was asked of `server`, whose record is written by the caller. With
/// `step`, something has yet to be done.
pub(in crate::compute) fn open(
    tx: &mut Tx<'_>,
    server: &mut Server,
    action: &str,
    step: Option<Step<'_>>,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), TxError> {
    let events = step.map(|step| ActionEvent {
        event: step.event.to_owned(),
        started_at: now,
        finished_at: None,
        outcome: None,
        traceback: None,
        host: step.by.or(server.host()).map(str::to_owned),
    });
    server.history += 1;
    tx.insert(InstanceAction {
        id: origin.id.clone(),
        server: server.id.clone(),
        number: server.history,
        project: server.project.clone(),
        action: action.to_owned(),
        request_id: origin.request_id.clone(),
        user: origin.user.clone(),
        user_project: origin.project.clone(),
        started_at: now,
        updated_at: now,
        message: None,
        events: events.into_iter().collect(),
    })
    .map(drop)
}

/// Records that the last event of an action has ended. `trouble` is what went wrong, if it did.
pub(in crate::compute) fn close(
    tx: &mut Tx<'_>,
    action: Option<&str>,
    trouble: Option<&str>,
    now: Timestamp,
) -> Result<(), TxError> {
    let Some(stored) = action.and_then(|id| tx.get::<InstanceAction>(id)) else {
        return Ok(());
    };
    let mut action = stored.value().clone();
    action.updated_at = now;
    if let Some(event) = action.events.last_mut() {
        event.finished_at = Some(now);
        event.outcome = Some(if trouble.is_some() {
            Outcome::Error
        } else {
            Outcome::Success
        });
        event.traceback = trouble.map(str::to_owned);
    }
    action.message = trouble.map(|_| "Error".to_owned());
    tx.update(action).map(drop)
}

/// Records that an action goes on with another event, on the server's present host.
pub(in crate::compute) fn go_on(
    tx: &mut Tx<'_>,
    server: &Server,
    event: &str,
    now: Timestamp,
) -> Result<(), TxError> {
    let id = server.order.action.as_deref();
    let Some(stored) = id.and_then(|id| tx.get::<InstanceAction>(id)) else {
        return Ok(());
    };
    let mut action = stored.value().clone();
    action.updated_at = now;
    action.message = None;
    action.events.push(ActionEvent {
        event: event.to_owned(),
        started_at: now,
        finished_at: None,
        outcome: None,
        traceback: None,
        host: server.host().map(str::to_owned),
    });
    tx.update(action).map(drop)
}

/// All actions on a server, the newest first.
pub(in crate::compute) fn of_server(
    snapshot: &luc_state::Snapshot,
    server: &ServerId,
) -> Vec<std::sync::Arc<luc_state::Stored<InstanceAction>>> {
    let key = luc_state::key(&[server.as_str()]);
    let mut actions: Vec<_> = snapshot.find(&InstanceAction::BY_SERVER, &key).collect();
    actions.sort_by_key(|action| std::cmp::Reverse(action.number));
    actions
}
