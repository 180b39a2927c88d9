//! What the tables hold, and what is refused.

use std::error::Error as _;

use super::plane::Plane;
use super::*;
use crate::index::{NodeIndex, SiteIndex};

/// The round trip between two nodes where each site has `nodes_per_site`.
fn rtt(times: &RoundTrips, nodes_per_site: u32, left: u32, right: u32) -> Duration {
    let end = |node| (NodeIndex(node), SiteIndex((node / nodes_per_site) as u16));
    times.between(end(left), end(right))
}

#[test]
fn the_published_sites_have_the_published_round_trips() {
    let times = published::round_trips();
    assert_eq!(times.check(40, 4), Ok(()));
    let micros = |left, right| rtt(&times, 10, left, right).as_micros();
    assert_eq!(micros(0, 9), 90);
    assert_eq!(micros(0, 10), 16_550);
    assert_eq!(micros(29, 11), 2_700);
    assert_eq!(micros(39, 30), 230);
    assert_eq!(micros(7, 7), 0);
}

#[test]
fn a_scenario_says_its_distances() {
    let topology = Topology {
        sites: 3_125,
        ..Topology::default()
    };
    let times = of(&topology, 1).unwrap();
    assert_eq!(times.check(100_000, 3_125), Ok(()));
    assert_eq!(rtt(&times, 32, 0, 31), Duration::from_micros(200));
    assert_eq!(rtt(&times, 32, 31, 99_999), Duration::from_millis(10));
}

#[test]
fn a_plane_is_a_function_of_its_seed_and_symmetric() {
    let draw = |seed| Plane::B13.round_trips(50, 2, seed).unwrap();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let times = draw(3);
    for left in 0..100 {
        for right in 0..100 {
            let there = rtt(&times, 2, left, right);
            assert_eq!(there, rtt(&times, 2, right, left));
        }
    }
}

#[test]
fn the_plane_has_the_noise_and_the_detours_it_says() {
    let straight = Plane {
        noise: 0.0,
        detours: 0.0,
        ..Plane::B13
    };
    let sites = 400;
    // The places are drawn before the pairs, so that both networks share them.
    let ideal = straight.round_trips(sites, 1, 5).unwrap();
    let real = Plane::B13.round_trips(sites, 1, 5).unwrap();
    let mut logs = Vec::new();
    let mut sum = 0.0;
    for left in 0..sites as u32 {
        for right in left + 1..sites as u32 {
            let actual = rtt(&real, 1, left, right).as_secs_f64();
            sum += actual;
            logs.push((actual / rtt(&ideal, 1, left, right).as_secs_f64()).ln());
        }
    }
    let mean = sum / logs.len() as f64;
    assert!((0.13..0.18).contains(&mean), "mean round trip {mean}");
    logs.sort_by(f64::total_cmp);
    let at = |share: f64| logs[(share * logs.len() as f64) as usize];
    // Quartiles of the normal distribution are 0.674 deviations out; detours shift them a little.
    assert!((at(0.25) + 0.674 * 0.15).abs() < 0.02, "{}", at(0.25));
    assert!((at(0.75) - 0.674 * 0.15).abs() < 0.03, "{}", at(0.75));
    let detours = logs.iter().filter(|log| **log > 1.5f64.ln() + 0.1).count();
    let share = detours as f64 / logs.len() as f64;
    assert!((0.03..0.05).contains(&share), "{share}");
}

#[test]
fn nodes_of_one_site_differ_by_their_access_links() {
    let plane = Plane {
        node_access: Duration::from_micros(100),
        ..Plane::B13
    };
    let times = plane.round_trips(3, 4, 1).unwrap();
    assert_eq!(times.check(12, 3), Ok(()));
    assert_ne!(rtt(&times, 4, 0, 1), rtt(&times, 4, 0, 2));
    assert!(rtt(&times, 4, 0, 1) > plane.within);
}

#[test]
fn a_file_is_read_as_csv_and_as_json() {
    let text = "# ms\n0.09, 16.55\n\n16.55, 0.17\n";
    let times = read::csv(text).unwrap();
    assert_eq!(times.check(20, 2), Ok(()));
    assert_eq!(rtt(&times, 10, 0, 10).as_micros(), 16_550);
    let same = read::json("[[0.09, 16.55], [16.55, 0.17]]").unwrap();
    assert_eq!(times, same);
}

/// The message of a refusal with its source.
fn refused(result: Result<RoundTrips, read::ReadError>) -> String {
    let error = result.unwrap_err();
    let source = error.source().map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

#[test]
fn a_bad_file_is_refused_with_line_and_reason() {
    let cases = [
        (
            "1,2\nx,1",
            "line 2, value 1: \"x\" is not a number of milliseconds",
        ),
        ("1,2\n-2,1", "line 2, value 1: \"-2\" is not a number"),
        ("1,2\nNaN,1", "line 2, value 1: \"NaN\" is not a number"),
        ("# head\n1,2\n2", "line 3: 1 values, but 2 in the first row"),
        (
            "1,2\n3,1",
            "line 1: the table of round trips is not one: the round trips 1 to 2",
        ),
        ("1,0\n0,1", "the round trip 1 to 2 must be at least 1 µs"),
        (
            "1,9999\n9999,1",
            "the round trip 1 to 2 must be at least 1 µs and at most 4 s",
        ),
        (
            "1,2",
            "row 1 of the table of round trips has 2 values instead of 1",
        ),
        ("", "a network needs at least one site"),
    ];
    for (text, reason) in cases {
        let message = refused(read::csv(text));
        assert!(message.contains(reason), "{text:?}: {message}");
    }
    let message = refused(read::json("[[1, 2],\n[2, \"x\"]]"));
    assert!(message.starts_with("line 2, column "), "{message}");
    let message = refused(read::json("[[1, 2], [3, 1]]"));
    assert!(message.contains("1 to 2 and 2 to 1 differ"), "{message}");
}

#[test]
fn a_scenario_with_other_sites_than_its_table_is_refused() {
    let topology = Topology {
        sites: 5,
        rtt: Distances::Grid5000,
        ..Topology::default()
    };
    let refused = of(&topology, 1).unwrap_err();
    assert_eq!(refused, MatrixError::Size { rows: 4, sites: 5 });
}
