//! What goes wrong, and what the controller hears of it.

use std::sync::Arc;

use luc_agent::desired::{Build, DesiredPower, DesiredServer, Presence};
use luc_agent::driver::{Actual, Driver};
use luc_agent::fake::{FAULT_KEY, FakeConfig, FakeDriver};
use luc_agent::observed::{Observed, Phase, PowerState};
use luc_agent::testing::{MemoryController, server};
use luc_core::time::Duration;

use crate::house::{House, delays, id, start};

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_is_tried_again_and_counted() {
    let house = House::new(FakeConfig::default());
    let mut wish = server("one");
    wish.boot
        .metadata
        .insert(FAULT_KEY.into(), "start:transient:3".into());
    let observed = house.want(wish).await;
    assert_eq!((observed.phase, observed.fault), (Phase::Settled, None));
    assert_eq!(house.agent.metrics().steps_failed["start"], 3);
    let retries = house
        .controller
        .history()
        .into_iter()
        .map(|seen| seen.retries)
        .max();
    assert_eq!(retries, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_stays_is_a_fault_and_is_not_tried_for_ever() {
    let house = House::new(FakeConfig::default());
    for (name, fault, tries) in [
        ("permanent", "start:permanent", 1),
        ("stubborn", "start:transient", 6),
    ] {
        let before = house.agent.metrics().steps_failed["start"];
        let mut wish = server(name);
        wish.boot.metadata.insert(FAULT_KEY.into(), fault.into());
        let observed = house.want(wish).await;
        assert_eq!(observed.phase, Phase::Failed);
        let message = observed.fault.unwrap().message;
        assert!(
            message.contains("injected failure of step start"),
            "{message}"
        );
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(house.agent.metrics().steps_failed["start"] - before, tries);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_wish_after_a_fault_is_tried_afresh() {
    let house = House::new(FakeConfig::default());
    let one = id("one");
    let mut wish = server("one");
    wish.boot
        .metadata
        .insert(FAULT_KEY.into(), "start:permanent:1".into());
    assert_eq!(house.want(wish).await.phase, Phase::Failed);
    let observed = house.change(&one, |_| {}).await;
    assert_eq!(
        (observed.phase, observed.power),
        (Phase::Settled, PowerState::Running)
    );
    assert_eq!(observed.fault, None);
}

#[tokio::test(start_paused = true)]
async fn a_held_server_is_not_touched_and_can_still_be_deleted() {
    let house = House::new(FakeConfig::default());
    let one = id("one");
    house.controller.want(DesiredServer {
        hold: true,
        ..server("one")
    });
    let held = house
        .controller
        .wait_for(&one, |seen| seen.phase == Phase::Held)
        .await;
    assert_eq!(held.power, PowerState::NoState);
    let gone = house
        .change(&one, |wish| wish.presence = Presence::Deleted)
        .await;
    assert_eq!(gone.phase, Phase::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_stops_by_itself_is_told_and_left_off() {
    let house = House::new(FakeConfig::default());
    let one = id("one");
    house.want(server("one")).await;
    house.driver.shut_down_from_inside(&one).unwrap();
    let told = house
        .controller
        .wait_for(&one, |seen| seen.phase == Phase::Drifted)
        .await;
    assert_eq!(told.power, PowerState::Shutdown);
    house.change(&one, |_| {}).await;
    house.driver.crash(&one).unwrap();
    let told = house
        .controller
        .wait_for(&one, |seen| seen.phase == Phase::Drifted)
        .await;
    assert_eq!(told.power, PowerState::Crashed);
    assert_eq!(house.agent.metrics().steps_done["start"], 2);
    let again = house.change(&one, |_| {}).await;
    assert_eq!(
        (again.phase, again.power),
        (Phase::Settled, PowerState::Running)
    );
}

#[tokio::test(start_paused = true)]
async fn guests_that_lost_their_host_come_back_as_they_were_wanted() {
    let mut house = House::new(FakeConfig::default());
    let wanted = [
        ("running", DesiredPower::Running, PowerState::Running),
        ("stopped", DesiredPower::Stopped, PowerState::Shutdown),
        ("paused", DesiredPower::Paused, PowerState::Paused),
        ("suspended", DesiredPower::Suspended, PowerState::Suspended),
    ];
    for (name, power, is) in wanted {
        assert_eq!(
            house
                .want(DesiredServer {
                    power,
                    ..server(name)
                })
                .await
                .power,
            is
        );
    }
    house.driver.lose_power().unwrap();
    house.crash();
    for (name, _, is) in wanted {
        let name = id(name);
        let settled = |seen: &Observed| seen.phase == Phase::Settled && seen.power == is;
        house.controller.wait_for(&name, settled).await;
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_the_controller_does_not_know_are_named_and_left_alone() {
    let mut house = House::new(FakeConfig::default());
    house.want(server("stray")).await;
    house.controller.forget(&id("stray"));
    house.crash();
    let stray = id("stray");
    house
        .controller
        .wait_for(&stray, |seen| seen.phase == Phase::Orphaned)
        .await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let heartbeat = house.controller.heartbeat_seen().unwrap();
    assert_eq!(heartbeat.orphans, std::slice::from_ref(&stray));
    assert!(matches!(
        house.driver.inspect(&stray).await.unwrap(),
        Actual::Built(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn disks_that_vanished_are_a_fault_and_not_made_anew() {
    let mut house = House::new(FakeConfig::default());
    let one = id("one");
    house.want(server("one")).await;
    house.driver.destroy(&one).await.unwrap();
    house.crash();
    let seen_build = Some(Build(0));
    let observed = house
        .change(&one, |wish| wish.seen_build = seen_build)
        .await;
    assert_eq!(observed.phase, Phase::Failed);
    assert!(
        observed
            .fault
            .unwrap()
            .message
            .contains("not on this host any more")
    );
    assert_eq!(house.driver.inspect(&one).await.unwrap(), Actual::Absent);
}

#[tokio::test(start_paused = true)]
async fn while_the_controller_is_away_work_goes_on_and_reports_wait() {
    let house = House::new(FakeConfig {
        delays: delays(1000),
        ..FakeConfig::default()
    });
    let one = id("one");
    house.controller.want(server("one"));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    house.controller.set_away(true);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(
        house.agent.metrics().steps_done["mark"],
        1,
        "the work stopped"
    );
    assert_ne!(
        house.controller.observed(&one).unwrap().phase,
        Phase::Settled
    );
    assert!(house.agent.metrics().report_failures > 10);
    house.controller.set_away(false);
    let observed = house.controller.wait_for_end(&one).await;
    assert_eq!(
        (observed.phase, observed.power),
        (Phase::Settled, PowerState::Running)
    );
    let gone = house
        .change(&one, |wish| wish.presence = Presence::Deleted)
        .await;
    assert_eq!(gone.phase, Phase::Gone, "wishes are not followed any more");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_starts_before_its_controller_waits_for_it() {
    let controller = Arc::new(MemoryController::new());
    controller.set_away(true);
    controller.want(server("one"));
    let driver = FakeDriver::open(FakeConfig::default()).unwrap();
    let _agent = start(&controller, &driver);
    tokio::time::sleep(Duration::from_secs(100)).await;
    controller.set_away(false);
    assert_eq!(
        controller.wait_for_end(&id("one")).await.phase,
        Phase::Settled
    );
}
