//! What every order comes to, done and failed.

use super::*;
use crate::compute::model::server::{FlavorCopy, Goal, Resizing};
use crate::compute::server::action::begin;
use crate::compute::server::fixture::{NOON, active, flavor, resources};

const TASKS: [Task; 15] = [
    Task::Build,
    Task::Start,
    Task::Stop,
    Task::RebootSoft,
    Task::RebootHard,
    Task::Pause,
    Task::Unpause,
    Task::Suspend,
    Task::Resume,
    Task::Rebuild,
    Task::Resize,
    Task::ConfirmResize,
    Task::RevertResize,
    Task::Abandon,
    Task::Delete,
];

fn ordered(state: VmState, task: Task) -> Server {
    let mut server = Server {
        vm_state: state,
        ..active(1)
    };
    begin(&mut server, task, Some("a1".to_owned()), NOON);
    server
}

fn fault() -> Fault {
    Fault {
        code: 500,
        message: "no".to_owned(),
        details: None,
        created_at: NOON,
    }
}

/// State before, task, what the VM is then, state after.
const DONE: &str = "
building  Build      Running   active
stopped   Start      Running   active
active    Stop       Shutdown  stopped
error     Stop       Shutdown  stopped
active    RebootSoft Running   active
error     RebootHard Running   active
active    Pause      Paused    paused
paused    Unpause    Running   active
active    Suspend    Suspended suspended
suspended Resume     Running   active
active    Rebuild    Running   active
stopped   Rebuild    Shutdown  stopped
active    Resize     Running   resized
";

fn named<T: Copy + std::fmt::Debug>(all: &[T], name: &str) -> T {
    *all.iter().find(|one| format!("{one:?}") == name).unwrap()
}

fn state(word: &str) -> VmState {
    *VmState::ALL
        .iter()
        .find(|state| state.as_str() == word)
        .unwrap()
}

#[test]
fn a_done_order_settles_the_server() {
    for line in DONE.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let task = named(&TASKS, words[1]);
        let power = named(&PowerState::ALL, words[2]);
        let mut server = ordered(state(words[0]), task);
        server.fault = Some(fault());
        assert_eq!(
            done(&mut server, task, power, NOON),
            Settlement::Keep,
            "{line}"
        );
        assert_eq!(server.vm_state, state(words[3]), "{line}");
        assert_eq!(server.power_state, power, "{line}");
        assert_eq!(
            (server.task_state, server.order.task),
            (None, None),
            "{line}"
        );
        assert_eq!(server.fault, None, "{line}");
    }
    for task in [Task::Abandon, Task::Delete] {
        let mut server = ordered(VmState::Active, task);
        assert_eq!(
            done(&mut server, task, PowerState::NoState, NOON),
            Settlement::Gone
        );
    }
}

#[test]
fn a_failed_order_leaves_the_server_as_it_was_or_in_error() {
    for task in TASKS.into_iter().filter(|task| *task != Task::Resize) {
        let mut server = ordered(VmState::Paused, task);
        failed(&mut server, task, PowerState::Paused, fault());
        let fatal = matches!(
            task,
            Task::Build
                | Task::RebootHard
                | Task::Rebuild
                | Task::RevertResize
                | Task::ConfirmResize
                | Task::Abandon
                | Task::Delete
        );
        let expected = if fatal {
            VmState::Error
        } else {
            VmState::Paused
        };
        assert_eq!(server.vm_state, expected, "{task:?}");
        assert_eq!(
            (server.task_state, server.order.task),
            (None, None),
            "{task:?}"
        );
        assert_eq!(
            server.fault.as_ref().map(|fault| fault.code),
            Some(500),
            "{task:?}"
        );
    }
}

fn resizing(was: VmState, task: Task) -> Server {
    let mut server = ordered(VmState::Resized, task);
    let bigger = FlavorCopy {
        vcpus: luc_core::units::Vcpus(2),
        ..flavor()
    };
    server.resizing = Some(Resizing {
        old_flavor: std::mem::replace(&mut server.flavor, bigger),
        old_claim: resources(1, 512, 1),
        was,
    });
    server
}

