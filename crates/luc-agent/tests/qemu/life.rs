//! What a user does to a server, on real machines.

use std::process::Command;

use luc_agent::conformance::tiny_guest;
use luc_agent::desired::{Build, DesiredPower, Nic, RebootKind, RebootNonce, RebootRequest};
use luc_agent::driver::Driver as _;
use luc_agent::observed::{Phase, PowerState};
use luc_core::time::Duration;
use luc_core::units::DiskGib;

use crate::bench::{self};
use crate::house::{House, settled};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_boots_and_does_what_its_user_asks() {
    let Some(house) = House::new().await else {
        return;
    };
    assert_eq!(
        settled(&house.want("one", |_| {}).await),
        PowerState::Running
    );
    house.wait_for_boots("one", 1).await;

    let paused = house
        .change("one", |wish| wish.power = DesiredPower::Paused)
        .await;
    assert_eq!(settled(&paused), PowerState::Paused);
    let running = house
        .change("one", |wish| wish.power = DesiredPower::Running)
        .await;
    assert_eq!(settled(&running), PowerState::Running);

    for (nonce, kind) in [(1, RebootKind::Soft), (2, RebootKind::Hard)] {
        let reboot = Some(RebootRequest {
            kind,
            nonce: RebootNonce(nonce),
        });
        let rebooted = house.change("one", |wish| wish.reboot = reboot).await;
        assert_eq!(settled(&rebooted), PowerState::Running);
        house.wait_for_boots("one", 1 + nonce as usize).await;
    }
    let steps = house.agent.as_ref().unwrap().metrics().steps_done;
    assert_eq!(
        (steps["ask_shutdown"], steps["power_off"]),
        (1, 1),
        "the guest did not obey"
    );
    let console = house.driver.console(&house.id("one"), None).await.unwrap();
    assert_eq!(console.matches("power button").count(), 1, "{console}");

    let stopped = house
        .change("one", |wish| wish.power = DesiredPower::Stopped)
        .await;
    assert_eq!(settled(&stopped), PowerState::Shutdown);
    assert_eq!(
        bench::pid_of(&house.bench.config().state, &house.id("one")),
        None
    );
    house.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_guest_comes_back_with_what_it_had_in_memory() {
    let Some(house) = House::new().await else {
        return;
    };
    house.want("one", |_| {}).await;
    let before = loop {
        let beat = house.wait_for_boots("one", 1).await;
        if beat >= 6 {
            break beat;
        }
    };
    let suspended = house
        .change("one", |wish| wish.power = DesiredPower::Suspended)
        .await;
    assert_eq!(settled(&suspended), PowerState::Suspended);
    assert_eq!(
        bench::pid_of(&house.bench.config().state, &house.id("one")),
        None
    );
    let resumed = house
        .change("one", |wish| wish.power = DesiredPower::Running)
        .await;
    assert_eq!(settled(&resumed), PowerState::Running);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while house.wait_for_boots("one", 1).await <= before + 2 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "it does not count on"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let console = house.driver.console(&house.id("one"), None).await.unwrap();
    let beats: Vec<u32> = console
        .lines()
        .filter_map(|line| line.strip_prefix(tiny_guest::BEAT_TEXT))
        .filter_map(|beat| u32::from_str_radix(beat.trim(), 16).ok())
        .collect();
    let expected: Vec<u32> = (1..=beats.len() as u32).collect();
    assert_eq!(beats, expected, "beats were lost or counted anew");
    house.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_shuts_down_or_dies_by_itself_is_told() {
    let Some(house) = House::new().await else {
        return;
    };
    let (one, controller) = (house.id("one"), house.bench.controller.clone());
    house.want("one", |_| {}).await;
    house.wait_for_boots("one", 1).await;
    // From inside and from outside the same button is pressed; nobody wished for it.
    house.driver.ask_shutdown(&one).await.unwrap();
    let told = controller
        .wait_for(&one, |seen| seen.phase == Phase::Drifted)
        .await;
    assert_eq!(told.power, PowerState::Shutdown);
    assert_eq!(
        settled(&house.change("one", |_| {}).await),
        PowerState::Running
    );
    bench::kill(bench::pid_of(&house.bench.config().state, &one).unwrap());
    let told = controller
        .wait_for(&one, |seen| seen.phase == Phase::Drifted)
        .await;
    assert_eq!(told.power, PowerState::Crashed);
    assert_eq!(
        settled(&house.change("one", |_| {}).await),
        PowerState::Running
    );
    house.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwarded_ports_listen_on_loopback_and_are_reported() {
    let Some(house) = House::new().await else {
        return;
    };
    let nic = Nic::UserMode {
        mac: None,
        forward: vec![22, 80],
    };
    let observed = house.want("one", |wish| wish.nic = nic).await;
    assert_eq!(settled(&observed), PowerState::Running);
    house.wait_for_boots("one", 1).await;
    assert_eq!(observed.addresses, [luc_agent::network::USER_MODE_ADDRESS]);
    assert!(observed.mac.unwrap().starts_with("fa:16:3e:"));
    let ports: Vec<u16> = observed
        .forwards
        .iter()
        .map(|forward| forward.guest_port)
        .collect();
    assert_eq!(ports, [22, 80]);
    for forward in &observed.forwards {
        assert!(forward.host.ip().is_loopback());
        tokio::net::TcpStream::connect(forward.host).await.unwrap();
    }
    let stopped = house
        .change("one", |wish| wish.power = DesiredPower::Stopped)
        .await;
    assert!(
        stopped.forwards.is_empty(),
        "a stopped server has no open ports"
    );
    let again = house
        .change("one", |wish| wish.power = DesiredPower::Running)
        .await;
    assert_eq!(again.forwards, observed.forwards, "ports move without need");
    house.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuilt_server_has_new_disks_and_a_resized_one_its_old_content() {
    let Some(house) = House::new().await else {
        return;
    };
    house
        .want("one", |wish| wish.shape.root_disk = DiskGib(0))
        .await;
    house.wait_for_boots("one", 1).await;
    let larger = house
        .change("one", |wish| wish.shape.root_disk = DiskGib(3))
        .await;
    assert_eq!(settled(&larger), PowerState::Running);
    house.wait_for_boots("one", 2).await;
    let vm = house
        .bench
        .config()
        .state
        .join(format!("servers/server-{}/vm", house.id("one")));
    let mut info = Command::new("qemu-img");
    info.args(["info", "-U", "root-1.qcow2"]).current_dir(vm);
    let info = String::from_utf8(info.output().unwrap().stdout).unwrap();
    assert!(info.contains("virtual size: 3 GiB"), "{info}");
    let rebuilt = house.change("one", |wish| wish.build = Build(1)).await;
    assert_eq!(settled(&rebuilt), PowerState::Running);
    house.wait_for_boots("one", 1).await;
    house.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_runs_as_isolated_as_the_facts_say() {
    let Some(house) = House::new().await else {
        return;
    };
    house.want("one", |_| {}).await;
    house.want("two", |_| {}).await;
    let facts: std::collections::BTreeMap<_, _> = house.driver.facts().into_iter().collect();
    let pids = ["one", "two"]
        .map(|name| bench::pid_of(&house.bench.config().state, &house.id(name)).unwrap());
    let status = pids.map(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap());
    let field = |status: &str, name: &str| {
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default();
        line.split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    let users = [field(&status[0], "Uid:"), field(&status[1], "Uid:")];
    if facts["unprivileged users"] == "each machine its own" {
        assert_ne!(users[0], users[1]);
        assert!(users.iter().all(|user| user != "0"));
    } else {
        eprintln!(
            "no unprivileged users here ({}); nothing to compare",
            facts["unprivileged users"]
        );
    }
    let filtered = field(&status[0], "Seccomp:") == "2";
    assert_eq!(filtered, facts["seccomp filter"] == "on");
    let session = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields = stat.rsplit_once(") ").unwrap().1.to_owned();
        fields.split(' ').nth(3).unwrap().parse::<i32>().unwrap()
    };
    assert_eq!(
        session(pids[0]),
        pids[0],
        "it does not lead a session of its own"
    );
    for directory in house.driver.cgroup_directories(&house.id("one")) {
        let members = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap();
        assert_eq!(members.trim(), pids[0].to_string());
    }
    house.clear().await;
}
