//! What is asked of a server, one thing after another.

use std::collections::BTreeSet;
use std::sync::Arc;

use luc_agent::desired::{
    Build, DesiredPower, DesiredServer, HostPlace, PlacementRules, Presence, RebootKind,
    RebootNonce, RebootRequest,
};
use luc_agent::driver::{Actual, Driver};
use luc_agent::fake::{FakeConfig, FakeDriver};
use luc_agent::observed::{Phase, PowerState};
use luc_agent::testing::{MemoryController, server};
use luc_core::time::Duration;
use luc_core::units::{MemoryMib, Vcpus};

use crate::house::{House, id, start};

#[tokio::test(start_paused = true)]
async fn a_server_lives_from_wish_to_removal() {
    let house = House::new(FakeConfig::default());
    let (one, controller) = (id("one"), &house.controller);
    let running = house.want(server("one")).await;
    assert_eq!(
        (running.phase, running.power),
        (Phase::Settled, PowerState::Running)
    );
    assert!(running.launched_at.is_some());

    for (power, expected) in [
        (DesiredPower::Paused, PowerState::Paused),
        (DesiredPower::Running, PowerState::Running),
        (DesiredPower::Suspended, PowerState::Suspended),
        (DesiredPower::Running, PowerState::Running),
        (DesiredPower::Stopped, PowerState::Shutdown),
        (DesiredPower::Running, PowerState::Running),
    ] {
        let observed = house.change(&one, |wish| wish.power = power).await;
        assert_eq!((observed.phase, observed.power), (Phase::Settled, expected));
    }

    let gone = house
        .change(&one, |wish| wish.presence = Presence::Deleted)
        .await;
    assert_eq!((gone.phase, gone.power), (Phase::Gone, PowerState::NoState));
    assert!(house.driver.list().await.unwrap().is_empty());
    controller.forget(&one);
    house.agent.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn a_reboot_happens_once_for_each_request() {
    let house = House::new(FakeConfig::default());
    let one = id("one");
    house.want(server("one")).await;
    for (nonce, kind) in [(1, RebootKind::Soft), (2, RebootKind::Hard)] {
        let reboot = Some(RebootRequest {
            kind,
            nonce: RebootNonce(nonce),
        });
        let observed = house.change(&one, |wish| wish.reboot = reboot).await;
        assert_eq!(
            (observed.phase, observed.power),
            (Phase::Settled, PowerState::Running)
        );
        house.change(&one, |wish| wish.name.push('!')).await;
        assert_eq!(house.agent.metrics().steps_done["start"], 1 + nonce);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deaf_guest_is_cut_off_when_patience_ends() {
    let house = House::new(FakeConfig::default());
    let mut deaf = server("deaf");
    deaf.boot
        .metadata
        .insert("luc:fake-acpi".into(), "ignored".into());
    house.want(deaf).await;
    let before = tokio::time::Instant::now();
    let observed = house
        .change(&id("deaf"), |wish| wish.power = DesiredPower::Stopped)
        .await;
    assert_eq!(observed.power, PowerState::Shutdown);
    assert_eq!(before.elapsed().as_secs(), 60);
    assert_eq!(house.agent.metrics().steps_done["power_off"], 1);
    assert_eq!(house.agent.metrics().steps_done["ask_shutdown"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_boots_is_asked_again_and_obeys() {
    // It hears the third request, after ten seconds.
    let driver = FakeDriver::open(FakeConfig::default()).unwrap();
    let controller = Arc::new(MemoryController::new());
    let mut slow = server("slow");
    slow.boot
        .metadata
        .insert("luc:fake-acpi".into(), "ignored:2".into());
    let _agent = start(&controller, &driver);
    controller.want(slow);
    let slow = id("slow");
    controller.wait_for_end(&slow).await;
    let before = tokio::time::Instant::now();
    controller.change(&slow, |wish| wish.power = DesiredPower::Stopped);
    assert_eq!(
        controller.wait_for_end(&slow).await.power,
        PowerState::Shutdown
    );
    assert_eq!(before.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_delete_does_not_wait_for_a_guest_that_is_asked_to_shut_down() {
    let house = House::new(FakeConfig::default());
    let deaf = id("deaf");
    let mut wish = server("deaf");
    wish.boot
        .metadata
        .insert("luc:fake-acpi".into(), "ignored".into());
    house.want(wish).await;
    house
        .controller
        .change(&deaf, |wish| wish.power = DesiredPower::Stopped);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = tokio::time::Instant::now();
    let gone = house
        .change(&deaf, |wish| wish.presence = Presence::Deleted)
        .await;
    assert_eq!(gone.phase, Phase::Gone);
    assert!(
        before.elapsed() < Duration::from_secs(1),
        "it took {:?}",
        before.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_resize_is_reverted_or_confirmed_as_the_controller_says() {
    let house = House::new(FakeConfig::default());
    let one = id("one");
    let small = server("one").shape;
    let large = luc_agent::desired::Shape {
        vcpus: Vcpus(2),
        memory: MemoryMib(128),
        ..small
    };
    house.want(server("one")).await;
    for (shape, keep, expected) in [
        (large, true, large),
        (small, false, small),
        (large, true, large),
        (large, false, large),
    ] {
        let change = |wish: &mut DesiredServer| {
            wish.shape = shape;
            wish.keep_previous = keep;
        };
        let observed = house.change(&one, change).await;
        assert_eq!(
            (observed.phase, observed.shape),
            (Phase::Settled, Some(expected))
        );
        assert_eq!(
            observed.power,
            PowerState::Running,
            "it runs again after a resize"
        );
    }
    let Actual::Built(built) = house.driver.inspect(&one).await.unwrap() else {
        panic!()
    };
    assert_eq!(built.previous, None);
    let steps = house.agent.metrics().steps_done;
    assert_eq!(
        (
            steps["resize"],
            steps["revert_resize"],
            steps["confirm_resize"]
        ),
        (2, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_makes_new_disks_and_starts_the_guest_again() {
    let house = House::new(FakeConfig::default());
    let one = id("one");
    house.want(server("one")).await;
    let observed = house.change(&one, |wish| wish.build = Build(1)).await;
    assert_eq!(
        (observed.phase, observed.power),
        (Phase::Settled, PowerState::Running)
    );
    assert_eq!(house.agent.metrics().steps_done["build"], 2);
}

#[tokio::test(start_paused = true)]
async fn new_rules_are_known_at_once_and_touch_nothing() {
    let house = House::new(FakeConfig::default());
    let one = id("one");
    let before = house.want(server("one")).await;
    let labels = BTreeSet::from(["zone:a".to_owned()]);
    let rules = PlacementRules {
        labels: labels.clone(),
        ..PlacementRules::default()
    };
    // The generation is the same: there is nothing to do.
    house.controller.want(DesiredServer {
        rules: Some(rules.clone()),
        ..server("one")
    });
    house.controller.set_place(HostPlace { labels });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(house.agent.wishes()[0].rules, Some(rules));
    assert!(house.agent.place().labels.contains("zone:a"));
    let after = house.controller.observed(&one).unwrap();
    assert_eq!(
        (after.phase, after.power, after.launched_at),
        (before.phase, before.power, before.launched_at)
    );
    house.controller.forget(&one);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(house.agent.wishes().is_empty());
}
