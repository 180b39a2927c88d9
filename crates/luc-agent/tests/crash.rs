//! The agent dies at any moment and another one goes on: the end is the same.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::sync::Arc;

use luc_agent::agent::{Agent, AgentConfig};
use luc_agent::backoff::Backoff;
use luc_agent::controller::Controller;
use luc_agent::desired::{
    Build, DesiredPower, DesiredServer, Presence, RebootKind, RebootNonce, RebootRequest, Shape,
};
use luc_agent::driver::{Actual, Built, Driver};
use luc_agent::fake::{Delays, FakeConfig, FakeDriver, FaultKind, FaultRule};
use luc_agent::observed::{Phase, PowerState};
use luc_agent::testing::{MemoryController, server};
use luc_core::id::ServerId;
use luc_core::time::Duration;
use luc_core::units::{MemoryMib, Vcpus};
use proptest::prelude::*;

const STEP: Duration = Duration::from_millis(100);

/// What each server of a test goes through.
#[derive(Clone, Debug)]
enum Act {
    Power(DesiredPower),
    Reboot(RebootKind),
    Resize { large: bool, keep: bool },
    Rebuild,
    Rename,
    Delete,
}

fn apply(act: &Act, wish: &mut DesiredServer) {
    let small = server("any").shape;
    match act {
        Act::Power(power) => wish.power = *power,
        Act::Reboot(kind) => {
            let nonce = wish.reboot.map_or(1, |reboot| reboot.nonce.0 + 1);
            wish.reboot = Some(RebootRequest {
                kind: *kind,
                nonce: RebootNonce(nonce),
            });
        }
        Act::Resize { large, keep } => {
            let bigger = Shape {
                vcpus: Vcpus(2),
                memory: MemoryMib(128),
                ..small
            };
            wish.shape = if *large { bigger } else { small };
            wish.keep_previous = *keep;
        }
        Act::Rebuild => wish.build = Build(wish.build.0 + 1),
        Act::Rename => wish.name.push('!'),
        Act::Delete => wish.presence = Presence::Deleted,
    }
}

fn start(controller: &Arc<MemoryController>, driver: Arc<dyn Driver>) -> Agent {
    let controller: Arc<dyn Controller> = controller.clone();
    let config = AgentConfig {
        // Retries of injected failures are many in these tests; none may become a fault.
        tries_max: 100,
        step_backoff: Backoff {
            first: STEP,
            longest: STEP,
        },
        ..AgentConfig::default()
    };
    Agent::start(config, controller, driver)
}

fn config(seed: u64, failure_rate: f64) -> FakeConfig {
    let rule = FaultRule {
        step: None,
        name_contains: String::new(),
        rate: failure_rate,
        kind: FaultKind::Transient,
    };
    FakeConfig {
        delays: Delays::all(STEP, STEP),
        seed,
        faults: vec![rule],
        ..FakeConfig::default()
    }
}

async fn inspect(driver: &dyn Driver, id: &ServerId) -> Actual {
    driver.inspect(id).await.unwrap()
}

/// What must hold of a server once its wish has come to its end.
fn assert_fulfilled(wish: &DesiredServer, actual: &Actual, context: &str) {
    if wish.presence == Presence::Deleted {
        assert_eq!(*actual, Actual::Absent, "{context}");
        return;
    }
    let Actual::Built(built) = actual else {
        panic!("{context}: {actual:?}")
    };
    let Built {
        build,
        shape,
        previous,
        power,
        marks,
        ..
    } = &**built;
    let expected = match wish.power {
        DesiredPower::Running => PowerState::Running,
        DesiredPower::Stopped => PowerState::Shutdown,
        DesiredPower::Paused => PowerState::Paused,
        DesiredPower::Suspended => PowerState::Suspended,
    };
    assert_eq!(
        (*power, *build, *shape),
        (expected, wish.build, wish.shape),
        "{context}"
    );
    assert_eq!(marks.settled, wish.generation, "{context}");
    assert_eq!(
        marks.rebooted,
        wish.reboot.map(|reboot| reboot.nonce),
        "{context}"
    );
    assert!(
        wish.keep_previous || previous.is_none(),
        "{context}: kept {previous:?}"
    );
}

/// Every act on a running server, and the agent dies `crash_after` into it.
async fn crash_into(act: &Act, crash_after: Duration, directory: Option<&Path>) -> Duration {
    let config = FakeConfig {
        directory: directory.map(Path::to_owned),
        delays: Delays::all(STEP, STEP),
        ..FakeConfig::default()
    };
    let controller = Arc::new(MemoryController::new());
    let mut driver = FakeDriver::open(config.clone()).unwrap();
    let id = ServerId::parse("one").unwrap();
    let agent = start(&controller, Arc::new(driver.clone()));
    controller.want(server("one"));
    controller.wait_for_end(&id).await;

    let began = tokio::time::Instant::now();
    controller.change(&id, |wish| apply(act, wish));
    tokio::time::sleep(crash_after).await;
    drop(agent);
    if directory.is_some() {
        // The process is gone: all that is left is on disk.
        driver = FakeDriver::open(config).unwrap();
    }
    let _agent = start(&controller, Arc::new(driver.clone()));
    let end = controller.wait_for_end(&id).await;
    assert_ne!(
        end.phase,
        Phase::Failed,
        "{act:?} {crash_after:?}: {:?}",
        end.fault
    );
    let wish = controller.wish(&id).unwrap();
    let context = format!("{act:?}, crash after {crash_after:?}");
    assert_fulfilled(&wish, &inspect(&driver, &id).await, &context);
    began.elapsed()
}

