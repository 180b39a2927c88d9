//! Every checker is fed a history that breaks its property, and one close to it that does not.

use luc_core::time::{Duration, Instant};
use luc_core::units::MemoryMib;
use luc_dvms::command::MigrationId;
use luc_dvms::event::{Cause, PartitionEnd};
use luc_dvms::{Ballot, Cpu, Reason, Resources, StepId};

use super::{
    CoolDownKept, CpuNotOverloadedByStep, EveryPartitionEnds, FreeWhenQuiet, Invariant,
    MemoryAndDiskFit, NoStaleStep, OneHostPerVm, OneLeaderPerNode, OnePartitionPerNode, Step,
};
use crate::fault::Fault;
use crate::index::{NodeIndex, SiteIndex, VmIndex};
use crate::log::{Entry, Partition, Record};
use crate::trace::Generator;
use crate::world::{Claim, World};

fn world() -> World {
    let trace = Generator::vmplaces(vec![4], 10, 1).generate().unwrap();
    World::new(&trace, Duration::from_secs(60))
}

fn at(second: f64) -> Instant {
    Instant::from_nanos((second * 1e9) as u64)
}

/// Feeds entries one per step, each at its second: what the first refused one was refused for.
fn history(
    checker: &mut dyn Invariant,
    world: &World,
    entries: &[(f64, Entry)],
) -> Result<(), String> {
    for (second, entry) in entries {
        let now = at(*second);
        let entry = entry.clone();
        let records = [Record { at: now, entry }];
        checker.check(&Step {
            now,
            world,
            records: &records,
        })?;
    }
    Ok(())
}

const fn partition(counter: u64, leader: u32) -> Partition {
    Partition {
        counter,
        leader: NodeIndex(leader),
    }
}

const fn reserved(node: u32, partition: Partition) -> Entry {
    Entry::Reserved {
        node: NodeIndex(node),
        partition,
        lease_ns: 5_000_000_000,
    }
}

const fn freed(node: u32, partition: Partition) -> Entry {
    Entry::Freed {
        node: NodeIndex(node),
        partition,
    }
}

const fn began(vm: u32, source: u32, target: u32, partition: Partition) -> Entry {
    Entry::MigrationBegan {
        vm: VmIndex(vm),
        source: NodeIndex(source),
        target: NodeIndex(target),
        partition,
        reason: Reason::Consolidation,
        nearer_sites: 0,
    }
}

const fn ended(vm: u32, source: u32, target: u32, moved: bool) -> Entry {
    Entry::MigrationEnded {
        vm: VmIndex(vm),
        source: NodeIndex(source),
        target: NodeIndex(target),
        partition: partition(1, 0),
        moved,
        sent_mib: 1_024,
        took_ms: 8_600,
        downtime_us: 0,
    }
}

const fn expected(vm: u32, target: u32, partition: Partition) -> Entry {
    Entry::Expected {
        vm: VmIndex(vm),
        source: NodeIndex(0),
        target: NodeIndex(target),
        partition,
    }
}

const A: Partition = partition(1, 0);
const B: Partition = partition(9, 3);

#[test]
fn a_node_that_two_leaders_hold_is_noticed() {
    let world = world();
    let mut checker = OneLeaderPerNode::new(4);
    let said = history(
        &mut checker,
        &world,
        &[(1.0, reserved(1, A)), (2.0, reserved(1, B))],
    );
    assert!(said.unwrap_err().contains("n1 is held by n0"));
}

#[test]
fn a_node_that_drops_one_leader_for_another_in_one_step_is_noticed() {
    let world = world();
    let mut checker = OneLeaderPerNode::new(4);
    history(&mut checker, &world, &[(1.0, reserved(1, A))]).unwrap();
    let now = at(2.0);
    let records = [freed(1, A), reserved(1, B)].map(|entry| Record { at: now, entry });
    let step = Step {
        now,
        world: &world,
        records: &records,
    };
    assert!(checker.check(&step).is_err());
}

#[test]
fn a_node_may_change_hands_when_it_was_released_or_handed_over_or_its_lease_ran_out() {
    let world = world();
    let absorbed = Entry::Absorbed {
        partition: B,
        taken: A,
    };
    let histories = [
        vec![
            (1.0, reserved(1, A)),
            (2.0, freed(1, A)),
            (2.1, reserved(1, B)),
        ],
        vec![
            (1.0, reserved(1, A)),
            (2.0, absorbed),
            (2.1, reserved(1, B)),
        ],
        vec![(1.0, reserved(1, A)), (6.5, reserved(1, B))],
    ];
    for one in histories {
        let mut checker = OneLeaderPerNode::new(4);
        assert_eq!(history(&mut checker, &world, &one), Ok(()));
    }
}

