//! The solver: hosts in, a [`Plan`] out. It knows nothing of partitions, messages or time.
//!
//! Called by the leader of a partition (`star`, `relay`) and by the centralised and hierarchical
//! baselines of the simulator, so that all of them differ by what they see, not by how they pack.
//!
//! Deterministic: the budget is counted in search steps, never in time, and ties are broken by the
//! order of the hosts and of their machines.

use luc_core::PeerId;
use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::host::{Cpu, Host};
use crate::plan::Plan;

mod greedy;
mod weights;

pub use weights::Weights;

/// What the solver is asked.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// The hosts of the group. Sleeping hosts, hosts under maintenance and hosts with a migration
    /// in flight are never targets; the latter are no sources either.
    pub hosts: &'a [Host],
    /// The expected round trip to each host, by the same index; missing means zero.
    pub distance: &'a [Duration],
    /// What is wanted.
    pub goal: Goal,
    /// How to choose among the configurations that do it.
    pub style: Style,
}

/// What a plan is to achieve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Goal {
    /// No host is asked for more processor time than it has.
    Relieve,
    /// This host is emptied completely, with room left for its machines' moods, or not at all.
    Consolidate {
        /// The host that wants to sleep.
        host: PeerId,
    },
    /// As many machines as possible leave this host.
    Evacuate {
        /// The host under maintenance.
        host: PeerId,
    },
}

/// What makes one valid configuration better than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Style {
    /// The seeds' solver: the least memory moved, the first found in the order of hosts; blind to
    /// dirty pages, distance and risk.
    Published,
    /// Ours: relief first, then the weighted price of the moves and of what they risk.
    Ours {
        /// What a second, a megabyte afar, a move and a risk are worth.
        weights: Weights,
    },
}

/// What the solver found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Solution {
    /// What to do; empty when nothing can or need be done.
    pub plan: Plan,
    /// Whether the goal is reached when the plan has been carried out.
    pub solved: bool,
    /// Whether no better plan exists (of those without a superfluous step).
    pub exact: bool,
    /// Search steps used: candidate moves looked at.
    pub steps: u64,
    /// How much of the overload the plan takes away.
    pub relieved: Cpu,
}

/// Finds a plan within `budget` search steps.
#[must_use]
pub fn solve(problem: &Problem<'_>, budget: u64) -> Solution {
    greedy::solve(problem, budget)
}
