//! What may be done to a server, and when: Nova's checks before each action, as one table.
//!
//! [`admit`] answers whether an action may begin; [`begin`] then writes the order for the host and
//! the state that users see while it is carried out. How an order ends stands in
//! [`super::outcome`]. Pure: no store, no clock.
//!
//! Source: the decorators `check_instance_lock`, `check_instance_host` and `check_instance_state`
//! of Nova 30 `compute/api.py`, in the order in which they apply, and the words of
//! `raise_http_conflict_for_instance_invalid_state`.

use luc_api::ApiError;
use luc_core::id::ServerId;
use luc_core::time::Timestamp;

use super::state::{TaskState, VmState};
use crate::compute::model::server::{Order, Reboot, RebootKind, Server, Task};

/// What may be asked of a server that depends on its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are Nova's actions by name")]
pub enum Action {
    Start,
    Stop,
    RebootSoft,
    RebootHard,
    Pause,
    Unpause,
    Suspend,
    Resume,
    Rebuild,
    Resize,
    ConfirmResize,
    RevertResize,
    Delete,
    ForceDelete,
    ChangePassword,
    CreateImage,
    UpdateMetadata,
    DeleteMetadata,
    ChangeTags,
    AttachInterface,
    AttachVolume,
    Migrate,
    LiveMigrate,
    Evacuate,
}

/// Which task states an action bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tasks {
    /// None: something else is being done otherwise.
    Idle,
    /// These, or none.
    IdleOr(&'static [TaskState]),
    /// Any.
    Any,
}

/// What an action demands of its server.
#[derive(Clone, Copy, Debug)]
struct Demand {
    /// Its name in refusals.
    name: &'static str,
    /// The VM states in which it may begin; any, if none is named.
    states: &'static [VmState],
    /// The task states in which it may begin.
    tasks: Tasks,
    /// Whether the server must have run.
    launched: bool,
    /// Whether it must have a host.
    placed: bool,
    /// Whether a lock keeps others from it.
    heeds_lock: bool,
}

/// The task states during which a hard reboot may begin (`ALLOW_REBOOT`).
const REBOOTABLE: &[TaskState] = &[
    TaskState::Rebooting,
    TaskState::RebootStarted,
    TaskState::Resuming,
    TaskState::RebootingHard,
    TaskState::Unpausing,
    TaskState::Pausing,
    TaskState::Suspending,
];

/// The VM states in which a server's own data may change.
const SETTLED: &[VmState] = &[
    VmState::Active,
    VmState::Paused,
    VmState::Suspended,
    VmState::Stopped,
];

impl Demand {
    /// In these states, when nothing else is being done, unless it is locked.
    const fn in_states(name: &'static str, states: &'static [VmState]) -> Self {
        Self {
            name,
            states,
            tasks: Tasks::Idle,
            launched: true,
            placed: false,
            heeds_lock: true,
        }
    }

    const fn placed(mut self) -> Self {
        self.placed = true;
        self
    }

    const fn despite(mut self, tasks: Tasks) -> Self {
        self.tasks = tasks;
        self
    }

    const fn unlaunched(mut self) -> Self {
        self.launched = false;
        self
    }

    const fn despite_lock(mut self) -> Self {
        self.heeds_lock = false;
        self
    }
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Start,
        Self::Stop,
        Self::RebootSoft,
        Self::RebootHard,
        Self::Pause,
        Self::Unpause,
        Self::Suspend,
        Self::Resume,
        Self::Rebuild,
        Self::Resize,
        Self::ConfirmResize,
        Self::RevertResize,
        Self::Delete,
        Self::ForceDelete,
        Self::ChangePassword,
        Self::CreateImage,
        Self::UpdateMetadata,
        Self::DeleteMetadata,
        Self::ChangeTags,
        Self::AttachInterface,
        Self::AttachVolume,
        Self::Migrate,
        Self::LiveMigrate,
        Self::Evacuate,
    ];

    const fn demand(self) -> Demand {
        use VmState as V;
        match self {
            Self::Start => Demand::in_states("start", &[V::Stopped]).placed(),
            Self::Stop => Demand::in_states("stop", &[V::Active, V::Error]).placed(),
            Self::RebootSoft => Demand::in_states("reboot", &[V::Active]),
            Self::RebootHard => Demand::in_states(
                "reboot",
                &[V::Active, V::Stopped, V::Paused, V::Suspended, V::Error],
            )
            .despite(Tasks::IdleOr(REBOOTABLE)),
            Self::Pause => Demand::in_states("pause", &[V::Active]),
            Self::Unpause => Demand::in_states("unpause", &[V::Paused]),
            Self::Suspend => Demand::in_states("suspend", &[V::Active]),
            Self::Resume => Demand::in_states("resume", &[V::Suspended]),
            Self::Rebuild => Demand::in_states("rebuild", &[V::Active, V::Stopped, V::Error]),
            Self::Resize => Demand::in_states("resize", &[V::Active, V::Stopped]).placed(),
            Self::ConfirmResize => Demand::in_states("confirmResize", &[V::Resized]),
            Self::RevertResize => Demand::in_states("revertResize", &[V::Resized]),
            Self::Delete => Demand::in_states("delete", &[])
                .despite(Tasks::Any)
                .unlaunched(),
            Self::ForceDelete => Demand::in_states("forceDelete", &[])
                .despite(Tasks::Any)
                .unlaunched(),
            Self::ChangePassword => Demand::in_states("changePassword", &[V::Active]),
            Self::CreateImage => Demand::in_states("createImage", SETTLED).despite_lock(),
            Self::UpdateMetadata => {
                Demand::in_states("update metadata", SETTLED).despite(Tasks::Any)
            }
            Self::DeleteMetadata => {
                Demand::in_states("delete metadata", SETTLED).despite(Tasks::Any)
            }
            Self::ChangeTags => Demand::in_states("update tags", SETTLED)
                .despite(Tasks::Any)
                .unlaunched()
                .despite_lock(),
            Self::AttachInterface => {
                Demand::in_states("attach_interface", &[V::Active, V::Paused, V::Stopped])
            }
            Self::AttachVolume => Demand::in_states(
                "attach_volume",
                &[V::Active, V::Paused, V::Stopped, V::Resized],
            ),
            Self::Migrate => Demand::in_states("migrate", &[V::Active, V::Stopped]).placed(),
            Self::LiveMigrate => Demand::in_states("os-migrateLive", &[V::Active, V::Paused]),
            Self::Evacuate => {
                Demand::in_states("evacuate", &[V::Active, V::Stopped, V::Error]).despite_lock()
            }
        }
    }
}

