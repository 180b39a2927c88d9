//! The table, cell by cell, and each rule around it.

use luc_core::id::{ProjectId, ServerId};
use luc_core::units::{DiskGib, MemoryMib, Vcpus};

use super::*;
use crate::desired::{BootData, Build, Nic, RebootRequest, Shape};

mod every_situation;

const FRESH: Memory = Memory {
    failed: None,
    patience: Patience::Unasked,
};
const POWERS: [PowerState; 5] = [
    PowerState::Running,
    PowerState::Paused,
    PowerState::Shutdown,
    PowerState::Crashed,
    PowerState::Suspended,
];
const WANTED: [DesiredPower; 4] = [
    DesiredPower::Running,
    DesiredPower::Stopped,
    DesiredPower::Paused,
    DesiredPower::Suspended,
];

fn shape(vcpus: u64) -> Shape {
    Shape {
        vcpus: Vcpus(vcpus),
        memory: MemoryMib(64),
        root_disk: DiskGib(1),
        ephemeral: DiskGib(0),
        swap: MemoryMib(0),
    }
}

fn desired() -> DesiredServer {
    DesiredServer {
        id: ServerId::parse("s1").unwrap(),
        generation: Generation(5),
        name: "one".into(),
        project: ProjectId::parse("p").unwrap(),
        presence: Presence::Present,
        power: DesiredPower::Running,
        hold: false,
        shape: shape(1),
        keep_previous: false,
        build: Build(0),
        seen_build: None,
        image: None,
        reboot: None,
        boot: BootData::default(),
        nic: Nic::None,
        rules: None,
    }
}

fn built(power: PowerState) -> Built {
    Built {
        build: Build(0),
        shape: shape(1),
        previous: None,
        power,
        marks: Marks {
            settled: Generation(4),
            rebooted: None,
        },
        launched_at: None,
        addresses: Vec::new(),
        mac: None,
        forwards: Vec::new(),
    }
}

fn settled(power: PowerState) -> Built {
    Built {
        marks: Marks {
            settled: Generation(5),
            rebooted: None,
        },
        ..built(power)
    }
}

fn decide_one(desired: &DesiredServer, built: Built, patience: Patience) -> Decision {
    decide(
        Some(desired),
        &Actual::Built(Box::new(built)),
        Memory {
            failed: None,
            patience,
        },
    )
}

#[test]
fn the_table_of_power_states_is_the_one_in_the_header() {
    use DesiredPower as D;
    use PowerState as P;
    let table = [
        (D::Running, P::Shutdown, Step::Start),
        (D::Running, P::Crashed, Step::PowerOff),
        (D::Running, P::Running, Step::Mark),
        (D::Running, P::Paused, Step::Unpause),
        (D::Running, P::Suspended, Step::Resume),
        (D::Stopped, P::Shutdown, Step::Mark),
        (D::Stopped, P::Crashed, Step::PowerOff),
        (D::Stopped, P::Running, Step::AskShutdown),
        (D::Stopped, P::Paused, Step::PowerOff),
        (D::Stopped, P::Suspended, Step::PowerOff),
        (D::Paused, P::Shutdown, Step::Start),
        (D::Paused, P::Crashed, Step::PowerOff),
        (D::Paused, P::Running, Step::Pause),
        (D::Paused, P::Paused, Step::Mark),
        (D::Paused, P::Suspended, Step::Resume),
        (D::Suspended, P::Shutdown, Step::Start),
        (D::Suspended, P::Crashed, Step::PowerOff),
        (D::Suspended, P::Running, Step::Suspend),
        (D::Suspended, P::Paused, Step::Suspend),
        (D::Suspended, P::Suspended, Step::Mark),
    ];
    assert_eq!(table.len(), WANTED.len() * POWERS.len());
    for (power, is, step) in table {
        let wish = DesiredServer { power, ..desired() };
        let decision = decide_one(&wish, built(is), Patience::Unasked);
        assert_eq!(
            decision,
            Decision::Do(step),
            "{power:?} wanted, {is:?} found"
        );
    }
}

