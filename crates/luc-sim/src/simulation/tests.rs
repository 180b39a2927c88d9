//! The loop with algorithms that are simple enough to predict.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use luc_core::time::{Duration, Instant};
use luc_dvms::command::{MigrationEnd, MigrationId};
use luc_dvms::{Ballot, Reason, StepId};

use super::{Setup, Simulation};
use crate::algorithm::{Algorithm, Constants, Nothing};
use crate::context::Context;
use crate::fault::{Fault, Schedule};
use crate::index::NodeIndex;
use crate::log::{Lines, NoSink};
use crate::network::RoundTrips;
use crate::trace::Generator;

fn setup(faults: Schedule) -> Setup {
    let mut generator = Generator::vmplaces(vec![4, 4], 10, 5);
    generator.duration = Duration::from_secs(600);
    generator.phases[0].mean = 85.0;
    Setup {
        trace: Arc::new(generator.generate().unwrap()),
        round_trips: RoundTrips::sites(2, Duration::from_micros(200), Duration::from_millis(20)),
        constants: Constants::default(),
        faults,
        seed: 1,
        sink: Box::new(NoSink),
    }
}

/// Each node sends to the next one each second; counts what happens.
#[derive(Default)]
struct Chatter {
    received: Vec<u32>,
    ticks: Vec<u32>,
    restarts: u32,
    moves: Vec<MigrationEnd>,
    move_one: bool,
}

impl Algorithm for Chatter {
    type Message = u8;
    type Timer = u8;

    fn name(&self) -> String {
        "chatter".into()
    }

    fn start(&mut self, context: &mut Context<Self>) {
        self.received = vec![0; context.nodes()];
        self.ticks = vec![0; context.nodes()];
        for node in 0..context.nodes() {
            context.schedule(NodeIndex(node as u32), Duration::from_secs(1), 0);
        }
    }

    fn sampled(&mut self, node: NodeIndex, context: &mut Context<Self>) {
        if std::mem::take(&mut self.move_one) {
            let host = context.sample(node);
            let target = (node.0 + 1) % context.nodes() as u32;
            let target = context.world().peer(NodeIndex(target));
            let migration = MigrationId {
                ballot: Ballot {
                    counter: 1,
                    leader: host.peer,
                },
                step: StepId(0),
            };
            context.migrate(
                node,
                migration,
                host.vms[0].id,
                target,
                Reason::Consolidation,
            );
        }
    }

    fn message(&mut self, node: NodeIndex, _: NodeIndex, _: u8, _: &mut Context<Self>) {
        self.received[node.at()] += 1;
    }

    fn timer(&mut self, node: NodeIndex, _: u8, context: &mut Context<Self>) {
        self.ticks[node.at()] += 1;
        let next = NodeIndex((node.0 + 1) % context.nodes() as u32);
        context.send(node, next, 10, 0);
        context.schedule(node, Duration::from_secs(1), 0);
    }

    fn migration_ended(
        &mut self,
        _: NodeIndex,
        _: MigrationId,
        end: MigrationEnd,
        _: &mut Context<Self>,
    ) {
        self.moves.push(end);
    }

    fn crashed(&mut self, _: NodeIndex, _: &mut Context<Self>) {}

    fn restarted(&mut self, node: NodeIndex, context: &mut Context<Self>) {
        self.restarts += 1;
        context.schedule(node, Duration::from_secs(1), 0);
    }

    fn woken(&mut self, _: NodeIndex, _: &mut Context<Self>) {}
}

fn at(second: u64) -> Instant {
    Instant::from_nanos(second * 1_000_000_000)
}

#[test]
fn without_a_scheduler_overloads_stay_as_long_as_the_load_does() {
    let mut simulation = Simulation::new(setup(Schedule::none()), Nothing).unwrap();
    simulation.run();
    let summary = simulation.metrics().summary();
    assert!(summary.violations.count > 0);
    assert!(summary.violations.seconds.mean > 10.0);
    assert_eq!(summary.moves.begun, 0);
    assert!((summary.duration_s - 600.0).abs() < 1e-9);
}

