//! Random schedules of the published protocol.
//!
//! It has no fencing, so an old leader may give orders that a new one knows nothing of; what has
//! to hold nevertheless: a node is in one partition, a machine runs at one host and is sent once at
//! a time, and when the storm is over everybody is free. Memory may be promised twice by two
//! leaders of one partition; that is counted, not forbidden.

use std::collections::BTreeMap;

use luc_core::Entropy as _;
use luc_core::entropy::SplitMix64;
use luc_core::time::Duration;
use luc_dvms::{Choice, Config, relay};

use super::harness::{World, seed_of};
use super::storm::{STORM, calm_down, storm};

/// Three times in the minute nearly everybody is overloaded at once, so that tokens meet tokens.
fn crowd(world: &mut World, seed: u64) {
    let mut dice = SplitMix64::new(seed ^ 0x6372_6f77_6400);
    let all: Vec<_> = world.everybody().collect();
    for second in [10, 25, 40] {
        for peer in &all {
            let demand = 22 + (dice.next_u64() % 10) as u32;
            let peer = *peer;
            world.at(Duration::from_secs(second), move |world| {
                world.set_demand(peer, &[demand; 5]);
            });
        }
    }
}

fn run(seed: u64) -> (Vec<String>, BTreeMap<&'static str, u64>) {
    let mut world = storm(seed, move |me| Config {
        protocol: Choice::Relay(relay::Config::default()),
        ..Config::new(me, seed_of(seed, me))
    });
    crowd(&mut world, seed);
    world.run_until(STORM);
    let found = calm_down(&mut world);
    let is_memory = |text: &String| text.contains("MiB of memory");
    let (memory, found): (Vec<_>, Vec<_>) = found.into_iter().partition(is_memory);
    let counts = BTreeMap::from([
        ("began", world.checks.began),
        ("absorbed", world.checks.absorbed),
        ("took over", world.checks.took_over),
        ("moves", world.hosts.moves),
        ("memory", memory.len() as u64),
        ("steps", world.steps),
    ]);
    (found, counts)
}

#[test]
fn no_schedule_runs_a_machine_twice_or_reserves_a_node_twice_or_for_ever() {
    let mut sum: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut failures = Vec::new();
    for seed in 0..600 {
        let (found, counts) = run(seed);
        if let Some(first) = found.first() {
            failures.push(format!("seed {seed}: {first}"));
        }
        for (name, count) in counts {
            *sum.entry(name).or_default() += count;
        }
    }
    assert_eq!(failures, [""; 0]);
    assert!(sum["moves"] > 500, "{sum:?}");
    assert!(sum["took over"] > 10 && sum["absorbed"] > 10, "{sum:?}");
}

#[test]
fn the_same_seed_gives_the_same_schedule() {
    assert_eq!(run(3), run(3));
}
