//! Random schedules of our protocol: loads that change, messages lost, doubled and reordered,
//! crashes, pauses and splits. Whatever happens, the checks hold, and once it stops everybody is
//! free within eight seconds.

use std::collections::BTreeMap;

use luc_core::entropy::SplitMix64;
use luc_core::time::Duration;
use luc_core::{Entropy as _, PeerId};
use luc_dvms::star::{self, Broken};
use luc_dvms::{Choice, Config};

use super::harness::{World, peer};
use super::machines::host;

/// How long loads change and faults happen.
const STORM: Duration = Duration::from_secs(60);

struct Dice(SplitMix64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.below(STORM.as_micros() as u64))
    }
}

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

/// A world in which everything that can go wrong goes wrong for a minute.
fn storm(seed: u64, broken: Option<Broken>) -> World {
    let mut dice = Dice(SplitMix64::new(seed));
    let count = 4 + dice.below(13);
    let hosts = (1..=count).map(|number| {
        let vms: Vec<_> = (0..2 + dice.below(4)).map(|_| (10, 100)).collect();
        host(number, 1200, &vms)
    });
    let hosts = hosts.collect();
    let mut world = World::new(seed, hosts, move |peer| config(peer, seed, broken));
    world.hosts.duration = Duration::from_millis(200 + dice.below(8000));
    world.links.jitter = Duration::from_millis(dice.below(60));
    world.links.lost_permille = dice.below(100);
    world.links.doubled_permille = dice.below(100);
    for _ in 0..count * 8 {
        let (at, who) = (dice.moment(), peer(1 + dice.below(count)));
        let demands: Vec<u32> = (0..8).map(|_| 10 * dice.below(5) as u32).collect();
        world.at(at, move |world| world.set_demand(who, &demands));
    }
    for _ in 0..dice.below(4) {
        let (at, who) = (dice.moment(), peer(1 + dice.below(count)));
        world.at(at, move |world| world.crash(who));
        let back = at + Duration::from_millis(100 + dice.below(10_000));
        world.at(back, move |world| world.restart(who));
    }
    for _ in 0..dice.below(4) {
        let (at, who) = (dice.moment(), peer(1 + dice.below(count)));
        let pause = Duration::from_millis(dice.below(15_000));
        world.at(at, move |world| world.pause(who, pause));
    }
    if dice.below(3) == 0 {
        let (at, half) = (dice.moment(), count / 2);
        world.at(at, move |world| {
            world.links.split((1..=half).map(peer).collect())
        });
        let heal = at + Duration::from_millis(dice.below(12_000));
        world.at(heal, |world| world.links.split([].into()));
    }
    world
}

/// Faults end, and every host is asked for little.
fn calm(world: &mut World, count: usize) {
    world.links.lost_permille = 0;
    world.links.split([].into());
    for number in 1..=count as u64 {
        world.set_demand(peer(number), &[5; 40]);
    }
}

fn run(seed: u64, broken: Option<Broken>) -> (Vec<String>, BTreeMap<&'static str, u64>) {
    let mut world = storm(seed, broken);
    world.run_until(STORM);
    let count = world.alive().count().max(16);
    calm(&mut world, count.min(16));
    let mut found = world.violations();
    let quiet = STORM + world.hosts.duration + Duration::from_secs(15 + 8);
    world.run_until(quiet + Duration::from_secs(8));
    found.extend(world.violations());
    let busy = world.busy();
    if !busy.is_empty() {
        found.push(format!("still busy: {busy:?}"));
    }
    if world.hosts.claims_left() > 0 {
        found.push(format!("{} claims are left", world.hosts.claims_left()));
    }
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
