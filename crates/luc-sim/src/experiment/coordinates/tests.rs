//! The experiments at sizes that run in seconds, with the targets of B13.

use super::*;

fn check(name: &str, answers: &Answers, ratio_max: f64) {
    println!("{name}: ratio {:.3} {answers:?}", answers.ratio());
    assert!(answers.ratio() <= ratio_max, "{name}: {answers:?}");
    let usable = answers.probes_to_usable;
    assert!(
        usable.is_some_and(|probes| probes < 10),
        "{name}: {answers:?}"
    );
    assert!(answers.probes_to_recover.is_some(), "{name}: {answers:?}");
}

#[test]
fn four_sites_are_predicted_better_than_by_the_reference() {
    for seed in 1..6 {
        let answers = four_sites(seed);
        assert!(answers.ours.median < 0.01, "{answers:?}");
        check("four sites", &answers, 0.75);
    }
}

#[test]
fn hosts_on_a_noisy_plane_are_predicted_better_than_by_the_reference() {
    // Fewer hosts than B13's have less to average over; the sweep runs the full size.
    let answers = synthetic(400, 1).unwrap();
    assert!(answers.ours.median < 0.14, "{answers:?}");
    check("synthetic", &answers, 0.80);
}

#[test]
fn sites_that_only_delegates_probe_are_predicted_better_than_by_the_reference() {
    let answers = pools(128, 1).unwrap();
    check("pools", &answers, 0.75);
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    assert_eq!(four_sites(7), four_sites(7));
    assert_ne!(four_sites(7), four_sites(8));
}

#[test]
fn a_far_node_is_never_of_the_own_site() {
    let truth = Truth::new(published::round_trips(), 40, 10);
    let mut entropy = luc_core::entropy::SplitMix64::new(1);
    let mut seen = [false; 40];
    for _ in 0..2_000 {
        let far = truth.far_from(15, &mut entropy);
        assert_ne!(truth.site(far), truth.site(15));
        seen[far] = true;
    }
    assert_eq!(seen.iter().filter(|seen| **seen).count(), 30);
}
