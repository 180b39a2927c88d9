//! Whole clouds of brains: they repair what a scheduler is for, and the same way every time.

use std::sync::Arc;

use luc_core::time::{Duration, Instant};
use luc_overlay::{SwimConfig, search, vivaldi};

use super::{Blueprint, Brains, Knowledge};
use crate::algorithm::{Constants, Nothing};
use crate::fault::{Fault, Schedule};
use crate::index::NodeIndex;
use crate::invariant::{Invariants, Step};
use crate::log::{Lines, LogHash, NoSink, Sink};
use crate::network::RoundTrips;
use crate::simulation::{Setup, Simulation};
use crate::trace::Generator;
use crate::{Algorithm, Summary};

fn blueprint(knowledge: &Knowledge) -> Blueprint {
    Blueprint {
        scheduler: luc_dvms::Choice::Star(luc_dvms::star::Config::default()),
        search: search::Config::default(),
        vivaldi: vivaldi::Config::default(),
        knowledge: *knowledge,
        seed: 1,
    }
}

fn setup(sink: Box<dyn Sink>, faults: Schedule) -> Setup {
    let mut generator = Generator::vmplaces(vec![16, 16], 10, 9);
    generator.duration = Duration::from_secs(900);
    Setup {
        trace: Arc::new(generator.generate().unwrap()),
        round_trips: RoundTrips::sites(2, Duration::from_micros(200), Duration::from_millis(10)),
        constants: Constants::default(),
        faults,
        seed: 1,
        sink,
    }
}

fn run<A: Algorithm>(algorithm: A) -> Summary {
    let setup = setup(Box::new(NoSink), Schedule::none());
    let mut simulation = Simulation::new(setup, algorithm).unwrap();
    simulation.run();
    simulation.metrics().summary()
}

#[test]
fn brains_repair_overloads_that_would_last() {
    let without = run(Nothing);
    let with = run(Brains::new(blueprint(&Knowledge::Directory)));
    assert!(without.violations.count >= 5, "{without:?}");
    assert!(with.violations.seconds.mean < 12.0, "{with:?}");
    assert!(with.violations.seconds.mean < without.violations.seconds.mean / 3.0);
    assert!(with.moves.moved > 0);
    assert_eq!(with.moves.failed, 0);
    assert!((with.moves.intra_site - 1.0).abs() < 1e-9, "{with:?}");
}

#[test]
fn brains_with_membership_repair_as_well_and_talk_little() {
    let knowledge = Knowledge::Swim(SwimConfig::default());
    let with = run(Brains::new(blueprint(&knowledge)));
    assert!(with.violations.seconds.mean < 12.0, "{with:?}");
    assert!(with.moves.moved > 0);
    assert!((1.0..8.0).contains(&with.messages_per_node_s), "{with:?}");
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let hash = |seed: u64| {
        let hash = std::rc::Rc::new(std::cell::Cell::new(LogHash::default()));
        let into = std::rc::Rc::clone(&hash);
        let sink = Lines::new(move |line: &str| {
            let mut hash = into.get();
            hash.line(line);
            into.set(hash);
        });
        let mut faults = Schedule::none();
        let crash = Fault::Crash(NodeIndex(3));
        let restart = Fault::Restart(NodeIndex(3));
        let at = Instant::from_nanos(300_000_000_000);
        faults.add_pair(at, Duration::from_secs(60), crash, restart);
        faults.add(at, Fault::Loss { ppm: 50_000 });
        let mut setup = setup(Box::new(sink), faults);
        setup.seed = seed;
        let knowledge = Knowledge::Swim(SwimConfig::default());
        let mut simulation = Simulation::new(setup, Brains::new(blueprint(&knowledge))).unwrap();
        simulation.run();
        hash.get()
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn no_invariant_is_broken_in_fair_weather() {
    let setup = setup(Box::new(NoSink), Schedule::none());
    let brains = Brains::new(blueprint(&Knowledge::Directory));
    let mut simulation = Simulation::new(setup, brains).unwrap();
    simulation.watch();
    let mut invariants = Invariants::of_star(32);
    while simulation.step() {
        let step = Step {
            now: simulation.context().now(),
            world: simulation.context().world(),
            records: simulation.records(),
        };
        invariants.check(&step).unwrap();
    }
}
