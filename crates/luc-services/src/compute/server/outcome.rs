//! How an order ends: what a server becomes when its host is done with it, or could not do it.
//!
//! ```text
//! order.task ── done ──▶ settled state, task cleared
//!            ── failed ─▶ build: another host, or error
//!                         hard reboot, rebuild, revert, confirm, delete: error
//!                         all others: the state before, task cleared, fault kept
//! no order   ── seen ───▶ what the VM became by itself (stopped, crashed, frozen)
//! ```
//!
//! Pure: called by [`crate::compute::progress`] inside a transaction. Source: the error paths of
//! Nova 30 `compute/manager.py` (`wrap_instance_fault`, `reverts_task_state`) and its
//! `_sync_instance_power_state`.

use luc_core::time::Timestamp;

use super::state::{PowerState, TaskState, VmState};
use crate::compute::host::Resources;
use crate::compute::model::server::{Fault, Server, Task};

/// How far a host is with its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It makes the disks.
    Disks,
    /// It makes the connections.
    Network,
    /// The hypervisor works.
    Hypervisor,
}

/// What a finished order means for the claims of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Nothing.
    Keep,
    /// The server now claims this much.
    Claim(Resources),
    /// The server is gone.
    Gone,
}

/// The state that is shown while a host is at `stage` of `task`.
pub const fn working(task: Task, stage: Stage) -> Option<TaskState> {
    match (task, stage) {
        (Task::Build, Stage::Disks) => Some(TaskState::BlockDeviceMapping),
        (Task::Build, Stage::Network) => Some(TaskState::Networking),
        (Task::Build, Stage::Hypervisor) => Some(TaskState::Spawning),
        (Task::Rebuild, Stage::Disks) => Some(TaskState::RebuildBlockDeviceMapping),
        (Task::Rebuild, _) => Some(TaskState::RebuildSpawning),
        (Task::Resize, Stage::Disks) => Some(TaskState::ResizeMigrating),
        (Task::Resize, Stage::Network) => Some(TaskState::ResizeMigrated),
        (Task::Resize, Stage::Hypervisor) => Some(TaskState::ResizeFinish),
        (Task::RebootSoft, _) => Some(TaskState::RebootStarted),
        (Task::RebootHard, _) => Some(TaskState::RebootStartedHard),
        (Task::Start, _) => Some(TaskState::PoweringOn),
        (Task::Stop, _) => Some(TaskState::PoweringOff),
        (Task::Pause, _) => Some(TaskState::Pausing),
        (Task::Unpause, _) => Some(TaskState::Unpausing),
        (Task::Suspend, _) => Some(TaskState::Suspending),
        (Task::Resume, _) => Some(TaskState::Resuming),
        (Task::RevertResize, _) => Some(TaskState::ResizeReverting),
        (Task::ConfirmResize, _) => None,
        (Task::Abandon, _) => Some(TaskState::Scheduling),
        (Task::Delete, _) => Some(TaskState::Deleting),
    }
}

/// The order of `server` has been carried out, and its VM is now `power`.
pub fn done(server: &mut Server, task: Task, power: PowerState, now: Timestamp) -> Settlement {
    let mut settlement = Settlement::Keep;
    server.vm_state = match task {
        Task::Abandon | Task::Delete => return Settlement::Gone,
        Task::Build => {
            server.built = Some(server.rebuilds);
            server.launched_at = Some(now);
            server.personal.admin_pass = None;
            VmState::Active
        }
        Task::Start | Task::RebootSoft | Task::RebootHard | Task::Unpause | Task::Resume => {
            VmState::Active
        }
        Task::Stop => VmState::Stopped,
        Task::Pause => VmState::Paused,
        Task::Suspend => VmState::Suspended,
        Task::Rebuild => {
            server.built = Some(server.rebuilds);
            server.launched_at = Some(now);
            server.personal.admin_pass = None;
            if power == PowerState::Shutdown {
                VmState::Stopped
            } else {
                VmState::Active
            }
        }
        Task::Resize => VmState::Resized,
        Task::ConfirmResize => {
            let state = state_after_resize(server, power);
            settlement = settle_resize(server, Keep::New);
            state
        }
        Task::RevertResize => {
            let was = server.resizing.as_ref().map(|resizing| resizing.was);
            settlement = settle_resize(server, Keep::Old);
            was.unwrap_or(VmState::Active)
        }
    };
    server.fault = None;
    settle(server, power);
    settlement
}

/// The order of `server` could not be carried out; its VM is now `power`. Builds do not end here:
/// another host may try.
pub fn failed(server: &mut Server, task: Task, power: PowerState, fault: Fault) -> Settlement {
    let mut settlement = Settlement::Keep;
    match task {
        Task::Build
        | Task::RebootHard
        | Task::Rebuild
        | Task::RevertResize
        | Task::ConfirmResize
        | Task::Abandon
        | Task::Delete => server.vm_state = VmState::Error,
        Task::Resize => {
            server.vm_state = state_after_resize(server, power);
            settlement = settle_resize(server, Keep::Old);
        }
        Task::Start
        | Task::Stop
        | Task::RebootSoft
        | Task::Pause
        | Task::Unpause
        | Task::Suspend
        | Task::Resume => {}
    }
    server.fault = Some(fault);
    settle(server, power);
    settlement
}

/// The VM of `server`, of which nothing was ordered, is now `power`. Whether that changed what the
/// server is.
pub fn seen(server: &mut Server, power: PowerState) -> bool {
    let became = match (server.vm_state, power) {
        (
            VmState::Active | VmState::Paused | VmState::Suspended,
            PowerState::Shutdown | PowerState::Crashed,
        ) => Some(VmState::Stopped),
        (VmState::Active, PowerState::Paused) => Some(VmState::Paused),
        (VmState::Paused, PowerState::Running) => Some(VmState::Active),
        _ => None,
    };
    server.power_state = power;
    if let Some(state) = became {
        server.vm_state = state;
    }
    became.is_some()
}

/// Which size a server keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Old,
    New,
}

fn settle_resize(server: &mut Server, keep: Keep) -> Settlement {
    let Some(resizing) = server.resizing.take() else {
        return Settlement::Keep;
    };
    match keep {
        Keep::Old => {
            server.flavor = resizing.old_flavor;
            Settlement::Claim(resizing.old_claim)
        }
        Keep::New => {
            let claim = crate::compute::model::server::footprint(&server.flavor, server.image.disk);
            Settlement::Claim(claim)
        }
    }
}

fn settle(server: &mut Server, power: PowerState) {
    server.power_state = power;
    server.task_state = None;
    server.order.task = None;
    server.order.action = None;
    server.progress = 0;
}

/// What a server is once its size is decided: what its VM is, or what it was before if its host
/// cannot tell.
fn state_after_resize(server: &Server, power: PowerState) -> VmState {
    match power {
        PowerState::Running => VmState::Active,
        PowerState::Paused => VmState::Paused,
        PowerState::Suspended => VmState::Suspended,
        PowerState::Shutdown | PowerState::Crashed => VmState::Stopped,
        PowerState::NoState => server
            .resizing
            .as_ref()
            .map_or(VmState::Active, |resizing| resizing.was),
    }
}

#[cfg(test)]
mod tests;