fn every_act() -> Vec<Act> {
    vec![
        Act::Power(DesiredPower::Stopped),
        Act::Power(DesiredPower::Paused),
        Act::Power(DesiredPower::Suspended),
        Act::Reboot(RebootKind::Soft),
        Act::Reboot(RebootKind::Hard),
        Act::Resize {
            large: true,
            keep: true,
        },
        Act::Resize {
            large: true,
            keep: false,
        },
        Act::Rebuild,
        Act::Rename,
        Act::Delete,
    ]
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_dies_in_any_step_is_replaced_by_one_that_finishes() {
    for act in every_act() {
        for twentieth in 0..25 {
            crash_into(&act, STEP * twentieth / 4, None).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_in_any_step_finds_its_servers_on_disk_and_finishes() {
    for act in every_act() {
        for twentieth in 0..12 {
            let directory = tempfile::tempdir().unwrap();
            crash_into(&act, STEP * twentieth / 2, Some(directory.path())).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_dies_while_it_creates_is_replaced_by_one_that_finishes() {
    for quarter in 0..16 {
        let controller = Arc::new(MemoryController::new());
        let driver = FakeDriver::open(config(0, 0.0)).unwrap();
        let id = ServerId::parse("one").unwrap();
        let agent = start(&controller, Arc::new(driver.clone()));
        controller.want(server("one"));
        tokio::time::sleep(STEP * quarter / 4).await;
        drop(agent);
        let _agent = start(&controller, Arc::new(driver.clone()));
        controller.wait_for_end(&id).await;
        let wish = controller.wish(&id).unwrap();
        assert_fulfilled(
            &wish,
            &inspect(&driver, &id).await,
            &format!("quarter {quarter}"),
        );
    }
}

fn any_act() -> impl Strategy<Value = Act> {
    let power = prop_oneof![
        Just(DesiredPower::Running),
        Just(DesiredPower::Stopped),
        Just(DesiredPower::Paused),
        Just(DesiredPower::Suspended),
    ];
    let kind = prop_oneof![Just(RebootKind::Soft), Just(RebootKind::Hard)];
    prop_oneof![
        8 => power.prop_map(Act::Power),
        3 => kind.prop_map(Act::Reboot),
        3 => any::<(bool, bool)>().prop_map(|(large, keep)| Act::Resize { large, keep }),
        2 => Just(Act::Rebuild),
        1 => Just(Act::Rename),
        1 => Just(Act::Delete),
    ]
}

/// What happens next, after a pause.
#[derive(Clone, Debug)]
enum Event {
    Act { server: usize, act: Act },
    Crash,
    HostDown,
    GuestShutsDown { server: usize },
    GuestCrashes { server: usize },
    ControllerAway(bool),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => (0..3_usize, any_act()).prop_map(|(server, act)| Event::Act { server, act }),
        4 => Just(Event::Crash),
        1 => Just(Event::HostDown),
        1 => (0..3_usize).prop_map(|server| Event::GuestShutsDown { server }),
        1 => (0..3_usize).prop_map(|server| Event::GuestCrashes { server }),
        2 => any::<bool>().prop_map(Event::ControllerAway),
    ]
}

async fn live_through(events: Vec<(u64, Event)>, seed: u64) {
    let controller = Arc::new(MemoryController::new());
    let driver = FakeDriver::open(config(seed, 0.1)).unwrap();
    let ids: Vec<ServerId> = (0..3)
        .map(|number| ServerId::parse(&format!("s{number}")).unwrap())
        .collect();
    let mut agent = start(&controller, Arc::new(driver.clone()));
    for id in &ids {
        controller.want(server(id.as_str()));
    }
    for (pause, event) in &events {
        tokio::time::sleep(Duration::from_millis(*pause)).await;
        match event {
            Event::Act { server, act } => {
                let deleted = controller.wish(&ids[*server]).unwrap().presence;
                if deleted == Presence::Present {
                    controller.change(&ids[*server], |wish| apply(act, wish));
                }
            }
            Event::Crash => agent = start(&controller, Arc::new(driver.clone())),
            Event::HostDown => {
                driver.lose_power().unwrap();
                agent = start(&controller, Arc::new(driver.clone()));
            }
            // They may have nothing to shut down.
            Event::GuestShutsDown { server } => {
                let _ = driver.shut_down_from_inside(&ids[*server]);
            }
            Event::GuestCrashes { server } => {
                let _ = driver.crash(&ids[*server]);
            }
            Event::ControllerAway(away) => controller.set_away(*away),
        }
    }
    controller.set_away(false);
    for id in &ids {
        // A new number, since a guest that left a fulfilled wish by itself is left alone.
        let generation = controller.change(id, |_| {});
        let end = tokio::time::timeout(Duration::from_secs(3600), controller.wait_for_end(id));
        let end = end
            .await
            .unwrap_or_else(|_| panic!("{id} never settles: {events:?}"));
        assert_eq!(end.generation, generation);
        assert_ne!(end.phase, Phase::Failed, "{:?} {events:?}", end.fault);
        let wish = controller.wish(id).unwrap();
        assert_fulfilled(
            &wish,
            &inspect(&driver, id).await,
            &format!("{id}: {events:?}"),
        );
    }
    drop(agent);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_servers_end_up_as_wanted(
        events in proptest::collection::vec((0..400_u64, any_event()), 0..30),
        seed: u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(live_through(events, seed));
    }
}
