//! Fault fuzzing: a seed makes a cloud, a load and faults; every invariant is checked every step.
//!
//! A [`Case`] is drawn from its seed: 4 to 64 nodes, two minutes of simulated time in which loads
//! jump and at least three kinds of fault come and go, then all heals, loads fall, and what is
//! left has a minute to come to rest. A quarter of the seeds run with full membership, the others
//! with a directory. A failing case is made smaller by leaving out faults and cutting time, as
//! long as the same invariant breaks. Called by `luc sim check`, once per seed, from many threads.

mod case;
mod shrink;

use std::sync::Arc;

use luc_core::time::Instant;
use luc_dvms::star::Broken as Switch;
use luc_overlay::{SwimConfig, vivaldi};
use serde::Serialize;

use crate::algorithm::Constants;
use crate::brains::{Blueprint, Brains, Coverage, Knowledge};
use crate::fault::Kind;
use crate::invariant::{Broken, Invariants, Step};
use crate::log::{Entry, NoSink, Record};
use crate::simulation::{Setup, SetupError, Simulation};

pub use case::{Case, Trouble};
pub use shrink::shrink;

/// How often what the benchmark asks for has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hits {
    /// Partitions taken in by others.
    pub absorbed: u64,
    /// Partitions of leaders that are gone led by another node.
    pub taken_over: u64,
    /// Partitions that reached the greatest size.
    pub cap_reached: u64,
    /// Leases that ended with migrations under way.
    pub lease_expired: u64,
    /// Partitions that began.
    pub began: u64,
    /// Migrations that began.
    pub migrations: u64,
}

impl Hits {
    /// Adds what another run counted.
    pub const fn add(&mut self, other: &Self) {
        self.absorbed += other.absorbed;
        self.taken_over += other.taken_over;
        self.cap_reached += other.cap_reached;
        self.lease_expired += other.lease_expired;
        self.began += other.began;
        self.migrations += other.migrations;
    }

    fn observe(&mut self, records: &[Record]) {
        for record in records {
            match &record.entry {
                Entry::Absorbed { .. } => self.absorbed += 1,
                Entry::TookOver { .. } => self.taken_over += 1,
                Entry::CapReached { .. } => self.cap_reached += 1,
                Entry::LeaseExpired { .. } => self.lease_expired += 1,
                Entry::Began { .. } => self.began += 1,
                Entry::MigrationBegan { .. } => self.migrations += 1,
                _ => {}
            }
        }
    }
}

/// What came of one case.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The invariant that did not hold, if one did not.
    pub broken: Option<Broken>,
    /// What happened how often.
    pub hits: Hits,
    /// Which messages met which states.
    pub coverage: Coverage,
    /// The kinds of fault in it.
    pub kinds: Vec<Kind>,
    /// How many nodes it has.
    pub nodes: u32,
    /// How far it was run.
    pub until: Instant,
    /// How many events happened.
    pub steps: u64,
}

/// Runs the case of `seed`. `switch` breaks the protocol on purpose, to see whether the checkers
/// notice.
pub fn check(seed: u64, switch: Option<Switch>) -> Result<Verdict, SetupError> {
    run(&Case::draw(seed), switch)
}

/// Runs a case.
pub fn run(case: &Case, switch: Option<Switch>) -> Result<Verdict, SetupError> {
    run_logged(case, switch, Box::new(NoSink))
}

/// Runs a case and hands its log to `sink`: how a failure is looked at.
pub fn run_logged(
    case: &Case,
    switch: Option<Switch>,
    sink: Box<dyn crate::log::Sink>,
) -> Result<Verdict, SetupError> {
    let mut scheduler = case.scheduler.clone();
    scheduler.broken = switch;
    let blueprint = Blueprint {
        scheduler: luc_dvms::Choice::Star(scheduler),
        search: case.search,
        vivaldi: vivaldi::Config::default(),
        knowledge: if case.membership {
            Knowledge::Swim(SwimConfig::default())
        } else {
            Knowledge::Directory
        },
        seed: case.seed,
    };
    let faults = case.schedule();
    let kinds = faults.kinds();
    let nodes = case.trace.nodes();
    let setup = Setup {
        trace: Arc::clone(&case.trace),
        round_trips: case.round_trips.clone(),
        constants: Constants {
            cool_down: case.scheduler.cool_down,
            ..Constants::default()
        },
        faults,
        seed: case.seed,
        sink,
    };
    let brains = Brains::new(blueprint).with_coverage();
    let mut simulation = Simulation::new(setup, brains)?;
    simulation.watch();
    let mut invariants = Invariants::of_star(nodes);
    let mut hits = Hits::default();
    let mut broken = None;
    while simulation.step() {
        let step = Step {
            now: simulation.context().now(),
            world: simulation.context().world(),
            records: simulation.records(),
        };
        hits.observe(step.records);
        if let Err(error) = invariants.check(&step) {
            broken = Some(error);
            break;
        }
    }
    Ok(Verdict {
        broken,
        hits,
        coverage: simulation
            .algorithm()
            .coverage()
            .cloned()
            .unwrap_or_default(),
        kinds,
        nodes: nodes as u32,
        until: simulation.context().now(),
        steps: simulation.steps(),
    })
}

#[cfg(test)]
mod tests;
