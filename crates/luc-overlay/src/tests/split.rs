//! Networks that split and heal.

use super::cloud::{Cloud, peer, seconds, site};
use crate::event::Event;

#[test]
fn a_site_that_was_cut_off_is_found_again_by_itself() {
    for away in [90.0, 600.0] {
        let mut cloud = Cloud::new(4, 8, 11);
        cloud.seed_all();
        cloud.run(seconds(30.0));
        let cut = cloud.now;
        cloud.cut = vec![site(2)];
        cloud.run(seconds(away));
        let failed = |me: luc_core::PeerId, event: &Event| match event {
            Event::Failed(other) => (me.site == site(2)) != (other.site == site(2)),
            _ => false,
        };
        assert_eq!(
            cloud.told(cut, failed),
            6 * 2 + 2 * 6,
            "delegates lose sight of each other"
        );
        assert!(cloud.sites_are_known(), "nobody is lost within a site");
        cloud.cut.clear();
        let took = cloud.run_until(seconds(60.0), Cloud::delegates_know_each_other);
        assert!(took.is_some(), "after {away} s");
        cloud.run(seconds(120.0));
        assert!(cloud.sites_are_known() && cloud.delegates_know_each_other());
    }
}

#[test]
fn two_halves_of_a_cloud_find_each_other_again() {
    let mut cloud = Cloud::new(8, 4, 12);
    cloud.seed_all();
    cloud.run(seconds(30.0));
    cloud.cut = (0..4).map(site).collect();
    cloud.run(seconds(120.0));
    cloud.cut.clear();
    let took = cloud.run_until(seconds(120.0), Cloud::delegates_know_each_other);
    assert!(took.is_some());
}

#[test]
fn a_site_of_one_node_comes_back_too() {
    let mut cloud = Cloud::new(3, 1, 13);
    cloud.seed_all();
    cloud.run(seconds(20.0));
    cloud.cut = vec![site(0)];
    cloud.run(seconds(120.0));
    assert_eq!(cloud.node(peer(0, 0)).members().len(), 0);
    cloud.cut.clear();
    let took = cloud.run_until(seconds(90.0), Cloud::delegates_know_each_other);
    assert!(took.is_some());
}