/// Why an action may not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its owner or an administrator has locked it.
    #[error("Instance {server} is locked")]
    Locked {
        /// The server.
        server: ServerId,
    },
    /// It has no host.
    #[error("Instance {server} is not ready")]
    NotReady {
        /// The server.
        server: ServerId,
    },
    /// It is in a state with which this cannot be done.
    #[error("Cannot '{action}' instance {server} while it is in {attribute} {state}")]
    State {
        /// What was asked.
        action: &'static str,
        /// The server.
        server: ServerId,
        /// Which of its states.
        attribute: &'static str,
        /// What that is.
        state: &'static str,
    },
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::conflict(refusal.to_string())
    }
}

/// Whether `action` may begin. `is_admin`: locks do not hold an administrator.
pub fn admit(action: Action, server: &Server, is_admin: bool) -> Result<(), Refusal> {
    let demand = action.demand();
    if demand.heeds_lock && server.lock.is_some() && !is_admin {
        return Err(Refusal::Locked {
            server: server.id.clone(),
        });
    }
    if demand.placed && server.placement.is_none() {
        return Err(Refusal::NotReady {
            server: server.id.clone(),
        });
    }
    let refuse = |attribute, state| {
        Err(Refusal::State {
            action: demand.name,
            server: server.id.clone(),
            attribute,
            state,
        })
    };
    if !demand.states.is_empty() && !demand.states.contains(&server.vm_state) {
        return refuse("vm_state", server.vm_state.as_str());
    }
    let borne = match (demand.tasks, server.task_state) {
        (Tasks::Any, _) | (_, None) => true,
        (Tasks::Idle, Some(_)) => false,
        (Tasks::IdleOr(tasks), Some(task)) => tasks.contains(&task),
    };
    if !borne {
        return refuse(
            "task_state",
            server.task_state.map_or("None", TaskState::as_str),
        );
    }
    if demand.launched && server.launched_at.is_none() {
        return refuse("launched_at", "None");
    }
    Ok(())
}

/// The state that is shown while a host has not begun `task`.
const fn waiting(task: Task) -> Option<TaskState> {
    match task {
        Task::Build | Task::Abandon => Some(TaskState::Scheduling),
        Task::Start => Some(TaskState::PoweringOn),
        Task::Stop => Some(TaskState::PoweringOff),
        Task::RebootSoft => Some(TaskState::Rebooting),
        Task::RebootHard => Some(TaskState::RebootingHard),
        Task::Pause => Some(TaskState::Pausing),
        Task::Unpause => Some(TaskState::Unpausing),
        Task::Suspend => Some(TaskState::Suspending),
        Task::Resume => Some(TaskState::Resuming),
        Task::Rebuild => Some(TaskState::Rebuilding),
        Task::Resize => Some(TaskState::ResizePrep),
        Task::ConfirmResize => None,
        Task::RevertResize => Some(TaskState::ResizeReverting),
        Task::Delete => Some(TaskState::Deleting),
    }
}

/// Gives `server`'s host the order to carry out `task`, shown by the action `record`.
pub fn begin(server: &mut Server, task: Task, record: Option<String>, now: Timestamp) {
    let generation = server.order.generation + 1;
    server.order = Order {
        generation,
        task: Some(task),
        action: record,
    };
    let reboot = |kind| {
        Some(Reboot {
            kind,
            number: generation,
        })
    };
    match task {
        Task::RebootSoft => server.reboot = reboot(RebootKind::Soft),
        Task::RebootHard => server.reboot = reboot(RebootKind::Hard),
        Task::Rebuild => server.rebuilds += 1,
        _ => {}
    }
    server.task_state = waiting(task);
    server.progress = 0;
    server.updated_at = now;
}

#[cfg(test)]
mod tests;