#[test]
fn a_guest_that_was_asked_to_shut_down_is_waited_for_and_then_cut_off() {
    let wish = DesiredServer {
        power: DesiredPower::Stopped,
        ..desired()
    };
    let running = built(PowerState::Running);
    assert_eq!(
        decide_one(&wish, running.clone(), Patience::Waiting),
        Decision::AwaitShutdown
    );
    assert_eq!(
        decide_one(&wish, running, Patience::Exhausted),
        Decision::Do(Step::PowerOff)
    );
}

#[test]
fn a_start_that_comes_while_the_guest_shuts_down_waits_for_that_first() {
    let wish = desired();
    let running = built(PowerState::Running);
    assert_eq!(
        decide_one(&wish, running.clone(), Patience::Waiting),
        Decision::AwaitShutdown
    );
    assert_eq!(
        decide_one(&wish, running, Patience::Exhausted),
        Decision::Do(Step::Mark)
    );
    let off = built(PowerState::Shutdown);
    assert_eq!(
        decide_one(&wish, off, Patience::Unasked),
        Decision::Do(Step::Start)
    );
}

#[test]
fn a_guest_that_leaves_a_fulfilled_wish_by_itself_is_left_alone() {
    for power in WANTED {
        let wish = DesiredServer { power, ..desired() };
        for is in POWERS {
            let phase = if power_matches(power, is) {
                Phase::Settled
            } else {
                Phase::Drifted
            };
            let decision = decide_one(&wish, settled(is), Patience::Unasked);
            assert_eq!(
                decision,
                Decision::Rest(phase),
                "{power:?} wanted, {is:?} found"
            );
        }
    }
}

#[test]
fn a_deleted_server_is_destroyed_whatever_state_it_is_in() {
    let wish = DesiredServer {
        presence: Presence::Deleted,
        hold: true,
        ..desired()
    };
    assert_eq!(
        decide(Some(&wish), &Actual::Absent, FRESH),
        Decision::Rest(Phase::Gone)
    );
    assert_eq!(
        decide(Some(&wish), &Actual::Incomplete, FRESH),
        Decision::Do(Step::Destroy)
    );
    for is in POWERS {
        let decision = decide_one(&wish, settled(is), Patience::Waiting);
        assert_eq!(decision, Decision::Do(Step::Destroy));
    }
}

#[test]
fn what_the_controller_does_not_know_is_never_touched() {
    assert_eq!(
        decide(None, &Actual::Absent, FRESH),
        Decision::Rest(Phase::Gone)
    );
    assert_eq!(
        decide(None, &Actual::Incomplete, FRESH),
        Decision::Rest(Phase::Orphaned)
    );
    let actual = Actual::Built(Box::new(built(PowerState::Running)));
    assert_eq!(
        decide(None, &actual, FRESH),
        Decision::Rest(Phase::Orphaned)
    );
}

#[test]
fn a_wish_that_failed_is_not_tried_again_until_it_changes() {
    let wish = desired();
    let failed = Memory {
        failed: Some(wish.generation),
        ..FRESH
    };
    assert_eq!(
        decide(Some(&wish), &Actual::Absent, failed),
        Decision::Rest(Phase::Failed)
    );
    let newer = DesiredServer {
        generation: Generation(6),
        ..wish
    };
    assert_eq!(
        decide(Some(&newer), &Actual::Absent, failed),
        Decision::Do(Step::Build)
    );
}

#[test]
fn a_held_server_is_only_looked_at() {
    let wish = DesiredServer {
        hold: true,
        ..desired()
    };
    assert_eq!(
        decide(Some(&wish), &Actual::Absent, FRESH),
        Decision::Rest(Phase::Held)
    );
    let decision = decide_one(&wish, built(PowerState::Crashed), Patience::Unasked);
    assert_eq!(decision, Decision::Rest(Phase::Held));
}

