//! What holds for hosts and their heartbeats.

use super::*;

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
