//! Baselines in small clouds: they relieve, they keep the rules of hosts, they save power.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use luc_core::time::{Duration, Instant};

use super::*;
use crate::algorithm::{Constants, Nothing};
use crate::fault::{Fault, Schedule};
use crate::log::{Entry, Lines, NoSink, Record};
use crate::metrics::Summary;
use crate::network::RoundTrips;
use crate::scenario::{Central, Hierarchical, Trigger};
use crate::simulation::{Setup, Simulation};
use crate::trace::Generator;

/// A cloud of these sites with ten machines per node, which ask for `mean` ± 20.
fn setup(sites: Vec<u32>, mean: f64, seconds: u64) -> Setup {
    let count = sites.len() as u16;
    let mut generator = Generator::vmplaces(sites, 10, 5);
    generator.duration = Duration::from_secs(seconds);
    generator.phases[0].mean = mean;
    let far = Duration::from_millis(20);
    Setup {
        trace: Arc::new(generator.generate().unwrap()),
        round_trips: RoundTrips::sites(count, Duration::from_micros(200), far),
        constants: Constants::default(),
        faults: Schedule::none(),
        seed: 1,
        sink: Box::new(NoSink),
    }
}

fn central(trigger: Trigger, energy: bool) -> Central {
    Central {
        trigger,
        energy,
        ..Central::default()
    }
}

fn reactive() -> Config {
    Config::centralised(&central(Trigger::Reactive, false))
}

fn periodic() -> Config {
    Config::centralised(&central(Trigger::Periodic, false))
}

fn grouped(group: u16, trigger: Trigger) -> Config {
    Config::hierarchical(&Hierarchical {
        group,
        trigger,
        ..Hierarchical::default()
    })
}

/// Runs to the end, and hands every record to `see`.
fn watch(
    setup: Setup,
    config: Config,
    mut see: impl FnMut(&Simulation<Baseline>, &Record),
) -> Summary {
    let mut simulation = Simulation::new(setup, Baseline::new(config)).unwrap();
    simulation.watch();
    while simulation.step() {
        for record in simulation.records() {
            see(&simulation, record);
        }
    }
    simulation.metrics().summary()
}

fn run(setup: Setup, config: Config) -> Summary {
    watch(setup, config, |_, _| {})
}

#[test]
fn the_reactive_service_relieves_within_seconds_and_the_periodic_one_in_its_round() {
    let alone = {
        let mut simulation = Simulation::new(setup(vec![32], 60.0, 1800), Nothing).unwrap();
        simulation.run();
        simulation.metrics().summary()
    };
    let reactive = run(setup(vec![32], 60.0, 1800), reactive());
    let periodic = run(setup(vec![32], 60.0, 1800), periodic());
    let mean = |summary: &Summary| summary.violations.seconds.mean;
    println!(
        "nothing {:.1} s, periodic {:.1} s with {} moves, reactive {:.1} s with {} moves",
        mean(&alone),
        mean(&periodic),
        periodic.moves.begun,
        mean(&reactive),
        reactive.moves.begun,
    );
    assert!(mean(&reactive) < 14.0, "{}", mean(&reactive));
    assert!(mean(&periodic) > mean(&reactive) + 5.0);
    assert!(mean(&alone) > mean(&periodic));
    assert!(reactive.moves.moved > 0);
    assert_eq!(reactive.moves.failed, 0);
}

#[test]
fn our_solver_needs_fewer_moves_than_the_published_one() {
    let ours = run(setup(vec![64], 60.0, 1800), reactive());
    let published = run(setup(vec![64], 60.0, 1800), reactive().published());
    println!(
        "{} moves with ours, {} as published",
        ours.moves.begun, published.moves.begun
    );
    assert!(ours.moves.begun < published.moves.begun);
}

#[test]
fn no_order_lifts_a_host_above_its_processor_or_memory() {
    for config in [
        reactive(),
        periodic(),
        grouped(8, Trigger::Reactive),
        Config::ffd(&central(Trigger::Periodic, true)),
    ] {
        let name = config.to_string();
        watch(setup(vec![16], 62.0, 1200), config, |simulation, record| {
            let Entry::MigrationBegan { target, .. } = record.entry else {
                return;
            };
            let host = simulation.context().sample(target);
            assert!(!host.is_overloaded(), "{name}: {target} at {}", record.at);
            let memory = simulation.context().world().hosts().memory_claimed(target);
            assert!(memory <= host.capacity.memory);
        });
    }
}

#[test]
fn group_managers_never_move_a_machine_to_another_group() {
    let mut moves = 0;
    watch(
        setup(vec![16], 65.0, 900),
        grouped(4, Trigger::Reactive),
        |_, record| {
            if let Entry::MigrationBegan { source, target, .. } = record.entry {
                assert_eq!(source.0 / 4, target.0 / 4);
                moves += 1;
            }
        },
    );
    assert!(moves > 0);
}