#[test]
fn the_same_seed_gives_the_same_log_byte_for_byte() {
    let log = |seed| {
        let text = Rc::new(RefCell::new(String::new()));
        let into = Rc::clone(&text);
        let mut setup = setup(Schedule::none());
        setup.seed = seed;
        setup.sink = Box::new(Lines::new(move |line: &str| {
            into.borrow_mut().push_str(line);
        }));
        let chatter = Chatter {
            move_one: true,
            ..Chatter::default()
        };
        Simulation::new(setup, chatter).unwrap().run();
        text.take()
    };
    let first = log(1);
    assert!(first.len() > 5_000);
    assert!(first.starts_with("{\"format\":\"luc-sim-log\",\"version\":1"));
    assert_eq!(first, log(1));
}

#[test]
fn a_crashed_node_hears_nothing_and_its_timers_never_come() {
    let mut faults = Schedule::none();
    let node = NodeIndex(3);
    faults.add_pair(
        at(100),
        Duration::from_secs(100),
        Fault::Crash(node),
        Fault::Restart(node),
    );
    let mut simulation = Simulation::new(setup(faults), Chatter::default()).unwrap();
    simulation.run();
    let chatter = simulation.algorithm();
    assert_eq!(chatter.restarts, 1);
    assert_eq!(chatter.ticks[2], 599);
    assert!(
        (498..=500).contains(&chatter.ticks[3]),
        "{:?}",
        chatter.ticks
    );
    assert!(
        (498..=500).contains(&chatter.received[3]),
        "{:?}",
        chatter.received
    );
}

#[test]
fn a_paused_node_hears_everything_late() {
    let mut faults = Schedule::none();
    let node = NodeIndex(3);
    faults.add_pair(
        at(100),
        Duration::from_secs(100),
        Fault::Pause(node),
        Fault::Resume(node),
    );
    let mut simulation = Simulation::new(setup(faults), Chatter::default()).unwrap();
    simulation.run_until(at(199));
    assert!((98..=100).contains(&simulation.algorithm().received[3]));
    simulation.run();
    assert_eq!(simulation.algorithm().received[3], 599);
}

#[test]
fn a_split_cuts_messages_between_its_sides_only() {
    let mut faults = Schedule::none();
    let sides = vec![0, 0, 0, 0, 1, 1, 1, 1];
    faults.add_pair(
        at(100),
        Duration::from_secs(100),
        Fault::Split { sides },
        Fault::Heal,
    );
    let mut simulation = Simulation::new(setup(faults), Chatter::default()).unwrap();
    simulation.run();
    let received = &simulation.algorithm().received;
    assert_eq!(received[1], 599);
    assert!((498..=500).contains(&received[4]), "{received:?}");
}

#[test]
fn a_fast_clock_makes_timers_come_sooner() {
    let mut faults = Schedule::none();
    faults.add(
        at(0),
        Fault::Skew {
            node: NodeIndex(5),
            ahead_micros: 0,
            fast_ppm: 100_000,
        },
    );
    let mut simulation = Simulation::new(setup(faults), Chatter::default()).unwrap();
    simulation.run();
    let ticks = simulation.algorithm().ticks[5];
    assert!((655..=660).contains(&ticks), "{ticks}");
}

#[test]
fn a_migration_takes_its_time_and_moves_the_machine() {
    let chatter = Chatter {
        move_one: true,
        ..Chatter::default()
    };
    let mut simulation = Simulation::new(setup(Schedule::none()), chatter).unwrap();
    simulation.run();
    assert_eq!(simulation.algorithm().moves, [MigrationEnd::Moved]);
    let summary = simulation.metrics().summary();
    assert_eq!((summary.moves.moved, summary.moves.failed), (1, 0));
    assert!(
        (8.5..9.0).contains(&summary.moves.seconds.mean),
        "{summary:?}"
    );
    let hosts = simulation.context().world().hosts();
    let mut counts: Vec<usize> = (0..8)
        .map(|node| hosts.vms(NodeIndex(node)).len())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [9, 10, 10, 10, 10, 10, 10, 11]);
}

#[test]
fn a_migration_breaks_off_when_an_end_crashes() {
    let mut faults = Schedule::none();
    // Whoever moves first, all of the second half and of the first half go down in turn.
    for node in 0..8 {
        faults.add(at(5), Fault::Crash(NodeIndex(node)));
    }
    let chatter = Chatter {
        move_one: true,
        ..Chatter::default()
    };
    let mut simulation = Simulation::new(setup(faults), chatter).unwrap();
    simulation.run();
    let summary = simulation.metrics().summary();
    assert_eq!((summary.moves.begun, summary.moves.failed), (1, 1));
}