#[test]
fn a_node_that_goes_back_to_a_lower_ballot_is_noticed() {
    let world = world();
    let mut checker = OneLeaderPerNode::new(4);
    let higher = partition(5, 0);
    let said = history(
        &mut checker,
        &world,
        &[(1.0, reserved(1, higher)), (2.0, reserved(1, A))],
    );
    assert!(said.unwrap_err().contains("went back"));
}

#[test]
fn a_machine_sent_twice_at_once_is_noticed() {
    let world = world();
    let mut checker = OneHostPerVm::default();
    let said = history(
        &mut checker,
        &world,
        &[(1.0, began(0, 0, 1, A)), (2.0, began(0, 0, 2, A))],
    );
    assert!(
        said.unwrap_err()
            .contains("vm0 is on its way from n0 to n1")
    );
}

#[test]
fn a_machine_that_is_not_where_it_should_have_arrived_is_noticed() {
    let world = world();
    let mut checker = OneHostPerVm::default();
    // The world never moved it: machine 0 is still at node 0.
    let moved = [(1.0, began(0, 0, 1, A)), (9.0, ended(0, 0, 1, true))];
    assert!(
        history(&mut checker, &world, &moved)
            .unwrap_err()
            .contains("should run at n1")
    );
    let mut checker = OneHostPerVm::default();
    let failed = [(1.0, began(0, 0, 1, A)), (9.0, ended(0, 0, 1, false))];
    assert_eq!(history(&mut checker, &world, &failed), Ok(()));
}

#[test]
fn a_step_at_a_node_that_is_free_or_anothers_or_past_its_lease_is_noticed() {
    let world = world();
    let say =
        |entries: &[(f64, Entry)]| history(&mut NoStaleStep::new(4), &world, entries).unwrap_err();
    assert!(say(&[(1.0, began(0, 0, 1, A))]).contains("which is free"));
    let other = [(1.0, reserved(0, B)), (2.0, began(0, 0, 1, A))];
    assert!(say(&other).contains("which is held by n3"));
    let late = [(1.0, reserved(0, A)), (6.5, began(0, 0, 1, A))];
    assert!(say(&late).contains("whose lease ended"));
    let raised = [
        (1.0, reserved(0, partition(4, 0))),
        (2.0, began(0, 0, 1, A)),
    ];
    assert!(say(&raised).contains("which has accepted ballot 4"));
    let target = [
        (1.0, reserved(1, A)),
        (2.0, freed(1, A)),
        (3.0, expected(0, 1, A)),
    ];
    assert!(say(&target).contains("vm0 was expected under ballot 1 of n0 at n1, which is free"));
    let good = [(1.0, reserved(0, A)), (2.0, began(0, 0, 1, A))];
    assert_eq!(history(&mut NoStaleStep::new(4), &world, &good), Ok(()));
}

#[test]
fn memory_that_is_promised_twice_is_noticed() {
    let mut world = world();
    let claim = |memory: u64, step: u16| Claim {
        migration: MigrationId {
            ballot: Ballot {
                counter: 1,
                leader: NodeIndex(0).peer(SiteIndex(0)),
            },
            step: StepId(step),
        },
        vm: VmIndex(0),
        claim: Resources {
            memory: MemoryMib(memory),
            ..Resources::default()
        },
    };
    // Ten machines of 1 GiB run there; 22 GiB are left.
    world.claim(NodeIndex(1), claim(22 * 1_024, 0));
    let step = [(1.0, expected(0, 1, A))];
    assert_eq!(history(&mut MemoryAndDiskFit, &world, &step), Ok(()));
    world.claim(NodeIndex(1), claim(1, 1));
    let said = history(&mut MemoryAndDiskFit, &world, &step).unwrap_err();
    assert_eq!(said, "32769 MiB of 32768 MiB are in use at n1");
}

#[test]
fn a_step_that_overloads_its_target_is_noticed_unless_the_target_could_not_know() {
    let mut world = world();
    let claim = Claim {
        migration: MigrationId {
            ballot: Ballot {
                counter: 1,
                leader: NodeIndex(0).peer(SiteIndex(0)),
            },
            step: StepId(0),
        },
        vm: VmIndex(0),
        claim: Resources {
            cpu: Cpu(100),
            ..Resources::default()
        },
    };
    world.claim(NodeIndex(1), claim);
    let demand = |cpu| Entry::Demand {
        host: NodeIndex(1),
        cpu,
    };
    let say =
        |entries: &[(f64, Entry)]| history(&mut CpuNotOverloadedByStep::new(4), &world, entries);
    let fits = [(1.0, demand(600)), (5.0, expected(0, 1, A))];
    assert_eq!(say(&fits), Ok(()));
    let fresh = [
        (1.0, demand(600)),
        (4.0, demand(650)),
        (5.0, expected(0, 1, A)),
    ];
    assert_eq!(say(&fresh), Ok(()));
    let old = [
        (1.0, demand(600)),
        (2.0, demand(650)),
        (5.0, expected(0, 1, A)),
    ];
    assert!(
        say(&old)
            .unwrap_err()
            .contains("serves 650 and expects 100")
    );
}

