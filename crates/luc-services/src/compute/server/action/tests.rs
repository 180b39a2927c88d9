//! Every action against every state: the table that Nova's decorators make.

use super::*;
use crate::compute::server::fixture::{NOON, active, planned, server_id};

/// The VM states in which an idle, launched, placed and unlocked server takes each action.
const TABLE: &str = "
Start           stopped
Stop            active error
RebootSoft      active
RebootHard      active stopped paused suspended error
Pause           active
Unpause         paused
Suspend         active
Resume          suspended
Rebuild         active stopped error
Resize          active stopped
ConfirmResize   resized
RevertResize    resized
Delete          building active stopped paused suspended resized error
ForceDelete     building active stopped paused suspended resized error
ChangePassword  active
CreateImage     active stopped paused suspended
UpdateMetadata  active stopped paused suspended
DeleteMetadata  active stopped paused suspended
ChangeTags      active stopped paused suspended
AttachInterface active stopped paused
AttachVolume    active stopped paused resized
Migrate         active stopped
LiveMigrate     active paused
Evacuate        active stopped error
";

fn row(action: Action) -> Vec<&'static str> {
    let name = format!("{action:?}");
    let line = TABLE
        .lines()
        .find(|line| line.split_whitespace().next() == Some(&name));
    line.expect("every action is in the table")
        .split_whitespace()
        .skip(1)
        .collect()
}

fn server_in(state: VmState, task: Option<TaskState>) -> Server {
    Server {
        vm_state: state,
        task_state: task,
        ..active(1)
    }
}

#[test]
fn an_action_begins_in_the_states_of_the_table_and_in_no_other() {
    for action in Action::ALL {
        let accepted = row(action);
        for state in VmState::ALL {
            let outcome = admit(action, &server_in(*state, None), false);
            let expected = accepted.contains(&state.as_str());
            assert_eq!(outcome.is_ok(), expected, "{action:?} while {state}");
        }
    }
}

#[test]
fn a_server_on_which_something_is_done_takes_nothing_else_but_what_may_cut_in() {
    for action in Action::ALL {
        let state = *VmState::ALL
            .iter()
            .find(|s| row(action).contains(&s.as_str()))
            .unwrap();
        for task in TaskState::ALL {
            let outcome = admit(action, &server_in(state, Some(*task)), false);
            let cuts_in = match action {
                Action::RebootHard => REBOOTABLE.contains(task),
                Action::Delete
                | Action::ForceDelete
                | Action::UpdateMetadata
                | Action::DeleteMetadata
                | Action::ChangeTags => true,
                _ => false,
            };
            assert_eq!(outcome.is_ok(), cuts_in, "{action:?} during {task}");
        }
    }
}

#[test]
fn a_lock_holds_everybody_but_administrators() {
    let lock = Some(crate::compute::model::server::Lock {
        by_admin: false,
        reason: None,
    });
    for action in Action::ALL {
        let state = *VmState::ALL
            .iter()
            .find(|s| row(action).contains(&s.as_str()))
            .unwrap();
        let server = Server {
            lock: lock.clone(),
            ..server_in(state, None)
        };
        let heedless = matches!(
            action,
            Action::CreateImage | Action::ChangeTags | Action::Evacuate
        );
        assert_eq!(
            admit(action, &server, false).is_ok(),
            heedless,
            "{action:?}"
        );
        assert!(
            admit(action, &server, true).is_ok(),
            "{action:?} of an administrator"
        );
    }
}

#[test]
fn a_refusal_says_what_nova_says() {
    let id = server_id(1);
    let refusal = |action, server: &Server| admit(action, server, false).unwrap_err().to_string();
    assert_eq!(
        refusal(Action::Start, &server_in(VmState::Active, None)),
        format!("Cannot 'start' instance {id} while it is in vm_state active")
    );
    assert_eq!(
        refusal(
            Action::Stop,
            &server_in(VmState::Active, Some(TaskState::PoweringOff))
        ),
        format!("Cannot 'stop' instance {id} while it is in task_state powering-off")
    );
    let unlaunched = Server {
        launched_at: None,
        ..server_in(VmState::Error, None)
    };
    assert_eq!(
        refusal(Action::Rebuild, &unlaunched),
        format!("Cannot 'rebuild' instance {id} while it is in launched_at None")
    );
    let unplaced = Server {
        vm_state: VmState::Error,
        ..planned(1)
    };
    assert_eq!(
        refusal(Action::Stop, &unplaced),
        format!("Instance {id} is not ready")
    );
    let lock = Some(crate::compute::model::server::Lock {
        by_admin: true,
        reason: None,
    });
    let locked = Server { lock, ..active(1) };
    assert_eq!(
        refusal(Action::Stop, &locked),
        format!("Instance {id} is locked")
    );
}

#[test]
fn an_order_raises_the_generation_and_names_its_record() {
    let mut server = active(1);
    begin(&mut server, Task::RebootHard, Some("a1".to_owned()), NOON);
    assert_eq!(server.order.generation, 1);
    assert_eq!(server.order.action.as_deref(), Some("a1"));
    assert_eq!(server.task_state, Some(TaskState::RebootingHard));
    assert_eq!(
        server.reboot,
        Some(Reboot {
            kind: RebootKind::Hard,
            number: 1
        })
    );
    begin(&mut server, Task::Rebuild, None, NOON);
    assert_eq!((server.order.generation, server.rebuilds), (2, 1));
    assert_eq!(server.reboot.unwrap().number, 1, "a rebuild is no reboot");
}
