//! Clouds that start from nothing, and who keeps whom afterwards.

use super::cloud::{Cloud, peer, seconds, site};

#[test]
fn forty_nodes_in_four_sites_find_each_other() {
    let mut cloud = Cloud::new(4, 10, 1);
    cloud.start_all();
    let took = cloud.run_until(seconds(30.0), |cloud| {
        cloud.sites_are_known() && cloud.delegates_know_each_other()
    });
    assert!(
        took.is_some(),
        "{:?}",
        cloud.events.iter().rev().take(20).collect::<Vec<_>>()
    );
    cloud.run(seconds(60.0));
    assert!(cloud.sites_are_known() && cloud.delegates_know_each_other());
    assert!(
        cloud.told(luc_core::time::Instant::ORIGIN, |_, event| {
            matches!(event, crate::Event::Failed(_))
        }) == 0
    );
}

#[test]
fn joining_survives_a_network_that_loses_one_in_ten() {
    let mut cloud = Cloud::new(3, 8, 2);
    cloud.loss_per_mille = 100;
    cloud.start_all();
    let took = cloud.run_until(seconds(90.0), |cloud| {
        cloud.sites_are_known() && cloud.delegates_know_each_other()
    });
    assert!(took.is_some());
}

#[test]
fn a_node_that_is_told_of_another_site_only_finds_its_own() {
    let mut cloud = Cloud::new(2, 4, 3);
    cloud.start_all();
    cloud.run(seconds(20.0));
    cloud.add(peer(0, 9));
    let contacts = vec![peer(1, 3)];
    cloud.command(peer(0, 9), crate::Command::Start { contacts });
    let took = cloud.run_until(seconds(60.0), |cloud| {
        cloud.sites_are_known() && cloud.delegates_know_each_other()
    });
    assert!(took.is_some());
    assert!(!cloud.node(peer(0, 9)).is_delegate());
}

#[test]
fn only_delegates_keep_other_sites() {
    let mut cloud = Cloud::new(6, 8, 4);
    cloud.start_all();
    cloud.run(seconds(60.0));
    for node in &cloud.nodes {
        let own = node.overlay.me().site;
        let strangers = node.overlay.members().len() - node.overlay.members().iter_site(own).len();
        if node.overlay.is_delegate() {
            assert_eq!(strangers, 5 * 2);
        } else {
            assert_eq!(strangers, 0);
            let contacts = node.overlay.contacts();
            assert!((1..=8).contains(&contacts.len()), "{contacts:?}");
        }
    }
    assert_eq!(cloud.node(peer(3, 0)).delegates(), [peer(3, 0), peer(3, 1)]);
    assert_eq!(cloud.node(peer(3, 7)).members().iter_site(site(3)).len(), 7);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let mut cloud = Cloud::new(3, 6, seed);
        cloud.loss_per_mille = 20;
        cloud.trace = Some(0);
        cloud.start_all();
        cloud.run(seconds(10.0));
        cloud.crash(peer(1, 0));
        cloud.run(seconds(20.0));
        (cloud.trace, cloud.messages)
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7).0, trace(8).0);
}