#[test]
fn a_partition_that_never_ends_is_noticed_unless_its_leader_crashed() {
    let world = world();
    let open = Entry::Began {
        partition: A,
        cause: Cause::Overload,
    };
    let end = Entry::Ended {
        partition: A,
        end: PartitionEnd::Solved,
        members: Vec::new(),
    };
    let mut checker = EveryPartitionEnds::default();
    let said = history(
        &mut checker,
        &world,
        &[(1.0, open.clone()), (700.0, Entry::Finished)],
    );
    assert!(said.unwrap_err().contains("has not ended"));
    let mut checker = EveryPartitionEnds::default();
    let good = [(1.0, open), (2.0, end.clone()), (700.0, Entry::Finished)];
    assert_eq!(history(&mut checker, &world, &good), Ok(()));
    let twice = history(&mut checker, &world, &[(701.0, end)]);
    assert!(twice.unwrap_err().contains("was not open"));
}

#[test]
fn a_machine_that_moves_on_too_soon_is_noticed() {
    let world = world();
    let mut checker = CoolDownKept::default();
    let soon = [
        (1.0, began(0, 0, 1, A)),
        (9.0, ended(0, 0, 1, true)),
        (50.0, began(0, 1, 2, A)),
    ];
    assert!(
        history(&mut checker, &world, &soon)
            .unwrap_err()
            .contains("moves on")
    );
    let mut checker = CoolDownKept::default();
    let late = [
        (1.0, began(0, 0, 1, A)),
        (9.0, ended(0, 0, 1, true)),
        (69.5, began(0, 1, 2, A)),
    ];
    assert_eq!(history(&mut checker, &world, &late), Ok(()));
}

#[test]
fn a_cool_down_ends_sooner_by_a_clock_that_jumps_ahead() {
    let world = world();
    let jump = |node| Entry::Fault {
        fault: Fault::Skew {
            node: NodeIndex(node),
            ahead_micros: 8_000_000,
            fast_ppm: 0,
        },
    };
    let moves = |node| {
        [
            (1.0, began(0, 0, 1, A)),
            (9.0, ended(0, 0, 1, true)),
            (20.0, jump(node)),
            (62.0, began(0, 1, 2, A)),
        ]
    };
    let say = |node| history(&mut CoolDownKept::default(), &world, &moves(node));
    assert_eq!(say(1), Ok(()));
    assert!(say(3).is_err());
}

#[test]
fn a_node_that_stays_reserved_when_all_is_quiet_is_noticed() {
    let world = world();
    let mut checker = FreeWhenQuiet::new(4);
    let moved = ended(0, 0, 1, true);
    let quiet = [
        (1.0, reserved(1, A)),
        (1.5, began(0, 0, 1, A)),
        (10.0, moved.clone()),
        (17.9, Entry::Finished),
    ];
    assert_eq!(history(&mut checker, &world, &quiet), Ok(()));
    let said = history(&mut checker, &world, &[(18.1, Entry::Finished)]);
    assert!(said.unwrap_err().contains("n1 is still reserved"));
    let mut checker = FreeWhenQuiet::new(4);
    let overloaded = [
        (0.5, Entry::ViolationBegan { host: NodeIndex(2) }),
        (1.0, reserved(1, A)),
        (90.0, Entry::Finished),
    ];
    assert_eq!(history(&mut checker, &world, &overloaded), Ok(()));
}

#[test]
fn a_node_that_enters_a_partition_before_it_has_left_another_is_noticed() {
    let world = world();
    let enters_two = [(1.0, reserved(1, A)), (2.0, reserved(1, B))];
    let said = history(&mut OnePartitionPerNode::new(4), &world, &enters_two);
    assert!(said.unwrap_err().contains("n1 is in partition 1 of n0"));
    let leaves_first = [
        (1.0, reserved(1, A)),
        (2.0, freed(1, A)),
        (2.0, reserved(1, B)),
    ];
    let said = history(&mut OnePartitionPerNode::new(4), &world, &leaves_first);
    assert_eq!(said, Ok(()));
}

#[test]
fn help_that_is_asked_for_ahead_of_need_disturbs_the_quiet_only_where_hosts_sleep() {
    let world = world();
    let asks = Entry::Began {
        partition: A,
        cause: Cause::Overload,
    };
    let events = [(9.0, asks), (9.0, reserved(1, A))];
    let said = history(&mut FreeWhenQuiet::new(4), &world, &events);
    assert!(said.unwrap_err().contains("n1 is still reserved"));
    let mut ahead = FreeWhenQuiet::looking_ahead(4);
    assert_eq!(history(&mut ahead, &world, &events), Ok(()));
    let later = [(17.5, freed(2, A))];
    let said = history(&mut ahead, &world, &later);
    assert!(said.unwrap_err().contains("n1 is still reserved"));
}
