//! The fuzzer itself: repeatable, varied, and able to catch a protocol that is broken on purpose.

use luc_core::time::Instant;
use luc_dvms::star::Broken as Switch;

use super::{Case, Hits, Subject, check, run, shrink};

#[test]
fn a_seed_gives_the_same_run_every_time() {
    let once = check(11, None).unwrap();
    let twice = check(11, None).unwrap();
    assert_eq!(once.steps, twice.steps);
    assert_eq!(once.hits, twice.hits);
    assert_eq!(once.coverage, twice.coverage);
    assert_ne!(once.steps, check(12, None).unwrap().steps);
}

#[test]
fn every_case_has_its_time_its_nodes_and_its_faults() {
    for seed in 0..300 {
        let case = Case::draw(seed);
        assert!((4..=64).contains(&case.trace.nodes()));
        assert!(case.trace.header.duration_ms >= 120_000);
        assert!(case.trace.header.vms > 0);
        let kinds = case.schedule().kinds();
        assert!(kinds.len() >= 3, "seed {seed}: {kinds:?}");
    }
}

#[test]
fn the_first_seeds_keep_every_invariant() {
    let mut hits = Hits::default();
    for seed in 0..60 {
        let verdict = check(seed, None).unwrap();
        assert_eq!(verdict.broken, None, "seed {seed}");
        assert!(verdict.until >= Instant::from_nanos(120_000_000_000));
        hits.add(&verdict.hits);
    }
    assert!(hits.began > 100 && hits.migrations > 100, "{hits:?}");
}

#[test]
fn hosts_that_sleep_and_the_published_protocol_have_their_share_of_the_seeds() {
    let mut hits = Hits::default();
    let mut seeds = [0u32; 2];
    for seed in 0..400 {
        let subject = Case::draw(seed).subject;
        let place = match subject {
            Subject::Ours => continue,
            Subject::Energy => 0,
            Subject::Published => 1,
        };
        seeds[place] += 1;
        if seeds[place] <= 12 {
            let verdict = check(seed, None).unwrap();
            assert_eq!(verdict.broken, None, "seed {seed}, {subject:?}");
            hits.add(&verdict.hits);
        }
    }
    assert!(seeds[0] > 40 && seeds[1] > 25, "{seeds:?}");
    assert!(hits.sleeps > 10 && hits.wakes > 5, "{hits:?}");
    assert!(hits.published_began > 50, "{hits:?}");
}

/// The first seed whose run is caught when the protocol is broken by `switch`.
fn caught(switch: Switch) -> Option<u64> {
    (0..1_000).find(|seed| check(*seed, Some(switch)).unwrap().broken.is_some())
}

#[test]
fn a_protocol_without_ballot_check_is_caught() {
    assert!(caught(Switch::BallotCheckOff).is_some());
}

#[test]
fn a_protocol_without_lease_check_is_caught() {
    assert!(caught(Switch::LeaseCheckOff).is_some());
}

#[test]
fn a_protocol_without_absorb_rule_is_caught() {
    assert!(caught(Switch::AbsorbRuleOff).is_some());
}

#[test]
fn a_failing_case_shrinks_and_still_fails() {
    let switch = Some(Switch::BallotCheckOff);
    let seed = caught(Switch::BallotCheckOff).unwrap();
    let case = Case::draw(seed);
    let (small, broken) = shrink(&case, switch);
    let broken = broken.unwrap();
    assert!(small.troubles.len() <= case.troubles.len());
    assert!(small.trace.loads.len() < case.trace.loads.len());
    assert_eq!(run(&small, switch).unwrap().broken, Some(broken));
}
