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

use barred::barred;
use budget::Budget;
use model::Model;
use repair::Repair;

mod barred;
mod budget;
mod empty;
mod index;
mod model;
mod order;
mod repair;
mod risk;
pub(crate) mod rules;
mod shed;
mod weights;

pub use barred::{BARRED_MAX, Bar, Barred};
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
    /// Hosts with room that rules kept machines from, for people.
    pub barred: Vec<Barred>,
}

/// Finds a plan within `budget` search steps.
#[must_use]
pub fn solve(problem: &Problem<'_>, budget: u64) -> Solution {
    let mut model = Model::new(problem);
    let mut budget = Budget::new(budget);
    budget.charge(problem.hosts.len() as u64);
    let found = match problem.goal {
        Goal::Relieve => relieve(&mut model, problem.style, &mut budget),
        Goal::Consolidate { .. } | Goal::Evacuate { .. } => empty(&mut model, &mut budget),
    };
    debug_assert_eq!(found.plan.check(problem.hosts), Ok(()));
    Solution {
        barred: barred(&model, &found.plan),
        solved: found.solved,
        exact: found.exact,
        steps: budget.used(),
        relieved: Cpu(found.relieved as u32),
        plan: found.plan,
    }
}

/// What one of the searches found.
struct Found {
    plan: Plan,
    solved: bool,
    exact: bool,
    relieved: u64,
}

fn relieve(model: &mut Model<'_>, style: Style, budget: &mut Budget) -> Found {
    let overload = model.overload();
    let (moves, complete) = shed::relieve(model, style, budget);
    let left = model.overload();
    let solved = left == 0;
    for step in moves.iter().rev() {
        model.undo(*step);
    }
    let group = model.loads.len() <= index::GROUP_HOSTS;
    if !group || (moves.is_empty() && solved) {
        let plan = order::order(model, &model.loads, &moves, budget).map(|ordered| ordered.plan);
        return Found {
            solved: solved && plan.is_some(),
            exact: complete && moves.is_empty(),
            relieved: if plan.is_some() { overload - left } else { 0 },
            plan: plan.unwrap_or_default(),
        };
    }
    let found: Vec<_> = moves
        .iter()
        .map(|step| {
            let item = &model.items[step.item];
            (item.host, item.vms.clone(), step.target)
        })
        .collect();
    let busy: u64 = model
        .loads
        .iter()
        .filter(|load| !load.gives)
        .map(model::Load::over)
        .sum();
    let mut search = Repair::new(model, budget.part(budget.left()));
    search.seed(&found);
    let (best, complete, used) = search.run();
    budget.absorb(used);
    Found {
        solved: busy == 0 && best.as_ref().is_some_and(|best| best.remaining == 0),
        relieved: best
            .as_ref()
            .map_or(0, |best| overload.saturating_sub(busy + best.remaining)),
        exact: complete,
        plan: best.map(|best| best.plan).unwrap_or_default(),
    }
}

fn empty(model: &mut Model<'_>, budget: &mut Budget) -> Found {
    let overload = model.overload();
    let (moves, solved, exact) = empty::empty(model, budget);
    let left = model.overload();
    for step in moves.iter().rev() {
        model.undo(*step);
    }
    let plan = order::order(model, &model.loads, &moves, budget).map(|ordered| ordered.plan);
    Found {
        solved: solved && plan.is_some(),
        relieved: if plan.is_some() {
            overload.saturating_sub(left)
        } else {
            0
        },
        exact,
        plan: plan.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
