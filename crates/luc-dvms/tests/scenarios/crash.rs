//! The published crashes: a ring of 12 nodes with up to three partitions, in which nodes die.
//!
//! ```text
//!  partition 1: 1 (initiator), 2, 3, 4, 10 (leader)
//!  partition 2: 5 (initiator), 7, 12 (leader)
//!  partition 3: 6 (initiator), 8, 9, 11 (leader)
//! ```
//!
//! The reference test suite sets the partitions up by hand and kills at once; here they come about
//! by themselves, and each crash is tried at many instants: while a token is on its way, while a
//! leader gathers, while a migration is under way, and with nobody told of the crash but by
//! silence. The published bounds hold from the crash on: everybody is free within 8 s.

use luc_core::time::Duration;
use luc_dvms::{Choice, Config, Host, relay, star};

use super::harness::{World, peer, seed_of};
use super::machines::host;

const PARTITIONS: [&[u64]; 3] = [&[1, 2, 3, 4, 10], &[5, 7, 12], &[6, 8, 9, 11]];

/// How long after its beginning a schedule is struck.
const MOMENTS: [Duration; 8] = [
    Duration::from_micros(700),
    Duration::from_micros(1_500),
    Duration::from_micros(2_150),
    Duration::from_micros(2_250),
    Duration::from_micros(2_400),
    Duration::from_millis(4),
    Duration::from_millis(400),
    Duration::from_millis(1_700),
];

/// Who dies, and in how many partitions.
struct Crash {
    partitions: usize,
    dead: &'static [u64],
}

const A_MEMBER: Crash = Crash {
    partitions: 1,
    dead: &[4],
};
const AN_INITIATOR: Crash = Crash {
    partitions: 1,
    dead: &[1],
};
const A_LEADER: Crash = Crash {
    partitions: 1,
    dead: &[10],
};
const LEADER_INITIATOR_MEMBER: Crash = Crash {
    partitions: 3,
    dead: &[10, 5, 8],
};
const THREE_LEADERS_TWO_INITIATORS_A_MEMBER: Crash = Crash {
    partitions: 3,
    dead: &[10, 1, 5, 12, 6, 8],
};

/// What the survivors learn of a crash.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// The membership protocol tells after a second.
    After1s,
    /// Nobody tells in time: only silence does.
    Never,
}

impl Crash {
    /// An initiator asks for 110 of 100; with `room` its partition's last node has as much left.
    fn host(&self, number: u64, room: bool) -> Host {
        let mut partitions = PARTITIONS[..self.partitions].iter();
        let own = partitions.find(|members| members.contains(&number));
        match own {
            Some(members) if members[0] == number => host(number, 4000, &[(50, 500), (60, 500)]),
            Some(members) if room && members.ends_with(&[number]) => {
                host(number, 4000, &[(20, 500)])
            }
            _ => host(number, 4000, &[(98, 500)]),
        }
    }

    fn world(&self, choice: Choice, seed: u64, room: bool) -> World {
        let hosts = (1..=12).map(|number| self.host(number, room));
        let config = move |me| Config {
            protocol: choice.clone(),
            ..Config::new(me, seed_of(seed, me))
        };
        let mut world = World::new(seed, hosts.collect(), config);
        world.links.jitter = Duration::from_micros(30);
        world.hosts.duration = Duration::from_secs(3);
        for members in &PARTITIONS[..self.partitions] {
            let members: Vec<_> = members.iter().map(|member| peer(*member)).collect();
            for joined in 1..members.len() {
                world
                    .ring
                    .force(members[joined - 1], &members[..joined], members[joined]);
            }
        }
        world
    }

    /// One schedule: everybody is free within 8 s, nothing breaks, nothing is left over.
    fn strike(&self, choice: &Choice, seed: u64, room: bool, told: Told) {
        for moment in MOMENTS {
            let mut world = self.world(choice.clone(), seed, room);
            if matches!(told, Told::Never) {
                world.detection = Duration::from_secs(3600);
            }
            world.run_until(moment);
            for dead in self.dead {
                world.crash(peer(*dead));
            }
            let what = format!("{:?} at {moment:?}, seed {seed}, room {room}", self.dead);
            let stuck = world.run_until_each_was_free(moment + Duration::from_secs(8));
            assert_eq!(stuck, [].into(), "{what}, {told:?}");
            world.run_until(Duration::from_secs(60));
            for number in 1..=12 {
                world.set_demand(peer(number), &[1; 4]);
            }
            world.run_until(Duration::from_secs(75));
            assert_eq!(
                world.busy(),
                [].into(),
                "{what}, {told:?}: busy for nothing"
            );
            assert_eq!(world.hosts.claims_left(), 0, "{what}, {told:?}");
            assert_eq!(world.violations(), [""; 0], "{what}, {told:?}");
            assert!(world.hosts.placement().values().all(|at| at.len() == 1));
        }
    }

    fn is_survived_by(&self, choice: &Choice) {
        for seed in 0..10 {
            for room in [true, false] {
                for told in [Told::After1s, Told::Never] {
                    self.strike(choice, seed, room, told);
                }
            }
        }
    }
}

fn relay() -> Choice {
    Choice::Relay(relay::Config::default())
}

fn star() -> Choice {
    Choice::Star(star::Config::default())
}

#[test]
fn relay_survives_the_crash_of_a_member() {
    A_MEMBER.is_survived_by(&relay());
}

#[test]
fn relay_survives_the_crash_of_an_initiator() {
    AN_INITIATOR.is_survived_by(&relay());
}

#[test]
fn relay_survives_the_crash_of_a_leader() {
    A_LEADER.is_survived_by(&relay());
}

#[test]
fn relay_survives_the_crash_of_a_leader_an_initiator_and_a_member() {
    LEADER_INITIATOR_MEMBER.is_survived_by(&relay());
}

#[test]
fn relay_survives_the_crash_of_three_leaders_two_initiators_and_a_member() {
    THREE_LEADERS_TWO_INITIATORS_A_MEMBER.is_survived_by(&relay());
}

#[test]
fn star_survives_the_crash_of_a_member() {
    A_MEMBER.is_survived_by(&star());
}

#[test]
fn star_survives_the_crash_of_an_initiator() {
    AN_INITIATOR.is_survived_by(&star());
}

#[test]
fn star_survives_the_crash_of_a_leader() {
    A_LEADER.is_survived_by(&star());
}

#[test]
fn star_survives_the_crash_of_a_leader_an_initiator_and_a_member() {
    LEADER_INITIATOR_MEMBER.is_survived_by(&star());
}

#[test]
fn star_survives_the_crash_of_three_leaders_two_initiators_and_a_member() {
    THREE_LEADERS_TWO_INITIATORS_A_MEMBER.is_survived_by(&star());
}