#[test]
fn a_decided_resize_keeps_one_of_both_sizes() {
    let mut server = resizing(VmState::Stopped, Task::ConfirmResize);
    let settled = done(&mut server, Task::ConfirmResize, PowerState::Shutdown, NOON);
    assert_eq!(settled, Settlement::Claim(resources(2, 512, 1)));
    assert_eq!(
        (server.vm_state, server.flavor.vcpus.get()),
        (VmState::Stopped, 2)
    );
    assert_eq!(server.resizing, None);

    let mut server = resizing(VmState::Active, Task::RevertResize);
    let settled = done(&mut server, Task::RevertResize, PowerState::Running, NOON);
    assert_eq!(settled, Settlement::Claim(resources(1, 512, 1)));
    assert_eq!(
        (server.vm_state, server.flavor.vcpus.get()),
        (VmState::Active, 1)
    );

    let mut server = resizing(VmState::Active, Task::Resize);
    server.vm_state = VmState::Active;
    let settled = failed(&mut server, Task::Resize, PowerState::Running, fault());
    assert_eq!(settled, Settlement::Claim(resources(1, 512, 1)));
    assert_eq!(
        (server.vm_state, server.flavor.vcpus.get()),
        (VmState::Active, 1)
    );
}

#[test]
fn a_guest_that_stops_by_itself_is_stopped() {
    let cases = [
        (VmState::Active, PowerState::Shutdown, VmState::Stopped),
        (VmState::Active, PowerState::Crashed, VmState::Stopped),
        (VmState::Active, PowerState::Paused, VmState::Paused),
        (VmState::Active, PowerState::Running, VmState::Active),
        (VmState::Paused, PowerState::Running, VmState::Active),
        (VmState::Paused, PowerState::Shutdown, VmState::Stopped),
        (VmState::Stopped, PowerState::Shutdown, VmState::Stopped),
        (VmState::Error, PowerState::Shutdown, VmState::Error),
        (VmState::Resized, PowerState::Shutdown, VmState::Resized),
    ];
    for (state, power, becomes) in cases {
        let mut server = Server {
            vm_state: state,
            ..active(1)
        };
        assert_eq!(
            seen(&mut server, power),
            state != becomes,
            "{state} {power:?}"
        );
        assert_eq!((server.vm_state, server.power_state), (becomes, power));
    }
}

#[test]
fn the_password_is_forgotten_once_the_server_is_built() {
    for task in [Task::Build, Task::Rebuild] {
        let mut server = ordered(VmState::Building, task);
        server.personal.admin_pass = Some(luc_api::value::Secret::new("x"));
        done(&mut server, task, PowerState::Running, NOON);
        assert_eq!(server.personal.admin_pass, None);
        assert_eq!(server.built, Some(server.rebuilds));
        assert_eq!(server.launched_at, Some(NOON));
    }
}

#[test]
fn every_task_has_a_goal_that_its_outcome_meets() {
    let cases = [
        (Task::Build, Goal::Running),
        (Task::Stop, Goal::Stopped),
        (Task::Pause, Goal::Paused),
        (Task::Suspend, Goal::Suspended),
        (Task::Resume, Goal::Running),
        (Task::RebootHard, Goal::Running),
        (Task::Abandon, Goal::Absent),
        (Task::Delete, Goal::Absent),
    ];
    for (task, goal) in cases {
        assert_eq!(ordered(VmState::Active, task).goal(), goal, "{task:?}");
    }
    assert_eq!(
        ordered(VmState::Stopped, Task::Rebuild).goal(),
        Goal::Stopped
    );
    assert_eq!(
        resizing(VmState::Stopped, Task::RevertResize).goal(),
        Goal::Stopped
    );
    let broken = Server {
        vm_state: VmState::Error,
        ..active(1)
    };
    assert_eq!(broken.goal(), Goal::AsIs, "a broken server is left alone");
}
