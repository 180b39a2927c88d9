//! A minute in which everything that can go wrong goes wrong, by seed, and the calm after it.

use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};
use luc_core::{Entropy as _, PeerId};
use luc_dvms::Config;

use super::harness::{World, peer};
use super::machines::host;

/// More steps than any plan for so few hosts has.
const PLAN_MAX: usize = 40;

/// How long loads change and faults happen.
pub(crate) const STORM: Duration = Duration::from_secs(60);

struct Dice(SplitMix64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.below(STORM.as_micros() as u64))
    }
}

/// A world in which everything that can go wrong goes wrong for a minute.
pub(crate) fn storm(seed: u64, config: impl Fn(PeerId) -> Config + 'static) -> World {
    let mut dice = Dice(SplitMix64::new(seed));
    let count = 4 + dice.below(13);
    let hosts = (1..=count).map(|number| {
        let vms: Vec<_> = (0..2 + dice.below(4)).map(|_| (10, 100)).collect();
        host(number, 1200, &vms)
    });
    let hosts = hosts.collect();
    let mut world = World::new(seed, hosts, config);
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
            world.links.split((1..=half).map(peer).collect());
        });
        let heal = at + Duration::from_millis(dice.below(12_000));
        world.at(heal, |world| world.links.split([].into()));
    }
    world
}

/// Faults end and every host is asked for little. Returns what went wrong in the storm or since:
/// violations, nodes that are still busy long after, claims that nobody gives back.
pub(crate) fn calm_down(world: &mut World) -> Vec<String> {
    world.links.lost_permille = 0;
    world.links.split([].into());
    let all: Vec<_> = world.everybody().collect();
    for peer in all {
        world.set_demand(peer, &[5; 40]);
    }
    let quiet = STORM + world.hosts.duration + Duration::from_secs(15 + 8);
    world.run_until(quiet + Duration::from_secs(8));
    // A plan of the published protocol takes its steps one after the other, however many.
    let patience = world.hosts.duration + Duration::from_secs(8);
    for _ in 0..PLAN_MAX {
        let until = world.now.since(Instant::ORIGIN) + patience;
        let moves = world.hosts.moves;
        world.run_until(until);
        if world.hosts.is_quiet() && world.hosts.moves == moves {
            break;
        }
    }
    let mut found = world.violations();
    let busy = world.busy();
    if !busy.is_empty() {
        found.push(format!("still busy: {busy:?}"));
    }
    if world.hosts.claims_left() > 0 {
        found.push(format!("{} claims are left", world.hosts.claims_left()));
    }
    found
}