#[test]
fn groups_of_two_leave_more_unsolved_than_the_whole() {
    let pairs = run(setup(vec![32], 62.0, 1200), grouped(2, Trigger::Reactive));
    let whole = run(setup(vec![32], 62.0, 1200), reactive());
    assert!(pairs.violations.seconds.mean > whole.violations.seconds.mean);
}

#[test]
fn machines_stay_at_their_site_while_it_has_room() {
    let mut moves = [0_u32; 2];
    watch(
        setup(vec![16, 16], 60.0, 1800),
        reactive(),
        |simulation, record| {
            if let Entry::MigrationBegan { source, target, .. } = record.entry {
                let world = simulation.context().world();
                moves[usize::from(world.site(source) != world.site(target))] += 1;
            }
        },
    );
    assert!(moves[0] > 5, "{moves:?}");
    assert_eq!(moves[1], 0, "{moves:?}");
}

#[test]
fn a_service_takes_as_long_as_its_solver_steps_cost() {
    let mut dear = setup(vec![16], 66.0, 1200);
    dear.constants.solver_step = Duration::from_millis(50);
    let dear = run(dear, reactive());
    let cheap = run(setup(vec![16], 66.0, 1200), reactive());
    assert!(dear.violations.seconds.mean > cheap.violations.seconds.mean + 1.0);
}

#[test]
fn a_service_whose_node_restarts_learns_its_hosts_again() {
    let mut setup = setup(vec![16], 62.0, 1200);
    let at = Instant::from_nanos(300_000_000_000);
    setup.faults.add_pair(
        at,
        Duration::from_secs(60),
        Fault::Crash(NodeIndex(0)),
        Fault::Restart(NodeIndex(0)),
    );
    let mut after = 0;
    watch(setup, reactive(), |_, record| {
        let restarted = record.at > at + Duration::from_secs(61);
        after += u32::from(restarted && matches!(record.entry, Entry::MigrationBegan { .. }));
    });
    assert!(after > 0);
}

#[test]
fn lost_messages_cost_time_and_nothing_else() {
    let mut setup = setup(vec![16], 62.0, 1800);
    let begin = Fault::Loss { ppm: 100_000 };
    setup.faults.add(Instant::ORIGIN, begin);
    let summary = run(setup, reactive());
    assert!(summary.moves.moved > 0);
    assert_eq!(summary.moves.failed, 0);
}

#[test]
fn energy_managers_let_idle_hosts_sleep() {
    for config in [
        Config::centralised(&central(Trigger::Reactive, true)),
        Config::entropy(&central(Trigger::Periodic, true)),
        Config::ffd(&central(Trigger::Periodic, true)),
    ] {
        let name = config.to_string();
        let mut asleep = 0_i32;
        let summary = watch(setup(vec![16], 20.0, 3600), config, |simulation, record| {
            if let Entry::Power { .. } = record.entry {
                let hosts = simulation.context().world().hosts();
                let on = (0..16).filter(|node| hosts.is_on(NodeIndex(*node)));
                asleep = 16 - on.count() as i32;
            }
        });
        println!(
            "{name}: {asleep} of 16 asleep after {} moves",
            summary.moves.begun
        );
        assert!(asleep >= 4, "{name}: {asleep} asleep");
    }
}

#[test]
fn energy_managers_wake_hosts_when_the_load_comes_back() {
    for config in [
        Config::centralised(&central(Trigger::Reactive, true)),
        Config::entropy(&central(Trigger::Periodic, true)),
        Config::ffd(&central(Trigger::Periodic, true)),
    ] {
        let name = config.to_string();
        let mut generator = Generator::vmplaces(vec![16], 10, 5);
        generator.duration = Duration::from_secs(7200);
        generator.phases[0].mean = 20.0;
        generator.phases[0].until = Duration::from_secs(3600);
        generator.phases.push(crate::trace::Phase {
            until: Duration::MAX,
            mean: 60.0,
            deviation: 10.0,
        });
        let setup = Setup {
            trace: Arc::new(generator.generate().unwrap()),
            ..setup(vec![16], 20.0, 60)
        };
        let mut simulation = Simulation::new(setup, Baseline::new(config)).unwrap();
        simulation.run();
        let hosts = simulation.context().world().hosts();
        let on = (0..16).filter(|node| hosts.is_on(NodeIndex(*node))).count();
        assert!(on >= 13, "{name}: {on} of 16 on");
        let over = (0..16)
            .filter(|node| hosts.is_overloaded(NodeIndex(*node)))
            .count();
        assert!(over <= 2, "{name}: {over} overloaded at the end");
    }
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let log = || {
        let text = Rc::new(RefCell::new(String::new()));
        let into = Rc::clone(&text);
        let mut setup = setup(vec![8, 8], 65.0, 900);
        setup.sink = Box::new(Lines::new(move |line: &str| {
            into.borrow_mut().push_str(line);
        }));
        Simulation::new(setup, Baseline::new(reactive()))
            .unwrap()
            .run();
        text.take()
    };
    let first = log();
    assert!(first.contains("migration_began"));
    assert!(first.contains("centralised, reactive"));
    assert_eq!(first, log());
}
