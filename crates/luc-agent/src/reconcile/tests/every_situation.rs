//! Every wish from every state, driven to its end against a model of a driver.

use std::collections::BTreeSet;

use super::*;

/// Carries out `step` as a driver that always succeeds.
fn carry_out(step: Step, desired: &DesiredServer, actual: &mut Actual) {
    if step == Step::Build {
        let before = match actual {
            Actual::Built(built) => built.marks,
            Actual::Absent | Actual::Incomplete => Marks::default(),
        };
        *actual = Actual::Built(Box::new(Built {
            build: desired.build,
            shape: desired.shape,
            marks: before,
            ..built(PowerState::Shutdown)
        }));
        return;
    }
    if step == Step::Destroy {
        *actual = Actual::Absent;
        return;
    }
    let Actual::Built(built) = actual else {
        panic!("{step} on a server without disks")
    };
    match step {
        Step::Start => {
            assert_eq!(built.power, PowerState::Shutdown, "started while not off");
            built.power = PowerState::Running;
            built.marks.rebooted = rebooted(desired, built.marks);
        }
        Step::AskShutdown => assert_eq!(built.power, PowerState::Running),
        Step::PowerOff => built.power = PowerState::Shutdown,
        Step::Pause => built.power = PowerState::Paused,
        Step::Unpause | Step::Resume => built.power = PowerState::Running,
        Step::Suspend => built.power = PowerState::Suspended,
        Step::Resize => {
            assert_eq!(built.power, PowerState::Shutdown, "resized while not off");
            built.previous = desired.keep_previous.then_some(built.shape);
            built.shape = desired.shape;
        }
        Step::RevertResize => {
            assert_eq!(built.power, PowerState::Shutdown, "reverted while not off");
            built.shape = built.previous.take().unwrap();
        }
        Step::ConfirmResize => built.previous = None,
        Step::Mark => built.marks = marks(desired, built.marks),
        Step::Build | Step::Destroy => unreachable!("handled above"),
    }
}

/// Drives the situation to rest; a guest obeys or ignores a request to shut down.
fn drive(desired: &DesiredServer, mut actual: Actual, obeys: bool) -> (Actual, Phase, usize) {
    let mut patience = Patience::Unasked;
    for steps in 0..16 {
        match decide(
            Some(desired),
            &actual,
            Memory {
                failed: None,
                patience,
            },
        ) {
            Decision::Rest(phase) => return (actual, phase, steps),
            Decision::Lost => panic!("nothing was lost here"),
            Decision::AwaitShutdown if obeys => {
                if let Actual::Built(built) = &mut actual {
                    built.power = PowerState::Shutdown;
                }
                patience = Patience::Unasked;
            }
            Decision::AwaitShutdown => patience = Patience::Exhausted,
            Decision::Do(step) => {
                patience = match step {
                    Step::AskShutdown => Patience::Waiting,
                    _ => Patience::Unasked,
                };
                carry_out(step, desired, &mut actual);
            }
        }
    }
    panic!("no rest after 16 steps: {desired:?} {actual:?}");
}

fn every_actual() -> Vec<Actual> {
    let mut all = vec![Actual::Absent, Actual::Incomplete];
    for power in POWERS {
        for build in [0, 1] {
            for vcpus in [1, 2] {
                let base = Built {
                    build: Build(build),
                    shape: shape(vcpus),
                    ..built(power)
                };
                all.extend(every_past_of(&base));
            }
        }
    }
    all
}

/// What may have happened to `base` before.
fn every_past_of(base: &Built) -> Vec<Actual> {
    let mut all = Vec::new();
    for previous in [None, Some(shape(1)), Some(shape(3))] {
        for settled in [4, 5] {
            for rebooted in [None, Some(RebootNonce(1)), Some(RebootNonce(2))] {
                let marks = Marks {
                    settled: Generation(settled),
                    rebooted,
                };
                all.push(Actual::Built(Box::new(Built {
                    previous,
                    marks,
                    ..base.clone()
                })));
            }
        }
    }
    all
}

