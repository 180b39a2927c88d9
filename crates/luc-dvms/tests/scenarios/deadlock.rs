//! The published deadlocks: partitions that need what another one has reserved.
//!
//! The reference test suite sets the partitions up by hand; here they come about by themselves.
//! Overloads are seen at the same instant, and what one initiator lacks (memory) another one's
//! members have, and the other way round, so that no partition has a solution alone and the union
//! of any two neighbouring ones has.

use luc_core::time::Duration;
use luc_dvms::event::PartitionEnd;
use luc_dvms::{Choice, Config, Host, relay, star};

use super::harness::{World, peer, seed_of};
use super::machines::{full, room_for_tall, room_for_wide, tall, wide};

/// How many different jitters each scenario is run with.
const SEEDS: u64 = 50;

/// A scenario: its hosts by number from 1, and which node an initiator's ISP meets first.
struct Deadlock {
    hosts: Vec<fn(u64) -> Host>,
    partitions: Vec<Vec<u64>>,
}

impl Deadlock {
    /// Partitions of these nodes, initiators first, alternately short of memory and of time.
    fn of(partitions: &[&[u64]]) -> Self {
        let nodes = partitions.iter().map(|members| members.len()).sum();
        let mut hosts: Vec<fn(u64) -> Host> = vec![full; nodes];
        for (place, members) in partitions.iter().enumerate() {
            let (initiator, last) = (members[0], members[members.len() - 1]);
            let short_of_memory = place % 2 == 0;
            hosts[initiator as usize - 1] = if short_of_memory { wide } else { tall };
            hosts[last as usize - 1] = if short_of_memory {
                room_for_tall
            } else {
                room_for_wide
            };
        }
        Self {
            hosts,
            partitions: partitions.iter().map(|members| members.to_vec()).collect(),
        }
    }

    fn world(&self, choice: Choice, seed: u64) -> World {
        let hosts = self
            .hosts
            .iter()
            .zip(1..)
            .map(|(make, number)| make(number));
        let config = move |me| Config {
            protocol: choice.clone(),
            ..Config::new(me, seed_of(seed, me))
        };
        let mut world = World::new(seed, hosts.collect(), config);
        world.links.jitter = Duration::from_micros(30);
        for members in &self.partitions {
            let members: Vec<_> = members.iter().map(|member| peer(*member)).collect();
            for joined in 1..members.len() {
                let (by, found) = (members[joined - 1], members[joined]);
                world.ring.force(by, &members[..joined], found);
            }
        }
        world
    }

    /// Whatever the jitter: all nodes are free and nobody is overloaded within 5 s, for good, and
    /// nothing ever went wrong. Returns how many runs had to merge partitions.
    fn resolves_with(&self, choice: &Choice) -> u64 {
        (0..SEEDS)
            .map(|seed| self.resolves_once(choice.clone(), seed))
            .sum()
    }

    fn resolves_once(&self, choice: Choice, seed: u64) -> u64 {
        let mut world = self.world(choice, seed);
        let settled = world.run_until_settled(Duration::from_secs(5));
        assert!(
            settled.is_some(),
            "seed {seed}; busy: {:?}, overloaded: {:?}",
            world.busy(),
            world.overloaded()
        );
        let merged = world.checks.absorbed > 0;
        self.assert_nothing_is_left(world, seed);
        u64::from(merged)
    }

    fn assert_nothing_is_left(&self, mut world: World, seed: u64) {
        world.run_until(Duration::from_secs(20));
        assert!(world.is_settled(), "seed {seed}: settled, and not for good");
        assert_eq!(world.violations(), [""; 0], "seed {seed}");
        assert_eq!(world.checks.never_ended(), 0, "seed {seed}: every ISP ends");
        assert_eq!(world.hosts.claims_left(), 0, "seed {seed}");
        let placement = world.hosts.placement();
        assert_eq!(
            placement.len(),
            self.machines(),
            "seed {seed}: all are there"
        );
        assert!(placement.values().all(|at| at.len() == 1), "seed {seed}");
        assert!(world.checks.ends(PartitionEnd::Solved) >= 1, "seed {seed}");
    }

    fn machines(&self) -> usize {
        let hosts = self.hosts.iter().zip(1..);
        hosts.map(|(make, number)| make(number).vms.len()).sum()
    }

    /// The same with the published protocol, which has to merge to get there.
    fn resolves_by_merging(&self) {
        let merged = self.resolves_with(&Choice::Relay(relay::Config::default()));
        assert!(
            merged > SEEDS / 2,
            "a deadlock came about {merged} times only"
        );
    }

    /// Ours never waits while holding: whoever asks is free again long before 5 s have passed. What
    /// was given up because a neighbour was reserved is tried again some seconds later.
    fn never_comes_about_with_star(&self) {
        for seed in 0..SEEDS {
            let mut world = self.world(Choice::Star(star::Config::default()), seed);
            world.run_until(Duration::from_micros(500));
            let stuck = world.run_until_each_was_free(Duration::from_secs(5));
            assert_eq!(stuck, [].into(), "seed {seed}");
            let settled = world.run_until_settled(Duration::from_secs(10));
            assert!(settled.is_some(), "seed {seed}: {:?}", world.overloaded());
            self.assert_nothing_is_left(world, seed);
        }
    }
}

fn linear() -> Deadlock {
    Deadlock::of(&[&[1, 2], &[3, 4], &[5, 6], &[7, 8]])
}

fn nested_4() -> Deadlock {
    Deadlock::of(&[&[1, 3], &[2, 4]])
}

fn nested_6() -> Deadlock {
    Deadlock::of(&[&[1, 3, 5], &[2, 4, 6]])
}

fn nested_9() -> Deadlock {
    Deadlock::of(&[&[1, 3, 5], &[2, 6, 8], &[4, 7, 9]])
}

fn nested_12() -> Deadlock {
    Deadlock::of(&[&[1, 5, 9], &[2, 6, 10], &[3, 7, 11], &[4, 8, 12]])
}

#[test]
fn relay_resolves_a_linear_deadlock_of_8_nodes() {
    linear().resolves_by_merging();
}

#[test]
fn relay_resolves_a_nested_deadlock_of_4_nodes() {
    nested_4().resolves_by_merging();
}

#[test]
fn relay_resolves_a_nested_deadlock_of_6_nodes() {
    nested_6().resolves_by_merging();
}

#[test]
fn relay_resolves_a_nested_deadlock_of_9_nodes() {
    nested_9().resolves_by_merging();
}

#[test]
fn relay_resolves_a_nested_deadlock_of_12_nodes() {
    nested_12().resolves_by_merging();
}

#[test]
fn star_knows_no_linear_deadlock_of_8_nodes() {
    linear().never_comes_about_with_star();
}

#[test]
fn star_knows_no_nested_deadlock_of_4_nodes() {
    nested_4().never_comes_about_with_star();
}

#[test]
fn star_knows_no_nested_deadlock_of_6_nodes() {
    nested_6().never_comes_about_with_star();
}

#[test]
fn star_knows_no_nested_deadlock_of_9_nodes() {
    nested_9().never_comes_about_with_star();
}

#[test]
fn star_knows_no_nested_deadlock_of_12_nodes() {
    nested_12().never_comes_about_with_star();
}
