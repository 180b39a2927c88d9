//! What holds for hosts and their heartbeats.

use super::*;

use std::collections::BTreeSet;
use std::time::Duration;

fn resources(vcpus: u64, memory: u64, disk: u64) -> Resources {
    Resources {
        vcpus: Vcpus(vcpus),
        memory: MemoryMib(memory),
        disk: DiskGib(disk),
    }
}

#[test]
fn resources_add_and_subtract_by_dimension() {
    let sum = resources(1, 512, 10).plus(resources(2, 256, 0));
    assert_eq!(sum, resources(3, 768, 10));
    assert_eq!(sum.minus(resources(4, 256, 1)), resources(0, 512, 9));
    assert_eq!(
        resources(1, 512, 10).max(resources(2, 256, 0)),
        resources(2, 512, 10)
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_host_counts_as_down() {
    let liveness = Liveness::new(Duration::from_secs(60));
    let noon = Timestamp::from_unix_secs(1_000);
    let heartbeat = Heartbeat {
        running_vms: 3,
        ..Heartbeat::default()
    };
    liveness.note("n1", noon, heartbeat);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(liveness.is_heard("n1"));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!liveness.is_heard("n1"));
    let last = liveness.last("n1").unwrap();
    assert_eq!((last.at, last.heartbeat.running_vms), (noon, 3));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_says_goodbye_is_down_at_once() {
    let liveness = Liveness::new(Duration::from_secs(60));
    liveness.note("n1", Timestamp::from_unix_secs(1), Heartbeat::default());
    liveness.forget("n1");
    assert!(!liveness.is_heard("n1"));
    assert_eq!(liveness.last("n1"), None);
    liveness.note("n1", Timestamp::from_unix_secs(2), Heartbeat::default());
    assert!(liveness.is_heard("n1"));
}

#[tokio::test(start_paused = true)]
async fn after_a_start_hosts_have_a_while_to_speak() {
    let liveness = Liveness::new(Duration::from_secs(60));
    assert!(liveness.is_heard("n1"));
    tokio::time::advance(Duration::from_secs(16)).await;
    assert!(!liveness.is_heard("n1"));
}

#[tokio::test(start_paused = true)]
async fn a_host_is_expected_until_it_is_heard_or_the_while_is_over() {
    let liveness = Liveness::new(Duration::from_secs(60));
    assert!(liveness.is_expected("n1") && liveness.is_expected("n2"));
    liveness.note("n1", Timestamp::from_unix_secs(1), Heartbeat::default());
    assert!(liveness.is_heard("n1") && !liveness.is_expected("n1"));
    tokio::time::advance(Duration::from_secs(16)).await;
    assert!(!liveness.is_expected("n2"));
}

#[tokio::test(start_paused = true)]
async fn it_is_known_for_how_long_a_host_is_down() {
    let liveness = Liveness::new(Duration::from_secs(60));
    liveness.note("n1", Timestamp::from_unix_secs(1), Heartbeat::default());
    liveness.forget("n2");
    tokio::time::advance(Duration::from_secs(70)).await;
    liveness.forget("n2");
    let down = |host: &str| liveness.down_for(host).map(|down| down.as_secs());
    assert_eq!(
        (down("n1"), down("n2"), down("n3")),
        (Some(10), Some(70), Some(55)),
        "silent, gone, never heard"
    );
}

#[tokio::test(start_paused = true)]
async fn a_revoked_host_is_down_whatever_is_heard() {
    let liveness = Liveness::new(Duration::from_secs(60));
    liveness.set_revoked(["n1".to_owned()].into());
    liveness.note("n1", Timestamp::from_unix_secs(1), Heartbeat::default());
    assert!(!liveness.is_heard("n1") && !liveness.is_expected("n1"));
    tokio::time::advance(Duration::from_secs(5)).await;
    liveness.set_revoked(["n1".to_owned(), "n2".to_owned()].into());
    assert_eq!(liveness.down_for("n1"), Some(Duration::from_secs(5)));
    liveness.set_revoked(BTreeSet::new());
    assert!(liveness.is_heard("n1"), "another node has its name");
}
