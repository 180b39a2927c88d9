//! Model check of both protocols on small rings: every order of deliveries, bounded loss, delay,
//! crash and failed migrations, with the very handlers that run in the daemon.
//!
//! The checker is `stateright`. A state is a whole small cloud ([`cloud::State`]); time is
//! abstract: it stands still while messages are delivered in any order, and jumps to the next
//! timer when none is left (or earlier, as often as the budget allows: then messages are late).
//! The properties have the names of the simulator's invariants. Where there are more states than
//! can be seen, all short paths are followed and then random ones to their end. Each test prints
//! how many states it saw; `LUC_MODEL_STATES` (a number) makes all of them go deeper.

#![expect(
    clippy::print_stdout,
    reason = "how much was checked is part of the result"
)]

mod cloud;
mod laws;
mod node;
mod scenes;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use luc_dvms::star::Broken;
use stateright::{Checker, HasDiscoveries, Model, UniformChooser};

use cloud::Cloud;
use laws::{Law, Reached};

/// How many states a check generates unless told otherwise.
const STATES: usize = 250_000;

/// Checks are run one at a time: each uses both cores, and memory is bounded.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn states_max() -> usize {
    #[expect(
        clippy::disallowed_methods,
        reason = "how deep a test goes is for whoever runs it"
    )]
    let wanted = std::env::var("LUC_MODEL_STATES");
    wanted
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(STATES)
}

/// What a check saw.
struct Seen {
    broken: BTreeSet<&'static str>,
    reached: BTreeSet<&'static str>,
}

/// Follows every path, the shortest first.
fn check(name: &str, cloud: Cloud) -> Seen {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let reached = cloud.reached.clone();
    let checker = cloud
        .checker()
        .threads(2)
        .target_state_count(states_max())
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    seen(name, &checker, &reached)
}

/// Follows random paths to their end: for clouds with more states than can be seen.
fn walk(name: &str, cloud: Cloud) -> Seen {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let reached = cloud.reached.clone();
    let checker = cloud
        .checker()
        .target_state_count(states_max())
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_simulation(1, UniformChooser)
        .join();
    seen(name, &checker, &reached)
}

/// What a check found, printed.
fn seen(name: &str, checker: &impl Checker<Cloud>, reached: &Reached) -> Seen {
    let states = checker.state_count();
    let names: BTreeSet<&str> = Law::ALL.iter().map(|law| law.name()).collect();
    let mut broken = BTreeSet::new();
    let discoveries: BTreeMap<_, _> = checker.discoveries().into_iter().collect();
    println!(
        "{name}: {states} states, {} unique, depth {}{}",
        checker.unique_state_count(),
        checker.max_depth(),
        if discoveries.is_empty() && states < states_max() {
            ", all of them"
        } else {
            ""
        },
    );
    for (found, path) in discoveries {
        if names.contains(found) {
            println!("  {found} does not hold: {}", path.last_state().wrong());
            for action in path.into_actions() {
                println!("    {action:?}");
            }
            broken.insert(found);
        }
    }
    let reached = reached.names();
    println!("  reached: {reached:?}");
    Seen { broken, reached }
}

fn keeps_all(name: &str, cloud: Cloud, must_reach: &[&str]) {
    all_kept(name, &check(name, cloud), must_reach);
}

fn all_kept(name: &str, seen: &Seen, must_reach: &[&str]) {
    assert!(seen.broken.is_empty(), "{name}: {:?}", seen.broken);
    for fact in must_reach {
        assert!(seen.reached.contains(fact), "{name} never reached: {fact}");
    }
}

/// Both: the short paths all, the long ones at random.
fn keeps_all_far(name: &str, cloud: Cloud, must_reach: &[&str]) {
    all_kept(name, &check(name, cloud.clone()), &[]);
    let walk = walk(&format!("{name}, walks"), cloud);
    all_kept(name, &walk, must_reach);
}

fn is_caught(name: &str, cloud: Cloud) {
    let seen = check(name, cloud);
    assert!(!seen.broken.is_empty(), "{name}: nobody noticed");
}

#[test]
fn two_events_on_three_nodes_meet_and_end() {
    let cloud = Cloud::star(scenes::two_events_one_helper());
    let must = ["planned", "absorbed", "solved", "moved"];
    keeps_all("star, 3 nodes, 2 events", cloud, &must);
}

#[test]
fn three_events_on_five_nodes_keep_all_laws() {
    let cloud = Cloud::star(scenes::three_events_two_helpers());
    let must = ["absorbed", "planned", "solved", "moved"];
    keeps_all_far("star, 5 nodes, 3 events", cloud, &must);
}

#[test]
fn lost_and_late_messages_break_nothing() {
    let cloud = Cloud::star(scenes::two_events_one_helper())
        .with_losses(1)
        .with_delays(2);
    let must = ["lost", "late", "solved"];
    keeps_all_far("star, 3 nodes, 2 events, 1 loss, 2 delays", cloud, &must);
}

#[test]
fn a_crash_at_any_moment_breaks_nothing() {
    let cloud = Cloud::star(scenes::one_event_two_helpers()).with_crashes(1);
    let must = ["crashed", "restarted", "solved"];
    keeps_all("star, 3 nodes, 1 event, 1 crash", cloud, &must);
}

#[test]
fn a_crash_and_late_messages_break_nothing() {
    let cloud = Cloud::star(scenes::two_events_two_helpers())
        .with_crashes(1)
        .with_delays(1)
        .with_failures(1);
    let must = ["crashed", "late", "planned", "failed to move", "solved"];
    keeps_all_far("star, 4 nodes, 2 events, 1 crash, 1 delay", cloud, &must);
}

#[test]
fn a_protocol_that_obeys_any_ballot_is_caught() {
    let cloud = Cloud::star(scenes::two_events_one_helper());
    is_caught("star without ballots", cloud.broken(Broken::BallotCheckOff));
}

#[test]
fn a_protocol_without_leases_is_caught() {
    let cloud = Cloud::star(scenes::one_event_two_helpers())
        .with_crashes(1)
        .with_delays(1);
    is_caught("star without leases", cloud.broken(Broken::LeaseCheckOff));
}

#[test]
fn a_protocol_that_leads_on_after_yielding_is_caught() {
    let cloud = Cloud::star(scenes::two_events_one_helper());
    is_caught(
        "star without absorbing",
        cloud.broken(Broken::AbsorbRuleOff),
    );
}

#[test]
fn the_published_protocol_ends_on_small_rings() {
    let cloud = Cloud::relay(scenes::two_events_one_helper());
    keeps_all("relay, 3 nodes, 2 events", cloud, &["planned", "solved"]);
}

#[test]
fn the_published_protocol_survives_a_crash() {
    let cloud = Cloud::relay(scenes::one_event_two_helpers()).with_crashes(1);
    keeps_all(
        "relay, 3 nodes, 1 event, 1 crash",
        cloud,
        &["crashed", "solved"],
    );
}
