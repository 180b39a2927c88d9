//! Whole clouds in one process, on a paused clock, and everything that can go wrong drawn from a
//! seed: sites with their real store, services, feeds and routing on a network in memory.
//!
//! ```text
//! seed ─▶ World (sites, ways) ─▶ clients work, trouble is made ─▶ heal ─▶ converge ─▶ judge
//!              │ every commit
//!              └──▶ Ledger ──▶ invariants of states     answers ──▶ invariants of answers
//! ```
//!
//! `LUC_FAULT_SEEDS=5000` runs more seeds (`LUC_FAULT_FROM=n` from this one on); `LUC_FAULT_SEED=n`
//! runs one and prints its log. The
//! invariants are those of the state contract, one file each; each switch of [`broken`] breaks one
//! rule and must be noticed by the invariant that is named.

mod broken;
mod client;
mod closings;
mod deeds;
mod disk;
mod doors;
mod draw;
mod edges;
mod ending;
mod goings;
mod host;
mod invariant;
mod joins;
mod ledger;
mod limits;
mod membership;
mod officers;
mod people;
mod ports;
mod run;
mod shares;
mod site;
mod speech;
mod trouble;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use broken::Rule;
use draw::lock;
use invariant::{
    acknowledged_writes_survive, edges_stay_inside, exactly_once, joins_are_whole,
    limits_come_into_force, lowered_limits_bind, members_are_agreed, nothing_resurrected, one_home,
    people_come_along_once, quota_never_exceeded, read_your_writes, replicas_are_prefixes,
};
use run::{Report, run};

/// Seeds of an ordinary run of the tests.
const SEEDS: u64 = 40;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number is expected"))
}

/// Runs seeds on a few threads.
fn sweep(seeds: std::ops::Range<u64>) -> Vec<Report> {
    let next = AtomicU64::new(seeds.start);
    let reports = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let mut report = run(seed, None);
                    report.log = Vec::new();
                    if let Some(failure) = report.failure() {
                        eprintln!("{failure}");
                    }
                    lock(&reports).push(report);
                }
            });
        }
    });
    reports.into_inner().expect("no thread has panicked")
}

/// The numbers of a sweep, in words.
fn told(reports: &[Report]) -> String {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let (mut faults, mut resolved) = (BTreeMap::new(), BTreeMap::new());
    for (fault, count) in reports.iter().flat_map(|report| &report.faults) {
        *faults.entry(*fault).or_insert(0) += count;
    }
    for (said, count) in reports.iter().flat_map(|report| &report.resolved) {
        *resolved.entry(said).or_insert(0) += count;
    }
    let slowest = reports.iter().map(|report| report.converged).max();
    format!(
        "{} seeds: {} requests, {} writes done, {} refused, {} unknown, {} reads after writes, \
         {} answers lost after the commit; {} sites joined, {} did not, {} nodes came, {} sites \
         went; operations in doubt: {resolved:?}; faults: {faults:?}; \
         converged after at most {:?}",
        reports.len(),
        sum(|report| report.requests),
        sum(|report| report.writes[0]),
        sum(|report| report.writes[1]),
        sum(|report| report.writes[2]),
        sum(|report| report.probes),
        sum(|report| report.answers_lost),
        sum(|report| report.movement[0]),
        sum(|report| report.movement[1]),
        sum(|report| report.movement[2]),
        sum(|report| report.movement[3]),
        slowest.unwrap_or_default(),
    )
}

#[test]
fn whatever_goes_wrong_the_state_contract_is_kept() {
    if number("LUC_FAULT_SEED").is_some() {
        return;
    }
    let seeds = number("LUC_FAULT_SEEDS").unwrap_or(SEEDS);
    let first = number("LUC_FAULT_FROM").unwrap_or_default();
    let reports = sweep(first..first + seeds);
    eprintln!("{}", told(&reports));
    let failed: Vec<_> = reports.iter().filter_map(Report::failure).collect();
    assert!(
        failed.is_empty(),
        "{} seeds failed: {}",
        failed.len(),
        failed[0]
    );
}