#[test]
fn lost_disks_are_a_fault_and_never_silently_made_anew() {
    let wish = DesiredServer {
        seen_build: Some(Build(0)),
        ..desired()
    };
    assert_eq!(decide(Some(&wish), &Actual::Absent, FRESH), Decision::Lost);
    let rebuild = DesiredServer {
        build: Build(1),
        ..wish
    };
    assert_eq!(
        decide(Some(&rebuild), &Actual::Absent, FRESH),
        Decision::Do(Step::Build)
    );
}

#[test]
fn half_made_disks_are_made_again() {
    assert_eq!(
        decide(Some(&desired()), &Actual::Incomplete, FRESH),
        Decision::Do(Step::Build)
    );
}

#[test]
fn a_rebuild_cuts_the_power_without_asking() {
    let wish = DesiredServer {
        build: Build(1),
        ..desired()
    };
    for is in [
        PowerState::Running,
        PowerState::Paused,
        PowerState::Suspended,
    ] {
        let decision = decide_one(&wish, built(is), Patience::Waiting);
        assert_eq!(decision, Decision::Do(Step::PowerOff));
    }
    let off = built(PowerState::Shutdown);
    assert_eq!(
        decide_one(&wish, off, Patience::Unasked),
        Decision::Do(Step::Build)
    );
}

#[test]
fn a_resize_asks_the_guest_to_shut_down_first() {
    let wish = DesiredServer {
        shape: shape(2),
        keep_previous: true,
        ..desired()
    };
    let running = built(PowerState::Running);
    assert_eq!(
        decide_one(&wish, running, Patience::Unasked),
        Decision::Do(Step::AskShutdown)
    );
    let off = built(PowerState::Shutdown);
    assert_eq!(
        decide_one(&wish, off, Patience::Unasked),
        Decision::Do(Step::Resize)
    );
}

#[test]
fn the_shape_before_a_resize_is_reverted_to_and_another_is_resized_to() {
    let resized = Built {
        shape: shape(2),
        previous: Some(shape(1)),
        ..built(PowerState::Shutdown)
    };
    let back = DesiredServer {
        shape: shape(1),
        ..desired()
    };
    assert_eq!(
        decide_one(&back, resized.clone(), Patience::Unasked),
        Decision::Do(Step::RevertResize)
    );
    let further = DesiredServer {
        shape: shape(3),
        ..desired()
    };
    assert_eq!(
        decide_one(&further, resized.clone(), Patience::Unasked),
        Decision::Do(Step::Resize)
    );
    let confirm = DesiredServer {
        shape: shape(2),
        ..desired()
    };
    assert_eq!(
        decide_one(&confirm, resized, Patience::Unasked),
        Decision::Do(Step::ConfirmResize)
    );
}

#[test]
fn a_hard_reboot_does_not_ask_and_a_soft_one_does() {
    let nonce = RebootNonce(3);
    let running = built(PowerState::Running);
    for (kind, step) in [
        (RebootKind::Hard, Step::PowerOff),
        (RebootKind::Soft, Step::AskShutdown),
    ] {
        let wish = DesiredServer {
            reboot: Some(RebootRequest { kind, nonce }),
            ..desired()
        };
        let decision = decide_one(&wish, running.clone(), Patience::Unasked);
        assert_eq!(decision, Decision::Do(step));
        let done = Built {
            marks: Marks {
                settled: Generation(4),
                rebooted: Some(nonce),
            },
            ..running.clone()
        };
        assert_eq!(
            decide_one(&wish, done, Patience::Unasked),
            Decision::Do(Step::Mark)
        );
    }
}

#[test]
fn a_hard_reboot_does_not_wait_for_an_earlier_request_to_shut_down() {
    let reboot = Some(RebootRequest {
        kind: RebootKind::Hard,
        nonce: RebootNonce(1),
    });
    let wish = DesiredServer {
        reboot,
        ..desired()
    };
    let decision = decide_one(&wish, built(PowerState::Running), Patience::Waiting);
    assert_eq!(decision, Decision::Do(Step::PowerOff));
}
