//! Lies, outliers, restarts, and when a coordinate is worth telling.

use super::*;
use crate::coordinate::DIMENSIONS;

const RTT: Duration = Duration::from_millis(20);

fn fresh() -> Vivaldi {
    Vivaldi::new(Config::default(), 7)
}

fn origin() -> Coordinate {
    Coordinate::origin(10e-6, 0.2)
}

/// A node with three peers at known distances, settled.
fn settled() -> (Vivaldi, [Coordinate; 3]) {
    let mut places = [origin(); 3];
    places[1].vector[0] = 0.020;
    places[2].vector[1] = 0.020;
    let mut node = fresh();
    for sample in 0..300 {
        let at = sample % 3;
        let rtt = Duration::from_millis([20, 20, 28][at]);
        node.observe(peer(at), &places[at], rtt).unwrap();
    }
    (node, places)
}

#[test]
fn lies_are_rejected_and_change_nothing() {
    let mut node = fresh();
    let before = *node.coordinate();
    let mut lies = Vec::new();
    for value in [f32::NAN, f32::INFINITY] {
        let mut lie = origin();
        lie.vector[3] = value;
        lies.push((lie, Rejected::NotFinite));
        let mut lie = origin();
        lie.error = value;
        lies.push((lie, Rejected::NotFinite));
    }
    let mut lie = origin();
    lie.vector[0] = -1e9;
    lies.push((lie, Rejected::OutOfRange));
    let mut lie = origin();
    lie.adjustment = 11.0;
    lies.push((lie, Rejected::OutOfRange));
    let mut lie = origin();
    lie.height = -0.001;
    lies.push((lie, Rejected::Height));
    let mut lie = origin();
    lie.height = 1e6;
    lies.push((lie, Rejected::Height));
    let mut lie = origin();
    lie.error = -1.0;
    lies.push((lie, Rejected::Error));
    for (lie, reason) in lies {
        assert_eq!(node.observe(peer(1), &lie, RTT), Err(reason));
        assert_eq!(node.restore(lie), Err(reason));
    }
    assert_eq!(*node.coordinate(), before);
    assert_eq!(node.samples(), 0);
}

#[test]
fn impossible_round_trips_are_rejected() {
    let mut node = fresh();
    for rtt in [Duration::ZERO, Duration::from_secs(11), Duration::MAX] {
        let rejected = node.observe(peer(1), &origin(), rtt);
        assert_eq!(rejected, Err(Rejected::RoundTrip));
    }
}

#[test]
fn a_peer_that_claims_to_be_infallible_moves_a_sure_node_by_a_bounded_step() {
    let (mut node, _) = settled();
    let before = *node.coordinate();
    let mut lie = Coordinate::origin(0.0, 0.0);
    lie.vector = [9.0; DIMENSIONS];
    node.observe(peer(9), &lie, RTT).unwrap();
    let step = space::drift(node.coordinate(), &before);
    // A quarter of what is missing at the very most, and it stays believable itself.
    assert!(step < 0.3 * 9.0 * 8f64.sqrt(), "{step}");
    assert!(rejected::check_coordinate(node.coordinate(), &Config::default()).is_ok());
}

#[test]
fn one_long_sample_does_not_move_a_settled_node() {
    let (mut node, places) = settled();
    let before = *node.coordinate();
    node.observe(peer(0), &places[0], Duration::from_secs(2))
        .unwrap();
    let step = space::drift(node.coordinate(), &before);
    assert!(step < 0.001, "{step}");
}

#[test]
fn a_lasting_change_is_followed_and_the_error_says_so() {
    let (mut node, places) = settled();
    let sure = node.coordinate().error;
    let rtts = [60, 60, 70].map(Duration::from_millis);
    let mut greatest = sure;
    for sample in 0..60 {
        let at = sample % 3;
        node.observe(peer(at), &places[at], rtts[at]).unwrap();
        greatest = greatest.max(node.coordinate().error);
    }
    assert!(greatest > 5.0 * sure, "{sure} {greatest}");
    for at in 0..3 {
        let distance = node.distance(&places[at]).as_secs_f64();
        let error = (distance / rtts[at].as_secs_f64() - 1.0).abs();
        assert!(error < 0.1, "{at} {error}");
    }
}

#[test]
fn a_coordinate_that_left_the_range_is_thrown_away() {
    let (mut node, places) = settled();
    node.place.vector[2] = f64::NAN;
    node.observe(peer(0), &places[0], RTT).unwrap();
    assert_eq!(node.resets(), 1);
    assert_eq!(*node.coordinate(), *fresh().coordinate());
    node.place.height = 1e9;
    node.observe(peer(0), &places[0], RTT).unwrap();
    assert_eq!(node.resets(), 2);
}

#[test]
fn a_kept_coordinate_is_used_after_a_restart_with_some_doubt() {
    let (node, places) = settled();
    let mut again = fresh();
    again.restore(*node.published()).unwrap();
    let distance = again.distance(&places[0]).as_secs_f64();
    assert!((distance / 0.020 - 1.0).abs() < 0.15, "{distance}");
    assert!(again.coordinate().error >= 0.5);
}

#[test]
fn a_settled_node_does_not_publish_and_a_moved_one_does() {
    let (mut node, places) = settled();
    let mut published = 0;
    for sample in 0..300 {
        let at = sample % 3;
        let rtt = Duration::from_millis([20, 20, 28][at]);
        let moved = node.observe(peer(at), &places[at], rtt).unwrap();
        published += usize::from(moved == Moved::Far);
    }
    assert!(published <= 1, "{published}");
    for sample in 0..30 {
        let at = sample % 3;
        let rtt = Duration::from_millis([60, 60, 70][at]);
        let moved = node.observe(peer(at), &places[at], rtt).unwrap();
        published += usize::from(moved == Moved::Far);
    }
    assert!(published >= 3, "{published}");
}

#[test]
fn the_published_coordinate_never_misleads_by_more_than_both_thresholds() {
    let (mut node, places) = settled();
    let config = Config::default();
    for sample in 0..200 {
        let at = sample % 3;
        let rtt = Duration::from_millis(20 + sample as u64 / 4);
        node.observe(peer(at), &places[at], rtt).unwrap();
        let drift = space::drift(node.coordinate(), node.published());
        let allowed = config.moved_relative * node.filters.nearest();
        assert!(drift <= allowed.max(config.moved_absolute), "{drift}");
    }
}

#[test]
fn the_memory_for_peers_is_bounded_and_a_lost_peer_is_forgotten() {
    let mut node = fresh();
    for at in 0..1_000 {
        node.observe(peer(at), &origin(), RTT).unwrap();
    }
    let bound = usize::from(Config::default().peers_max);
    assert_eq!(node.filters.len(), bound);
    node.forget(peer(999));
    assert_eq!(node.filters.len(), bound - 1);
    node.forget(peer(0));
    assert_eq!(node.filters.len(), bound - 1);
}
