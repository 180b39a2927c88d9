//! Sleep, wake and leave: silence that is not failure.

use super::cloud::{Cloud, peer, seconds};
use crate::command::Command;
use crate::event::Event;
use crate::neighbour::Standing;

#[test]
fn a_sleeper_is_known_as_such_and_never_failed() {
    for seed in 0..5 {
        let mut cloud = Cloud::new(2, 12, seed);
        cloud.loss_per_mille = 20;
        cloud.seed_all();
        cloud.run(seconds(20.0));
        let start = cloud.now;
        cloud.sleep(peer(0, 6));
        cloud.run(seconds(3.0));
        cloud.crash(peer(0, 6));
        cloud.run(seconds(120.0));
        let asleep = Event::Stood {
            peer: peer(0, 6),
            standing: Standing::Asleep,
        };
        assert_eq!(
            cloud.told(start, |_, event| *event == asleep),
            11,
            "seed {seed}"
        );
        assert_eq!(
            cloud.told(start, |_, event| matches!(event, Event::Failed(_))),
            0
        );
        let known = cloud.node(peer(0, 9)).members().get(peer(0, 6)).copied();
        assert_eq!(known.map(|known| known.standing), Some(Standing::Asleep));
        assert!(
            known.and_then(|known| known.coordinate).is_some(),
            "where it is stays known"
        );
    }
}

#[test]
fn a_sleeper_that_wakes_is_awake_to_all() {
    let mut cloud = Cloud::new(2, 12, 1);
    cloud.seed_all();
    cloud.run(seconds(20.0));
    cloud.sleep(peer(0, 6));
    cloud.run(seconds(60.0));
    let before = cloud.nodes[6].kept.incarnation;
    let start = cloud.now;
    cloud.advertise(peer(0, 6), Standing::Awake);
    let took = cloud.run_until(seconds(10.0), Cloud::sites_are_known);
    assert!(took.is_some());
    cloud.run(seconds(10.0));
    let awake = Event::Stood {
        peer: peer(0, 6),
        standing: Standing::Awake,
    };
    assert_eq!(cloud.told(start, |_, event| *event == awake), 11);
    let other = |event: &Event| matches!(event, Event::Joined(_) | Event::Failed(_));
    assert_eq!(cloud.told(start, |_, event| other(event)), 0);
    assert!(cloud.nodes[6].kept.incarnation > before);
}

#[test]
fn a_sleeper_whose_process_was_stopped_wakes_by_a_start() {
    let mut cloud = Cloud::new(1, 8, 2);
    cloud.seed_all();
    cloud.run(seconds(10.0));
    cloud.sleep(peer(0, 3));
    cloud.run(seconds(2.0));
    cloud.crash(peer(0, 3));
    cloud.run(seconds(60.0));
    cloud.restart(peer(0, 3), vec![peer(0, 5)]);
    let took = cloud.run_until(seconds(10.0), Cloud::sites_are_known);
    assert!(took.is_some());
}

#[test]
fn whoever_joins_later_is_told_who_sleeps() {
    let mut cloud = Cloud::new(1, 8, 3);
    cloud.seed_all();
    cloud.run(seconds(10.0));
    cloud.sleep(peer(0, 3));
    cloud.run(seconds(30.0));
    cloud.add(peer(0, 20));
    let contacts = vec![peer(0, 1)];
    cloud.command(peer(0, 20), Command::Start { contacts });
    cloud.run(seconds(5.0));
    let known = cloud.node(peer(0, 20)).members().get(peer(0, 3)).copied();
    assert_eq!(known.map(|known| known.standing), Some(Standing::Asleep));
}

#[test]
fn who_fails_while_one_sleeps_has_failed_when_it_wakes() {
    let mut cloud = Cloud::new(1, 8, 4);
    cloud.seed_all();
    cloud.run(seconds(10.0));
    cloud.sleep(peer(0, 3));
    cloud.run(seconds(5.0));
    cloud.crash(peer(0, 5));
    cloud.run(seconds(60.0));
    let start = cloud.now;
    cloud.advertise(peer(0, 3), Standing::Awake);
    cloud.run(seconds(10.0));
    assert!(cloud.sites_are_known());
    let failed = |me, event: &Event| me == peer(0, 3) && *event == Event::Failed(peer(0, 5));
    assert_eq!(cloud.told(start, failed), 1);
}

#[test]
fn a_delegate_that_sleeps_hands_over() {
    let mut cloud = Cloud::new(3, 8, 5);
    cloud.seed_all();
    cloud.run(seconds(60.0));
    let start = cloud.now;
    cloud.sleep(peer(1, 0));
    let took = cloud.run_until(seconds(30.0), Cloud::delegates_know_each_other);
    assert!(took.is_some());
    assert_eq!(cloud.node(peer(1, 4)).delegates(), [peer(1, 1), peer(1, 2)]);
    assert_eq!(
        cloud.told(start, |_, event| matches!(event, Event::Failed(_))),
        0
    );
}

#[test]
fn who_leaves_has_left_and_not_failed() {
    let mut cloud = Cloud::new(3, 8, 6);
    cloud.seed_all();
    cloud.run(seconds(10.0));
    let start = cloud.now;
    cloud.command(peer(1, 0), Command::Leave);
    cloud.run(seconds(120.0));
    let left = |event: &Event| *event == Event::Left(peer(1, 0));
    assert_eq!(
        cloud.told(start, |_, event| left(event)),
        7 + 4,
        "its site, and the delegates"
    );
    assert_eq!(
        cloud.told(start, |_, event| matches!(event, Event::Failed(_))),
        0
    );
    assert!(cloud.sites_are_known() && cloud.delegates_know_each_other());
    cloud.command(
        peer(1, 0),
        Command::Start {
            contacts: vec![peer(1, 5)],
        },
    );
    let took = cloud.run_until(seconds(30.0), |cloud| {
        cloud.sites_are_known() && cloud.delegates_know_each_other()
    });
    assert!(took.is_some());
}
