//! An agent with the fake driver and a controller in memory: wishes are fulfilled, faults are
//! reported, surprises are told, and nothing that the controller does not know is touched.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use luc_agent::agent::{Agent, AgentConfig};
use luc_agent::controller::Controller;
use luc_agent::desired::{
    Build, DesiredPower, DesiredServer, Generation, Presence, RebootKind, RebootNonce,
    RebootRequest,
};
use luc_agent::driver::{Actual, Driver, StartLimit, Step};
use luc_agent::fake::{Delays, FAULT_KEY, FakeConfig, FakeDriver};
use luc_agent::observed::{Observed, Phase, PowerState};
use luc_agent::testing::{MemoryController, server};
use luc_core::id::ServerId;
use luc_core::time::Duration;
use luc_core::units::{MemoryMib, Vcpus};

struct House {
    controller: Arc<MemoryController>,
    driver: FakeDriver,
    agent: Agent,
}

impl House {
    fn new(config: FakeConfig) -> Self {
        let controller = Arc::new(MemoryController::new());
        let driver = FakeDriver::open(config).unwrap();
        let agent = start(&controller, &driver);
        Self {
            controller,
            driver,
            agent,
        }
    }

    /// The agent crashes and another one starts.
    fn crash(&mut self) {
        self.agent = start(&self.controller, &self.driver);
    }

    async fn want(&self, server: DesiredServer) -> Observed {
        let id = server.id.clone();
        self.controller.want(server);
        self.controller.wait_for_end(&id).await
    }

    async fn change(&self, id: &ServerId, change: impl FnOnce(&mut DesiredServer)) -> Observed {
        self.controller.change(id, change);
        self.controller.wait_for_end(id).await
    }
}

fn start(controller: &Arc<MemoryController>, driver: &FakeDriver) -> Agent {
    let controller: Arc<dyn Controller> = controller.clone();
    Agent::start(AgentConfig::default(), controller, Arc::new(driver.clone()))
}

fn id(name: &str) -> ServerId {
    ServerId::parse(name).unwrap()
}

fn delays(millis: u64) -> Delays {
    Delays::all(Duration::from_millis(millis), Duration::from_millis(millis))
}

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
    let house = House::new(FakeConfig {
        delays: delays(10),
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
