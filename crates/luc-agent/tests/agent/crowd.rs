//! Many servers, and many wishes for one.

use luc_agent::desired::{DesiredPower, Generation, Presence};
use luc_agent::driver::{Actual, Driver, StartLimit, Step};
use luc_agent::fake::{Delays, FakeConfig};
use luc_agent::observed::{Phase, PowerState};
use luc_agent::testing::server;
use luc_core::time::Duration;

use crate::house::{House, delays, id};

#[tokio::test(start_paused = true)]
async fn guests_boot_a_few_at_a_time() {
    let limit = StartLimit {
        parallel: 2,
        hold: Duration::from_secs(3),
    };
    let house = House::new(FakeConfig {
        delays: Delays::none().with(Step::Start, Duration::from_secs(1), Duration::from_secs(1)),
        start_limit: Some(limit),
        ..FakeConfig::default()
    });
    let before = tokio::time::Instant::now();
    let names: Vec<String> = (0..10).map(|number| format!("s{number}")).collect();
    for name in &names {
        house.controller.want(server(name));
    }
    for name in &names {
        house.controller.wait_for_end(&id(name)).await;
    }
    // Five pairs; each keeps its places for 1 s of start and 3 s of boot, the last need not boot.
    assert_eq!(before.elapsed().as_secs(), 4 * 4 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_delete_overtakes_a_boot_that_waits_for_its_turn() {
    let limit = StartLimit {
        parallel: 1,
        hold: Duration::from_secs(1000),
    };
    let config = FakeConfig {
        start_limit: Some(limit),
        ..FakeConfig::default()
    };
    let house = House::new(config);
    house.want(server("first")).await;
    house.controller.want(server("second"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = tokio::time::Instant::now();
    let gone = house
        .change(&id("second"), |wish| wish.presence = Presence::Deleted)
        .await;
    assert_eq!(gone.phase, Phase::Gone);
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn two_steps_never_touch_one_server_at_once() {
    let house = House::new(FakeConfig {
        delays: delays(100),
        ..FakeConfig::default()
    });
    let one = id("one");
    house.controller.want(server("one"));
    for round in 0..50 {
        let power = if round % 2 == 0 {
            DesiredPower::Stopped
        } else {
            DesiredPower::Running
        };
        house.controller.change(&one, |wish| wish.power = power);
        tokio::time::sleep(Duration::from_millis(37)).await;
    }
    let observed = house.controller.wait_for_end(&one).await;
    assert_eq!(
        (observed.phase, observed.power),
        (Phase::Settled, PowerState::Running)
    );
    // The fake refuses a step in a state that does not allow it; overlapping ones would meet that.
    let failed: u64 = house.agent.metrics().steps_failed.values().sum();
    assert_eq!(failed, 0);
}

#[tokio::test(start_paused = true)]
async fn reports_of_a_server_arrive_in_order_and_only_with_news() {
    // Longer than a report of work that goes on waits for the next.
    let house = House::new(FakeConfig {
        delays: delays(100),
        ..FakeConfig::default()
    });
    let one = id("one");
    house.want(server("one")).await;
    house
        .change(&one, |wish| wish.power = DesiredPower::Stopped)
        .await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let history = house.controller.history();
    assert!(
        history
            .windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence)
    );
    assert!(
        history
            .windows(2)
            .all(|pair| !pair[0].says_the_same_as(&pair[1]))
    );
    let phases: Vec<Phase> = history.iter().map(|seen| seen.phase).collect();
    assert_eq!(
        phases,
        [
            Phase::Working(Step::Build),
            Phase::Working(Step::Start),
            Phase::Settled,
            Phase::Working(Step::AskShutdown),
            Phase::Settled,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_graceful_shutdown_finishes_the_step_under_way_and_its_report() {
    let House {
        controller,
        driver,
        agent,
    } = House::new(FakeConfig {
        delays: delays(1000),
        ..FakeConfig::default()
    });
    controller.want(server("one"));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    agent.shut_down().await;
    let Actual::Built(built) = driver.inspect(&id("one")).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        built.power,
        PowerState::Running,
        "the start was not finished"
    );
    assert_eq!(built.marks.settled, Generation(0), "it began another step");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let Actual::Built(after) = driver.inspect(&id("one")).await.unwrap() else {
        panic!()
    };
    assert_eq!(after, built, "something still works");
}

#[tokio::test]
async fn five_thousand_servers_in_one_process_settle_and_go() {
    let house = House::new(FakeConfig::default());
    let names: Vec<String> = (0..5000).map(|number| format!("s{number}")).collect();
    let all_end = async |expected: Phase| {
        for name in &names {
            assert_eq!(
                house.controller.wait_for_end(&id(name)).await.phase,
                expected
            );
        }
    };
    for name in &names {
        house.controller.want(server(name));
    }
    all_end(Phase::Settled).await;
    for name in &names {
        house
            .controller
            .change(&id(name), |wish| wish.presence = Presence::Deleted);
    }
    all_end(Phase::Gone).await;
    assert!(house.driver.list().await.unwrap().is_empty());
}