fn every_wish() -> Vec<DesiredServer> {
    let mut all = vec![DesiredServer {
        presence: Presence::Deleted,
        ..desired()
    }];
    let reboots = [None, Some(RebootKind::Soft), Some(RebootKind::Hard)];
    for power in WANTED {
        for reboot in reboots {
            for keep_previous in [false, true] {
                for vcpus in [1, 2] {
                    let reboot = reboot.map(|kind| RebootRequest {
                        kind,
                        nonce: RebootNonce(2),
                    });
                    all.push(DesiredServer {
                        power,
                        reboot,
                        keep_previous,
                        shape: shape(vcpus),
                        ..desired()
                    });
                }
            }
        }
    }
    all
}

fn assert_fulfilled(wish: &DesiredServer, before: &Actual, end: &Actual, phase: Phase) {
    if wish.presence == Presence::Deleted {
        assert_eq!((end, phase), (&Actual::Absent, Phase::Gone));
        return;
    }
    let Actual::Built(end) = end else {
        panic!("{wish:?} ended without disks")
    };
    assert_eq!(end.build, wish.build);
    assert_eq!(end.shape, wish.shape);
    assert_eq!(end.marks.settled, wish.generation);
    assert!(
        wish.keep_previous || end.previous.is_none(),
        "kept what was confirmed"
    );
    let was_settled =
        matches!(before, Actual::Built(before) if before.marks.settled == wish.generation);
    if was_settled {
        assert!(matches!(phase, Phase::Settled | Phase::Drifted));
    } else {
        assert_eq!(phase, Phase::Settled);
        assert!(
            power_matches(wish.power, end.power),
            "{wish:?} from {before:?} is {end:?}"
        );
        assert!(end.marks.rebooted >= wish.reboot.map(|reboot| reboot.nonce));
    }
}

#[test]
fn every_wish_is_reached_from_every_state_and_rests_there() {
    let mut longest = 0;
    let mut situations = 0;
    for wish in every_wish() {
        for before in every_actual() {
            for obeys in [false, true] {
                let (end, phase, steps) = drive(&wish, before.clone(), obeys);
                assert_fulfilled(&wish, &before, &end, phase);
                let (again, _, more) = drive(&wish, end.clone(), obeys);
                assert_eq!((again, more), (end, 0), "it does not stay at rest");
                longest = longest.max(steps);
                situations += 1;
            }
        }
    }
    assert_eq!(situations, every_wish().len() * every_actual().len() * 2);
    assert!(longest <= 9, "the longest way took {longest} steps");
}

#[test]
fn a_crash_before_or_after_any_step_changes_nothing_about_the_end() {
    for wish in every_wish() {
        for before in every_actual() {
            let (undisturbed, _, steps) = drive(&wish, before.clone(), true);
            for crash_after in 0..=steps {
                let survivor = drive_until_crash(&wish, before.clone(), crash_after);
                let (end, _, _) = drive(&wish, survivor, true);
                assert_eq!(end, undisturbed, "{wish:?} from {before:?}");
            }
        }
    }
}

/// Carries out `steps` decisions and then forgets everything but what is on disk.
fn drive_until_crash(desired: &DesiredServer, mut actual: Actual, steps: usize) -> Actual {
    let mut patience = Patience::Unasked;
    for _ in 0..steps {
        match decide(
            Some(desired),
            &actual,
            Memory {
                failed: None,
                patience,
            },
        ) {
            Decision::Do(step) => {
                if step == Step::AskShutdown {
                    patience = Patience::Waiting;
                }
                carry_out(step, desired, &mut actual);
            }
            Decision::AwaitShutdown => {
                if let Actual::Built(built) = &mut actual {
                    built.power = PowerState::Shutdown;
                }
                patience = Patience::Unasked;
            }
            Decision::Lost | Decision::Rest(_) => break,
        }
    }
    actual
}

#[test]
fn every_step_is_decided_somewhere_and_has_its_own_name() {
    let mut seen = BTreeSet::new();
    for wish in every_wish() {
        for actual in every_actual() {
            if let Decision::Do(step) = decide(Some(&wish), &actual, FRESH) {
                seen.insert(step);
            }
        }
    }
    assert_eq!(seen, Step::ALL.into_iter().collect());
    for step in Step::ALL {
        assert_eq!(Step::named(step.name()), Some(step));
    }
}
