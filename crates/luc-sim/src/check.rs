//! Fault fuzzing: a seed makes a cloud, a load and faults; every invariant is checked every step.
//!
//! A [`Case`] is drawn from its seed: 4 to 64 nodes, two minutes of simulated time in which loads
//! jump and at least three kinds of fault come and go, then all heals, loads fall, and what is
//! left has a minute to come to rest. Most seeds run our protocol as it repairs, some let hosts
//! sleep, some run the published protocol with the invariants that hold for it. Most run with full
//! membership, the others with a directory. A failing case is made smaller by leaving out faults
//! and cutting time, as long as the same invariant breaks. Called by `luc sim check`, once per
//! seed, from many threads.

mod case;
mod load;
mod shrink;
mod trouble;

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
use crate::power::PowerModel;
use crate::simulation::{Setup, SetupError, Simulation};
use crate::world::HostState;

pub use case::{Case, Subject};
pub use shrink::shrink;
pub use trouble::Trouble;

/// How often what the benchmark asks for has happened. What the published protocol does is
/// counted apart: it does not prove that ours was tried.
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
    /// Hosts that went to sleep.
    pub sleeps: u64,
    /// Hosts that were woken.
    pub wakes: u64,
    /// Partitions of the published protocol that began.
    pub published_began: u64,
    /// Partitions of the published protocol that were merged.
    pub published_merged: u64,
    /// Partitions of the published protocol led on by another node after a crash.
    pub published_taken_over: u64,
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
        self.sleeps += other.sleeps;
        self.wakes += other.wakes;
        self.published_began += other.published_began;
        self.published_merged += other.published_merged;
        self.published_taken_over += other.published_taken_over;
    }

    fn observe(&mut self, subject: Subject, records: &[Record]) {
        let published = subject == Subject::Published;
        for record in records {
            let count = match &record.entry {
                Entry::Absorbed { .. } if published => &mut self.published_merged,
                Entry::TookOver { .. } if published => &mut self.published_taken_over,
                Entry::Began { .. } if published => &mut self.published_began,
                Entry::Absorbed { .. } => &mut self.absorbed,
                Entry::TookOver { .. } => &mut self.taken_over,
                Entry::CapReached { .. } => &mut self.cap_reached,
                Entry::LeaseExpired { .. } => &mut self.lease_expired,
                Entry::Began { .. } => &mut self.began,
                Entry::MigrationBegan { .. } => &mut self.migrations,
                Entry::Power {
                    state: HostState::Asleep,
                    ..
                } => &mut self.sleeps,
                Entry::Power {
                    state: HostState::Waking,
                    ..
                } => &mut self.wakes,
                _ => continue,
            };
            *count += 1;
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
    let kinds = case.schedule().kinds();
    let nodes = case.trace.nodes();
    let brains = Brains::new(blueprint(case, switch)).with_coverage();
    let mut simulation = Simulation::new(setup(case, sink), brains)?;
    simulation.watch();
    let mut invariants = match case.subject {
        Subject::Ours => Invariants::of_star(nodes),
        Subject::Energy => Invariants::of_star_with_energy(nodes),
        Subject::Published => Invariants::of_relay(nodes),
    };
    let mut hits = Hits::default();
    let mut broken = None;
    while simulation.step() {
        let step = Step {
            now: simulation.context().now(),
            world: simulation.context().world(),
            records: simulation.records(),
        };
        hits.observe(case.subject, step.records);
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

fn blueprint(case: &Case, switch: Option<Switch>) -> Blueprint {
    let mut scheduler = case.scheduler.clone();
    if let luc_dvms::Choice::Star(star) = &mut scheduler {
        star.broken = switch;
    }
    Blueprint {
        scheduler,
        search: case.search,
        vivaldi: vivaldi::Config::default(),
        knowledge: if case.membership {
            Knowledge::Swim(SwimConfig::default())
        } else {
            Knowledge::Directory
        },
        seed: case.seed,
    }
}

fn setup(case: &Case, sink: Box<dyn crate::log::Sink>) -> Setup {
    Setup {
        trace: Arc::clone(&case.trace),
        round_trips: case.round_trips.clone(),
        constants: Constants {
            cool_down: case.cool_down,
            power: PowerModel {
                wake_ms: case.wake.as_millis() as u64,
                ..PowerModel::default()
            },
            ..Constants::default()
        },
        faults: case.schedule(),
        seed: case.seed,
        sink,
    }
}

#[cfg(test)]
mod tests;