#[test]
fn replay_one_seed() {
    let Some(seed) = number("LUC_FAULT_SEED") else {
        return;
    };
    let report = run(seed, None);
    for line in &report.log {
        eprintln!("{line}");
    }
    eprintln!("{}", told(std::slice::from_ref(&report)));
    if let Some(failure) = report.failure() {
        panic!("{failure}");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in [1, 6] {
        let (once, again) = (run(seed, None), run(seed, None));
        let pairs = once.log.iter().zip(&again.log);
        let differing = pairs
            .filter(|(one, other)| one != other)
            .collect::<Vec<_>>();
        assert!(differing.is_empty(), "seed {seed}: {:?}", differing[0]);
        assert_eq!(once.log.len(), again.log.len(), "seed {seed}");
    }
}

/// The first seed at which a cloud without `rule` is caught by `invariant`, looking at `within`
/// seeds.
fn caught(rule: Rule, within: u64, invariants: &[&str]) -> Option<u64> {
    (0..within).find(|seed| {
        let report = run(*seed, Some(rule));
        let mut found = report.violations.iter();
        let caught = found.find(|violation| invariants.contains(&violation.invariant));
        if let Some(violation) = caught {
            eprintln!(
                "{rule:?}, seed {seed}: {}: {}",
                violation.invariant, violation.seen
            );
        }
        caught.is_some()
    })
}

#[test]
fn a_home_that_forgets_what_it_carried_out_does_things_twice() {
    let caught = caught(Rule::OutcomesForgotten, 20, &[exactly_once::EXACTLY_ONCE]);
    assert!(caught.is_some());
}

#[test]
fn a_feed_that_drops_tombstones_leaves_copies_of_what_is_gone() {
    let invariants = [replicas_are_prefixes::REPLICAS_ARE_PREFIXES];
    assert!(caught(Rule::TombstonesDropped, 20, &invariants).is_some());
    let invariants = [nothing_resurrected::NOTHING_RESURRECTED];
    assert!(caught(Rule::TombstonesDropped, 40, &invariants).is_some());
}

#[test]
fn a_copy_that_is_written_differs_from_its_home() {
    let invariants = [replicas_are_prefixes::REPLICAS_ARE_PREFIXES];
    assert!(caught(Rule::CopiesWritable, 5, &invariants).is_some());
}

#[test]
fn a_record_made_where_somebody_asks_for_it_is_away_from_its_home() {
    assert!(caught(Rule::HomesIgnored, 20, &[one_home::ONE_HOME]).is_some());
}

#[test]
fn a_disk_that_forgets_its_last_commit_loses_what_was_acknowledged() {
    let invariants = [acknowledged_writes_survive::ACKNOWLEDGED_WRITES_SURVIVE];
    assert!(caught(Rule::CommitsForgotten, 40, &invariants).is_some());
}

#[test]
fn an_answer_that_does_not_wait_for_the_copy_is_caught_by_the_next_read() {
    let caught = caught(
        Rule::OwnWritesNotAwaited,
        5,
        &[read_your_writes::READ_YOUR_WRITES],
    );
    assert!(caught.is_some());
}

#[test]
fn a_follower_that_applies_what_comes_late_goes_back_in_history() {
    let invariants = [replicas_are_prefixes::REPLICAS_ARE_PREFIXES];
    assert!(caught(Rule::CursorUnchecked, 60, &invariants).is_some());
}

#[test]
fn a_site_that_gives_its_lease_back_in_words_alone_uses_more_than_it_was_lent() {
    let invariants = [quota_never_exceeded::QUOTA_NEVER_EXCEEDED];
    assert!(caught(Rule::BlocksGivenBackInWords, 20, &invariants).is_some());
}

#[test]
fn a_site_that_keeps_its_lease_leaves_a_lowered_limit_pending() {
    let invariants = [lowered_limits_bind::LOWERED_LIMITS_BIND];
    assert!(caught(Rule::BlocksKept, 20, &invariants).is_some());
}

#[test]
fn a_promise_that_is_not_kept_lets_a_site_in_without_a_majority() {
    let invariants = [joins_are_whole::JOINS_ARE_WHOLE];
    assert!(caught(Rule::PromisesInWords, 20, &invariants).is_some());
}

#[test]
fn sites_that_do_not_hear_of_a_revocation_let_the_key_in() {
    let invariants = [members_are_agreed::MEMBERS_ARE_AGREED];
    assert!(caught(Rule::RevocationsUnheard, 20, &invariants).is_some());
}

#[test]
fn a_home_that_feeds_whatever_is_asked_for_shows_an_edge_site_other_peoples_records() {
    let invariants = [edges_stay_inside::EDGES_STAY_INSIDE];
    assert!(caught(Rule::FollowersFedAll, 20, &invariants).is_some());
}

#[test]
fn sites_that_trust_an_edge_site_take_what_is_not_its_own() {
    let invariants = [edges_stay_inside::EDGES_STAY_INSIDE];
    assert!(caught(Rule::EdgesTrusted, 40, &invariants).is_some());
}

#[test]
fn a_site_that_joins_as_if_it_had_nobody_leaves_its_people_behind() {
    let invariants = [people_come_along_once::PEOPLE_COME_ALONG_ONCE];
    assert!(caught(Rule::PeopleLeftBehind, 20, &invariants).is_some());
}

#[test]
fn a_reserve_of_what_is_not_free_exceeds_the_limit() {
    let invariants = [quota_never_exceeded::QUOTA_NEVER_EXCEEDED];
    assert!(caught(Rule::ReservesUnchecked, 20, &invariants).is_some());
}

#[test]
fn a_grant_that_is_not_written_down_lets_a_user_have_more_than_his_limit() {
    let invariants = [quota_never_exceeded::USERS_KEEP_TO_THEIRS];
    assert!(caught(Rule::UserBlocksMadeUp, 60, &invariants).is_some());
}

#[test]
fn a_site_that_says_it_has_heard_of_a_limit_and_has_nothing_exceeds_it() {
    let invariants = [quota_never_exceeded::QUOTA_NEVER_EXCEEDED];
    assert!(caught(Rule::LimitsHeardInWords, 20, &invariants).is_some());
}

#[test]
fn a_home_that_does_not_look_who_is_back_leaves_a_limit_pending() {
    let invariants = [limits_come_into_force::LIMITS_COME_INTO_FORCE];
    assert!(caught(Rule::PermitsUnsettled, 20, &invariants).is_some());
}

#[test]
fn a_home_that_takes_nothing_back_leaves_an_edge_site_what_it_was_allowed_once() {
    let invariants = [edges_stay_inside::EDGES_STAY_INSIDE];
    assert!(caught(Rule::PermitsUnsettled, 40, &invariants).is_some());
}
