//! Rougher schedules than the storm's, for both protocols: hosts with hardly any memory left,
//! everybody overloaded at once several times, a quarter of all messages lost or late by up to
//! 0.8 s, and many short pauses, some of them just as long as a lease.

use luc_core::Entropy as _;
use luc_core::entropy::SplitMix64;
use luc_core::time::Duration;
use luc_dvms::{Choice, Config, relay, star};

use super::harness::{World, peer, seed_of};
use super::machines::host;
use super::storm::{STORM, calm_down};

fn rough(choice: &Choice, seed: u64) -> World {
    let mut dice = SplitMix64::new(seed);
    let mut below = move |bound: u64| dice.next_u64() % bound;
    let count = 4 + below(9);
    let hosts = (1..=count).map(|number| {
        let vms: Vec<_> = (0..2 + below(4)).map(|_| (10, 100)).collect();
        let memory = 100 * (vms.len() as u64 + below(3));
        host(number, memory, &vms)
    });
    let hosts = hosts.collect();
    let choice = choice.clone();
    let mut world = World::new(seed, hosts, move |me| Config {
        protocol: choice.clone(),
        ..Config::new(me, seed_of(seed, me))
    });
    world.hosts.duration = Duration::from_millis(200 + below(8_000));
    world.links.lost_permille = [0, 50, 250][below(3) as usize];
    world.links.doubled_permille = [0, 100][below(2) as usize];
    world.links.jitter = Duration::from_millis([1, 60, 800][below(3) as usize]);
    for second in [2, 14, 26, 38, 50] {
        for number in 1..=count {
            let demand = 15 + below(25) as u32;
            let at = Duration::from_millis(second * 1000 + below(3));
            world.at(at, move |world| {
                world.set_demand(peer(number), &[demand; 8]);
            });
        }
    }
    for _ in 0..8 {
        let (who, at) = (peer(1 + below(count)), Duration::from_millis(below(58_000)));
        let pause = Duration::from_millis(below(7_000));
        world.at(at, move |world| world.pause(who, pause));
    }
    for _ in 0..below(3) {
        let (who, at) = (peer(1 + below(count)), Duration::from_millis(below(50_000)));
        let back = at + Duration::from_millis(below(8_000));
        world.at(at, move |world| world.crash(who));
        world.at(back, move |world| world.restart(who));
    }
    world
}

/// Runs many; `forgiven` violations do not count. Returns how many machines moved.
fn run(choice: &Choice, seeds: std::ops::Range<u64>, forgiven: &[&str]) -> u64 {
    let mut failures = Vec::new();
    let mut moves = 0;
    for seed in seeds {
        let mut world = rough(choice, seed);
        world.run_until(STORM);
        let mut found = calm_down(&mut world);
        found.retain(|text| !forgiven.iter().any(|word| text.contains(word)));
        failures.extend(found.first().map(|text| format!("seed {seed}: {text}")));
        moves += world.hosts.moves;
    }
    assert_eq!(failures, [""; 0]);
    moves
}

#[test]
fn star_keeps_every_promise_in_rough_weather() {
    let choice = Choice::Star(star::Config::default());
    assert!(run(&choice, 0..200, &[]) > 200);
}

/// Without fencing, two leaders of one partition may promise the same memory; nothing else breaks.
#[test]
fn relay_runs_no_machine_twice_in_rough_weather() {
    let choice = Choice::Relay(relay::Config::default());
    assert!(run(&choice, 0..200, &["MiB of memory"]) > 200);
}
