//! A plan: which machines move where, in which order, and why. Data, never an action.

use luc_core::PeerId;
use luc_core::units::MemoryMib;
use serde::{Deserialize, Serialize};

use crate::host::{Cpu, VmId};

mod check;

pub use check::PlanError;

/// A step's place in its plan, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u16);

/// Why a machine is moved. With the hosts of the step it explains the move in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Its host asked for more processor time than it has.
    Overload {
        /// What the host's machines asked for.
        demand: Cpu,
        /// What the host has.
        capacity: Cpu,
    },
    /// It makes way for another machine's step.
    MakesWay {
        /// The step it makes way for.
        step: StepId,
    },
    /// A stop on the way to where it belongs, because two moves wait for each other.
    Bypass {
        /// The step that takes it on from there.
        step: StepId,
    },
    /// Its host is emptied into its neighbours so that it can sleep.
    Consolidation,
    /// Its host is to be emptied for maintenance.
    Maintenance,
    /// Its group, or a hint, keeps it apart from a machine that a later step brings to its host,
    /// where there would be room for both. No other broken rule makes a machine move: a plan heals
    /// loads.
    Rule,
}

/// One live migration of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Step {
    /// Its place in the plan.
    pub id: StepId,
    /// The machine.
    pub vm: VmId,
    /// Its memory: what is sent at the least, and what is counted on both ends.
    pub memory: MemoryMib,
    /// Where it runs.
    pub source: PeerId,
    /// Where it will run.
    pub target: PeerId,
    /// Steps that must have succeeded before this one may start.
    pub after: Vec<StepId>,
    /// Why.
    pub reason: Reason,
}

/// An ordered, acyclic set of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Plan {
    /// The steps, in the order of their ids; `after` names lower ids only.
    pub steps: Vec<Step>,
}
