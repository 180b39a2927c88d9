//! Which machines there are and how their demand changes: the model of VMPlaceS.
//!
//! A global process draws the time to the next change, Exp(λ = machines / period), then a machine,
//! then its new demand: N(μ, σ) clipped to [0, 100 %] in steps of 10 %. The draws
//! become a trace that every algorithm replays.

use luc_core::time::Duration;
use luc_core::units::MemoryMib;
use serde::{Deserialize, Serialize};

use super::quantity::{self, Percent};

/// The virtual machines, placed round-robin over the nodes (of their site).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vms {
    /// How many.
    pub count: Count,
    /// Memory of each.
    #[serde(with = "quantity::memory")]
    pub memory: MemoryMib,
    /// Local disk of each that a migration has to copy; zero on shared storage.
    #[serde(with = "quantity::memory")]
    pub disk: MemoryMib,
    /// How fast a machine writes to memory, as a share of the speed of its migration, one
    /// entry per class; each machine is of a random class.
    pub dirty: Vec<Percent>,
}

impl Default for Vms {
    fn default() -> Self {
        Self {
            count: Count::PerNode(10),
            memory: MemoryMib(1024),
            disk: MemoryMib(0),
            // The eight classes of m1.small in VMPlaceS's `config/vm_classes.txt`.
            dirty: (1..=8)
                .map(|tenth| Percent(f64::from(tenth) * 10.0))
                .collect(),
        }
    }
}

/// How many machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Count {
    /// So many on every node.
    PerNode(u32),
    /// So many in all.
    Total(u32),
    /// So many at each site, one number per site.
    PerSite(Vec<u32>),
}

impl Count {
    /// How many there are in all on `nodes` nodes.
    pub fn total(&self, nodes: u32) -> u32 {
        match self {
            Self::PerNode(count) => count.saturating_mul(nodes),
            Self::Total(count) => *count,
            Self::PerSite(counts) => counts
                .iter()
                .fold(0, |sum, count| sum.saturating_add(*count)),
        }
    }
}

/// How the demand of machines changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// The mean time between two changes of one machine.
    #[serde(with = "quantity::duration")]
    pub period: Duration,
    /// What machines ask for at the start.
    pub start: Start,
    /// The phases, in the order of their beginning; the first begins at zero.
    pub phases: Vec<Phase>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(300),
            start: Start::Idle,
            phases: vec![Phase {
                from: Duration::ZERO,
                mean: Percent(60.0),
                deviation: Percent(20.0),
            }],
        }
    }
}

/// What machines ask for at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Nothing, as in VMPlaceS.
    #[default]
    Idle,
    /// A value drawn from the first phase.
    Drawn,
}

/// A time of the run with one normal law of demand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// When it begins.
    #[serde(with = "quantity::duration", default)]
    pub from: Duration,
    /// The mean μ, as a share of one core.
    pub mean: Percent,
    /// The standard deviation σ.
    pub deviation: Percent,
}
