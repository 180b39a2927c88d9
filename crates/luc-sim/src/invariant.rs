//! What must hold after every simulated step, one checker per property.
//!
//! A checker sees the truth (the world) and what was logged in the step; it keeps what it needs of
//! the past, so that a step costs what it changed. Names are those that the model check uses. The
//! fuzzer runs them all; nobody else does. Clocks may run wrong by a few per cent under test, so
//! what is measured by a node's clock has a tolerance of [`CLOCKS_DIFFER`].

pub mod cool_down_kept;
pub mod cpu_not_overloaded_by_step;
pub mod every_partition_ends;
pub mod free_when_quiet;
pub mod memory_and_disk_fit;
pub mod no_stale_step;
pub mod one_host_per_vm;
pub mod one_leader_per_node;
pub mod one_partition_per_node;
mod reservations;

use luc_core::time::{Duration, Instant};
use thiserror::Error;

use crate::log::Record;
use crate::world::World;

pub use cool_down_kept::CoolDownKept;
pub use cpu_not_overloaded_by_step::CpuNotOverloadedByStep;
pub use every_partition_ends::EveryPartitionEnds;
pub use free_when_quiet::FreeWhenQuiet;
pub use memory_and_disk_fit::MemoryAndDiskFit;
pub use no_stale_step::NoStaleStep;
pub use one_host_per_vm::OneHostPerVm;
pub use one_leader_per_node::OneLeaderPerNode;
pub use one_partition_per_node::OnePartitionPerNode;

/// Clocks under test run wrong by at most this share.
pub const CLOCKS_DIFFER: f64 = 0.03;

/// One step of a run, after it has been taken.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// True time.
    pub now: Instant,
    /// The truth.
    pub world: &'a World,
    /// What was logged in this step.
    pub records: &'a [Record],
}

/// A property that must hold after every step.
pub trait Invariant {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Looks at a step; the error says what is wrong.
    fn check(&mut self, step: &Step<'_>) -> Result<(), String>;
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name} does not hold at {at}: {what}")]
pub struct Broken {
    /// Which.
    pub name: &'static str,
    /// When.
    pub at: Instant,
    /// What is wrong.
    pub what: String,
}

/// All invariants of a run.
pub struct Invariants {
    all: Vec<Box<dyn Invariant>>,
}

impl Invariants {
    /// Every invariant, for a cloud of `nodes` nodes running our protocol.
    pub fn of_star(nodes: usize) -> Self {
        Self::with(nodes, FreeWhenQuiet::new(nodes))
    }

    /// The same where hosts sleep.
    pub fn of_star_with_energy(nodes: usize) -> Self {
        Self::with(nodes, FreeWhenQuiet::looking_ahead(nodes))
    }

    fn with(nodes: usize, free_when_quiet: FreeWhenQuiet) -> Self {
        Self {
            all: vec![
                Box::new(OneLeaderPerNode::new(nodes)),
                Box::new(OneHostPerVm::default()),
                Box::new(NoStaleStep::new(nodes)),
                Box::new(MemoryAndDiskFit),
                Box::new(CpuNotOverloadedByStep::new(nodes)),
                Box::new(EveryPartitionEnds::default()),
                Box::new(CoolDownKept::default()),
                Box::new(free_when_quiet),
            ],
        }
    }

    /// Those that hold for the published protocol, which knows neither ballots nor cool-downs and
    /// judges a host by what it said when the partition was formed.
    pub fn of_relay(nodes: usize) -> Self {
        Self {
            all: vec![
                Box::new(OnePartitionPerNode::new(nodes)),
                Box::new(OneHostPerVm::default()),
                Box::new(MemoryAndDiskFit),
                Box::new(FreeWhenQuiet::new(nodes)),
            ],
        }
    }

    /// Those that hold of any algorithm: what hosts refuse to break.
    pub fn of_hosts() -> Self {
        Self {
            all: vec![
                Box::new(OneHostPerVm::default()),
                Box::new(MemoryAndDiskFit),
            ],
        }
    }

    /// The names of all.
    pub fn names(&self) -> Vec<&'static str> {
        self.all.iter().map(|one| one.name()).collect()
    }

    /// Looks at a step with all of them.
    pub fn check(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        for one in &mut self.all {
            one.check(step).map_err(|what| Broken {
                name: one.name(),
                at: step.now,
                what,
            })?;
        }
        Ok(())
    }
}

/// The longest that `duration` on a node's clock may truly take.
fn at_most(duration: Duration) -> Duration {
    duration.mul_f64(1.0 + CLOCKS_DIFFER)
}

/// The shortest that `duration` on a node's clock may truly take.
fn at_least(duration: Duration) -> Duration {
    duration.mul_f64(1.0 - CLOCKS_DIFFER)
}

#[cfg(test)]
mod tests;
