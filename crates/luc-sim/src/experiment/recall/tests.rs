//! Recall through the product's membership and coordinates.

use luc_overlay::{SwimConfig, search, vivaldi};

use super::*;
use crate::network::matrix::plane::Plane;
use crate::network::matrix::published;
use crate::network::round_trips::RoundTrips;

fn recall(times: RoundTrips, sites: usize, nodes_per_site: usize, seconds: &[u64]) -> Recall {
    Recall {
        cloud: Blueprint {
            times,
            sites,
            nodes_per_site,
            jitter: 0.05,
            swim: SwimConfig::default(),
            search: search::Config::default(),
            vivaldi: vivaldi::Config::default(),
            settled: 0,
            seed: 11,
        },
        checkpoints: seconds.iter().copied().map(Duration::from_secs).collect(),
        askers: 100,
        wanted: 16,
        step: 4,
        learning: 2,
        pause: Duration::from_secs(30),
    }
}

/// A country of sites: a square of 40 ms, access links of a millisecond, some noise of routing.
fn plane(sites: usize, noise: f64, detours: f64) -> RoundTrips {
    let plane = Plane {
        within: Duration::from_micros(200),
        extent: Duration::from_millis(40),
        access: Duration::from_millis(1),
        node_access: Duration::ZERO,
        noise,
        detours,
    };
    plane.round_trips(sites, 10, 5).unwrap()
}

#[test]
fn at_the_four_published_sites_recall_is_at_least_95_per_cent() {
    let done = recall(published::round_trips(), 4, 10, &[30, 120]).run();
    println!("{done:#?}");
    for checkpoint in done {
        assert!(checkpoint.recall >= 0.95, "{checkpoint:?}");
        assert!(checkpoint.messages <= 2.0, "{checkpoint:?}");
    }
}

#[test]
fn at_1_000_nodes_recall_is_at_least_90_per_cent() {
    let done = recall(plane(100, 0.0, 0.0), 100, 10, &[30, 120, 300]).run();
    println!("{done:#?}");
    // Half a minute after the start nobody knows yet where it is.
    for checkpoint in done.iter().skip(2) {
        assert!(checkpoint.recall >= 0.9, "{checkpoint:?}");
    }
    for checkpoint in &done {
        assert!(checkpoint.messages <= 2.0, "{checkpoint:?}");
    }
    let late = &done[2];
    assert!(
        late.recall > late.known_to_all + 0.2,
        "measured round trips find what coordinates alone mistake: {late:?}"
    );
}

#[test]
fn with_settled_coordinates_recall_at_1_000_nodes_is_high_from_the_start() {
    let mut recall = recall(plane(100, 0.0, 0.0), 100, 10, &[30]);
    recall.cloud.settled = 400;
    recall.learning = 0;
    let done = recall.run();
    println!("{done:#?}");
    for checkpoint in done {
        assert!(checkpoint.recall >= 0.95, "{checkpoint:?}");
        assert!(checkpoint.messages <= 2.0, "{checkpoint:?}");
    }
}

#[test]
#[ignore = "two minutes of work; the paper sweep runs the same and judges it"]
fn at_10_000_nodes_recall_is_at_least_85_per_cent() {
    let mut recall = recall(plane(1_000, 0.0, 0.0), 1_000, 10, &[30, 120]);
    recall.cloud.settled = 400;
    let done = recall.run();
    println!("{done:#?}");
    for checkpoint in done.iter().skip(1) {
        assert!(checkpoint.recall >= 0.85, "{checkpoint:?}");
    }
    for checkpoint in &done {
        assert!(checkpoint.messages <= 2.0, "{checkpoint:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let run = || recall(published::round_trips(), 4, 10, &[20]).run();
    assert_eq!(run(), run());
}
