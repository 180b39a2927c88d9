//! What may happen to an agent and its host while real machines run.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use luc_agent::desired::DesiredPower;
use luc_agent::driver::{Actual, Driver as _, DriverError};
use luc_agent::observed::{Phase, PowerState};
use luc_agent::qemu::{QemuConfig, QemuDriver};
use luc_core::id::ServerId;
use luc_core::time::Duration;

use crate::bench::{self, Bench};
use crate::house::{House, settled, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_crashes_and_comes_back_takes_its_machines_over() {
    let Some(mut house) = House::new().await else {
        return;
    };
    house.want("one", |_| {}).await;
    house.wait_for_boots("one", 1).await;
    let pid = house.driver.pid(&house.id("one")).await.unwrap();
    house.agent = None;
    let driver = house.bench.open().await;
    house.driver = Arc::new(driver);
    house.agent = Some(start(&house.bench, &house.driver));
    let renamed = house.change("one", |wish| wish.name.push('!')).await;
    assert_eq!(settled(&renamed), PowerState::Running);
    assert_eq!(house.driver.pid(&house.id("one")).await, Some(pid));
    house.wait_for_boots("one", 1).await;
    house.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_dies_at_any_moment_of_a_boot_is_replaced_by_one_that_finishes() {
    let Some(mut house) = House::new().await else {
        return;
    };
    for millis in [0, 10, 25, 50, 80, 120, 200, 350] {
        let name = format!("at-{millis}");
        let id = house.id(&name);
        house.bench.controller.want(house.bench.wish(id.as_str()));
        tokio::time::sleep(Duration::from_millis(millis)).await;
        house.agent = None;
        house.driver = Arc::new(house.bench.open().await);
        house.agent = Some(start(&house.bench, &house.driver));
        let end = house.bench.controller.wait_for_end(&id).await;
        assert_eq!(settled(&end), PowerState::Running);
        house.wait_for_boots(&name, 1).await;
        let machines = bench::processes(&house.bench.config().state, &id);
        assert_eq!(machines.len(), 1, "two machines on one disk");
    }
    house.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_was_started_just_before_the_agent_died_is_found() {
    let Some(house) = House::new().await else {
        return;
    };
    house.want("one", |_| {}).await;
    let pid = house.driver.pid(&house.id("one")).await.unwrap();
    let House {
        bench,
        driver,
        agent,
    } = house;
    drop((agent, driver));
    // As it is on disk between the decision to start and the first look at the process.
    let id = bench.controller.all_wishes()[0].id.clone();
    let file = bench
        .config()
        .state
        .join(format!("servers/server-{id}/instance.json"));
    let mut state: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    state["machine"] = serde_json::json!({"is": "starting"});
    std::fs::write(&file, state.to_string()).unwrap();
    let driver = Arc::new(bench.open().await);
    let Actual::Built(built) = driver.inspect(&id).await.unwrap() else {
        panic!()
    };
    assert_eq!(built.power, PowerState::Running);
    assert_eq!(driver.pid(&id).await, Some(pid));
    let agent = Some(start(&bench, &driver));
    House {
        bench,
        driver,
        agent,
    }
    .clear()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_state_file_is_a_fault_and_never_a_reason_to_make_new_disks() {
    let Some(mut house) = House::new().await else {
        return;
    };
    house.want("one", |_| {}).await;
    house.agent = None;
    let home = house
        .bench
        .config()
        .state
        .join(format!("servers/server-{}", house.id("one")));
    std::fs::write(home.join("instance.json"), "{\"version\":1,").unwrap();
    house.driver = Arc::new(house.bench.open().await);
    let blind = house.driver.inspect(&house.id("one")).await;
    assert!(
        matches!(blind, Err(DriverError::Permanent { .. })),
        "{blind:?}"
    );
    house.agent = Some(start(&house.bench, &house.driver));
    let failed = house.change("one", |wish| wish.name.push('!')).await;
    assert_eq!(failed.phase, Phase::Failed);
    assert!(home.join("vm/root-0.qcow2").exists(), "the disks are gone");
    // It can still be deleted, and its process, of which only /proc knows, ends with it.
    house.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_proved_is_remembered_for_this_boot_and_this_qemu() {
    let Some(bench) = Bench::new() else { return };
    let config = bench.config();
    let first = QemuDriver::open(&config).await.unwrap();
    println!(
        "guests run on {}: {}",
        first.accelerator(),
        first.accelerator_reason()
    );
    let cache = config.state.join("accelerator.json");
    let written = std::fs::read_to_string(&cache).unwrap();
    let second = QemuDriver::open(&config).await.unwrap();
    assert_eq!(second.facts(), first.facts());
    let another_boot = written.replace("\"boot_id\": \"", "\"boot_id\": \"another-");
    let stale = another_boot.replace("KVM", "stale");
    std::fs::write(&cache, stale).unwrap();
    let third = QemuDriver::open(&config).await.unwrap();
    assert_eq!(third.facts(), first.facts());
    assert_eq!(std::fs::read_to_string(&cache).unwrap(), written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_whose_host_went_down_is_started_again_and_one_that_was_off_is_not() {
    let Some(mut house) = House::new().await else {
        return;
    };
    house.want("on", |_| {}).await;
    house
        .want("off", |wish| wish.power = DesiredPower::Stopped)
        .await;
    house.wait_for_boots("on", 1).await;
    house.agent = None;
    // The processes are gone, and what is on disk was written in another boot.
    bench::kill(house.driver.pid(&house.id("on")).await.unwrap());
    for name in ["on", "off"] {
        let home = house
            .bench
            .config()
            .state
            .join(format!("servers/server-{}", house.id(name)));
        let file = home.join("instance.json");
        let state = std::fs::read_to_string(&file).unwrap();
        let state = state.replace("\"boot_id\": \"", "\"boot_id\": \"before-");
        std::fs::write(&file, state).unwrap();
    }
    house.driver = Arc::new(house.bench.open().await);
    house.agent = Some(start(&house.bench, &house.driver));
    house.wait_for_boots("on", 2).await;
    let off = house.bench.controller.wait_for_end(&house.id("off")).await;
    assert_eq!(settled(&off), PowerState::Shutdown);
    assert_eq!(house.driver.pid(&house.id("off")).await, None);
    house.clear().await;
}

/// Where the child of the test below finds its state directory.
const CHILD_STATE: &str = "LUC_TEST_CHILD_STATE";

/// Not a test of its own: the process that the test below kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_boots_a_guest_and_waits_to_be_killed() {
    let Some(state) = std::env::var_os(CHILD_STATE) else {
        return;
    };
    let Some(bench) = Bench::new() else { return };
    let config = QemuConfig {
        state: PathBuf::from(state),
        ..bench.config()
    };
    let driver = QemuDriver::open(&config).await.unwrap();
    let wish = bench.wish("orphan-of-a-killed-process");
    driver.prepare(&wish, &*bench.controller).await.unwrap();
    driver.build(&wish).await.unwrap();
    driver.start(&wish).await.unwrap();
    println!("machine {}", driver.pid(&wish.id).await.unwrap());
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_its_machines_running_for_the_next_one() {
    let Some(bench) = Bench::new() else { return };
    let config = bench.config();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "recovery::child_that_boots_a_guest_and_waits_to_be_killed",
            "--nocapture",
        ])
        .env(CHILD_STATE, &config.state)
        // It will not clean up after itself.
        .env("TMPDIR", bench.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = lines.map_while(Result::ok).find_map(|line| {
        let (_, pid) = line.split_once("machine ")?;
        pid.trim().parse::<i32>().ok()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let pid = pid.unwrap();
    assert!(
        Path::new(&format!("/proc/{pid}")).exists(),
        "the machine died with its agent"
    );
    let id = ServerId::parse("orphan-of-a-killed-process").unwrap();
    let driver = QemuDriver::open(&config).await.unwrap();
    assert_eq!(driver.list().await.unwrap(), std::slice::from_ref(&id));
    let Actual::Built(built) = driver.inspect(&id).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (built.power, driver.pid(&id).await),
        (PowerState::Running, Some(pid))
    );
    driver.destroy(&id).await.unwrap();
    assert!(bench::traces(&config.state, &id).is_empty());
}
