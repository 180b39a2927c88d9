//! The harness itself: the same seed gives the same run, and its checks can fail.

use luc_core::time::{Duration, Instant};
use luc_dvms::command::MigrationId;
use luc_dvms::{Ballot, Config, Event, StepId};

use super::harness::hypervisor::{Flight, Hypervisor};
use super::harness::{World, checks::Checks, peer};
use super::machines::{host, vm};

fn migration(number: u16) -> MigrationId {
    MigrationId {
        ballot: Ballot {
            counter: 1,
            leader: peer(1),
        },
        step: StepId(number),
    }
}

fn flight(target: u64) -> Flight {
    Flight {
        vm: vm(100, 0, 0).id,
        source: peer(1),
        target: peer(target),
    }
}

#[test]
fn a_machine_sent_twice_is_noticed() {
    let hosts = (1..=3).map(|number| host(number, 1000, &[(10, 100)]));
    let mut hosts = Hypervisor::new(hosts.collect());
    hosts.start(migration(0), flight(2));
    assert_eq!(hosts.violations, [""; 0]);
    hosts.start(migration(1), flight(3));
    assert!(hosts.violations[0].contains("told twice"));
    hosts.end(migration(0), Instant::ORIGIN, |_| true);
    hosts.end(migration(1), Instant::ORIGIN, |_| true);
    assert!(hosts.violations[1].contains("runs at two hosts"));
}

#[test]
fn too_little_memory_is_noticed() {
    let hosts = vec![host(1, 1000, &[(10, 600)]), host(2, 1000, &[(10, 600)])];
    let mut hosts = Hypervisor::new(hosts);
    hosts.start(migration(0), flight(2));
    assert!(hosts.violations[0].contains("1200 MiB"));
}

#[test]
fn a_node_in_two_partitions_is_noticed() {
    let mut checks = Checks::default();
    for leader in [1, 2] {
        let ballot = Ballot {
            counter: 1,
            leader: peer(leader),
        };
        let lease = Duration::from_secs(1);
        checks.see(Instant::ORIGIN, peer(3), &Event::Reserved { ballot, lease });
    }
    assert!(checks.violations[0].contains("is in partitions"));
}

#[test]
fn a_calm_world_stays_calm() {
    let hosts = (1..=4).map(|number| host(number, 1000, &[(10, 100)]));
    let mut world = World::new(1, hosts.collect(), |peer| Config::new(peer, 1));
    world.run_until(Duration::from_secs(5));
    assert!(world.is_settled());
    assert_eq!(world.checks.began, 0);
}
