//! Crashes, pauses and restarts: who is held dead, when, and who comes back.

use luc_core::time::Instant;

use super::cloud::{Cloud, peer, seconds};
use crate::event::Event;

fn failures(cloud: &Cloud, since: Instant) -> usize {
    cloud.told(since, |_, event| matches!(event, Event::Failed(_)))
}

#[test]
fn a_crash_is_known_to_the_whole_site_within_the_bound() {
    // Judged at the end of the first probe by anybody, suspected for 4 s, told within a second.
    // That nobody probes it for seven periods has a chance of (14/15)^(15*7), less than 0.1 %.
    for seed in 0..10 {
        let mut cloud = Cloud::new(2, 16, seed);
        cloud.seed_all();
        cloud.run(seconds(20.0));
        cloud.crash(peer(0, 7));
        let crashed = cloud.now;
        let took = cloud.run_until(seconds(13.0), Cloud::sites_are_known);
        assert!(took.is_some(), "seed {seed}");
        assert!(
            took.unwrap() > seconds(4.0),
            "nobody is held dead before suspicion ends"
        );
        let told = cloud.told(crashed, |_, event| *event == Event::Failed(peer(0, 7)));
        assert_eq!((told, failures(&cloud, crashed)), (15, 15));
    }
}

#[test]
fn a_node_that_is_merely_slow_is_not_dead() {
    for seed in 0..10 {
        let mut cloud = Cloud::new(2, 16, seed);
        cloud.seed_all();
        cloud.run(seconds(10.0));
        let start = cloud.now;
        for node in 0..8 {
            cloud.pause(peer(0, node), seconds(2.0));
            cloud.run(seconds(5.0));
        }
        assert_eq!(failures(&cloud, start), 0, "seed {seed}");
        assert!(cloud.sites_are_known());
    }
}

#[test]
fn a_node_wrongly_held_dead_is_alive_again() {
    let mut cloud = Cloud::new(2, 12, 5);
    cloud.seed_all();
    cloud.run(seconds(10.0));
    let start = cloud.now;
    cloud.pause(peer(0, 5), seconds(20.0));
    cloud.run(seconds(19.0));
    assert!(failures(&cloud, start) >= 11);
    let took = cloud.run_until(seconds(15.0), Cloud::sites_are_known);
    assert!(took.is_some());
    assert!(
        cloud.nodes[5].kept.incarnation > 1,
        "it lives in a higher incarnation"
    );
    let joined = cloud.told(start, |_, event| *event == Event::Joined(peer(0, 5)));
    assert_eq!(joined, 11);
    // Whoever was held dead wrongly does not lose its sight of others for it.
    cloud.run(seconds(60.0));
    assert!(cloud.sites_are_known() && cloud.delegates_know_each_other());
}

#[test]
fn a_crashed_node_that_restarts_is_a_member_again_at_once() {
    let mut cloud = Cloud::new(2, 12, 6);
    cloud.seed_all();
    cloud.run(seconds(10.0));
    cloud.crash(peer(1, 8));
    cloud.run(seconds(30.0));
    cloud.restart(peer(1, 8), vec![peer(1, 3)]);
    let took = cloud.run_until(seconds(5.0), Cloud::sites_are_known);
    assert!(took.is_some());
    // Quicker than anybody notices.
    let start = cloud.now;
    cloud.crash(peer(1, 9));
    cloud.run(seconds(0.2));
    cloud.restart(peer(1, 9), vec![peer(1, 3)]);
    cloud.run(seconds(20.0));
    assert!(cloud.sites_are_known());
    assert_eq!(failures(&cloud, start), 0);
}

#[test]
fn a_node_that_lost_its_disk_comes_back_all_the_same() {
    let mut cloud = Cloud::new(1, 8, 7);
    cloud.seed_all();
    cloud.run(seconds(5.0));
    for _ in 0..3 {
        cloud.crash(peer(0, 4));
        cloud.run(seconds(15.0));
        cloud.nodes[4].kept = crate::Kept::default();
        cloud.restart(peer(0, 4), vec![peer(0, 1)]);
        let took = cloud.run_until(seconds(10.0), Cloud::sites_are_known);
        assert!(took.is_some());
    }
}

#[test]
fn the_next_node_stands_for_a_site_whose_delegate_died() {
    let mut cloud = Cloud::new(4, 10, 8);
    cloud.seed_all();
    cloud.run(seconds(20.0));
    cloud.crash(peer(2, 0));
    let took = cloud.run_until(seconds(60.0), Cloud::delegates_know_each_other);
    assert!(took.is_some());
    assert_eq!(cloud.node(peer(2, 5)).delegates(), [peer(2, 1), peer(2, 2)]);
    cloud.restart(peer(2, 0), vec![peer(2, 4)]);
    let took = cloud.run_until(seconds(60.0), |cloud| {
        cloud.sites_are_known() && cloud.delegates_know_each_other()
    });
    assert!(took.is_some());
    assert!(cloud.node(peer(2, 0)).is_delegate() && !cloud.node(peer(2, 2)).is_delegate());
}

#[test]
fn all_delegates_of_a_site_may_die_at_once() {
    let mut cloud = Cloud::new(4, 10, 9);
    cloud.seed_all();
    // Long enough for contacts to have ridden to everybody.
    cloud.run(seconds(120.0));
    cloud.crash(peer(2, 0));
    cloud.crash(peer(2, 1));
    let took = cloud.run_until(seconds(90.0), Cloud::delegates_know_each_other);
    assert!(took.is_some());
    assert_eq!(cloud.node(peer(2, 5)).delegates(), [peer(2, 2), peer(2, 3)]);
}

#[test]
fn a_whole_site_may_die_and_come_back() {
    let mut cloud = Cloud::new(4, 6, 10);
    cloud.seed_all();
    cloud.run(seconds(20.0));
    for node in 0..6 {
        cloud.crash(peer(3, node));
    }
    let took = cloud.run_until(seconds(90.0), Cloud::delegates_know_each_other);
    assert!(took.is_some());
    for node in 0..6 {
        cloud.restart(peer(3, node), vec![peer(3, 0), peer(1, 4)]);
    }
    let took = cloud.run_until(seconds(90.0), |cloud| {
        cloud.sites_are_known() && cloud.delegates_know_each_other()
    });
    assert!(took.is_some());
}
