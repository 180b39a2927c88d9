//! Random schedules of our protocol: loads that change, messages lost, doubled and reordered,
//! crashes, pauses and splits. Whatever happens, the checks hold, and once it stops everybody is
//! free within eight seconds.

use std::collections::BTreeMap;

use luc_core::PeerId;
use luc_dvms::star::{self, Broken};
use luc_dvms::{Choice, Config};

use super::storm::{STORM, calm_down, storm};

fn config(peer: PeerId, seed: u64, broken: Option<Broken>) -> Config {
    let star = star::Config {
        broken,
        ..star::Config::default()
    };
    Config {
        me: peer,
        seed,
        protocol: Choice::Star(star),
    }
}

fn run(seed: u64, broken: Option<Broken>) -> (Vec<String>, BTreeMap<&'static str, u64>) {
    let mut world = storm(seed, move |peer| config(peer, seed, broken));
    world.run_until(STORM);
    let found = calm_down(&mut world);
    let counts = BTreeMap::from([
        ("began", world.checks.began),
        ("absorbed", world.checks.absorbed),
        ("took over", world.checks.took_over),
        ("moves", world.hosts.moves),
        ("steps", world.steps),
    ]);
    (found, counts)
}

#[test]
fn no_schedule_breaks_a_promise() {
    let mut sum: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut failures = Vec::new();
    for seed in 0..150 {
        let (found, counts) = run(seed, None);
        if let Some(first) = found.first() {
            failures.push(format!("seed {seed}: {first}"));
        }
        for (name, count) in counts {
            *sum.entry(name).or_default() += count;
        }
    }
    assert_eq!(failures, [""; 0]);
    assert!(sum["moves"] > 500 && sum["took over"] > 10, "{sum:?}");
}

#[test]
fn the_same_seed_gives_the_same_schedule() {
    assert_eq!(run(3, None), run(3, None));
}

/// Whether the checks notice a switched-off rule within so many seeds.
fn is_caught(rule: Broken, seeds: u64) -> bool {
    (0..seeds).any(|seed| !run(seed, Some(rule)).0.is_empty())
}

#[test]
fn a_node_that_obeys_any_ballot_is_caught() {
    assert!(is_caught(Broken::BallotCheckOff, 100));
}

#[test]
fn a_lease_that_never_ends_is_caught() {
    assert!(is_caught(Broken::LeaseCheckOff, 100));
}

#[test]
fn a_leader_that_yields_and_leads_on_is_caught() {
    assert!(is_caught(Broken::AbsorbRuleOff, 400));
}
