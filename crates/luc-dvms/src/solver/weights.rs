//! What the parts of a plan's price are worth to each other, in integers.
//!
//! The unit is one millisecond of expected violation: a live migration of an overloaded host's
//! machine costs as long as it lasts, and all else is expressed in that.

use serde::{Deserialize, Serialize};

use crate::host::Cpu;

/// Weights of [`Style::Ours`](super::Style::Ours).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Weights {
    /// Price of each move, whatever it sends: the disruption of one machine.
    pub disruption_ms: u32,
    /// Price of each move that leaves its site.
    pub leave_ms: u32,
    /// Price of a gibibyte sent over a millisecond of round trip to another site.
    pub gibibyte_rtt_ms: u32,
    /// Price of one thousandth of probability that a host touched overloads in the long run.
    pub risk_ms: u32,
    /// The same for the near future, in which half of its machines still ask for what they do now.
    pub near_risk_ms: u32,
    /// Price of breaking one soft rule.
    pub soft_rule_ms: u32,
    /// How far a machine's own usual demand is believed rather than that of the machines of its
    /// size, in thousandths: short histories say little.
    pub own_history_permille: u16,
    /// The standard deviation of one machine's demand, in thousandths of its usual demand.
    pub deviation_permille: u16,
    /// The least standard deviation of one machine's demand.
    pub deviation: Cpu,
    /// How likely a host may overload, in thousandths, after it took in a consolidated machine.
    pub consolidation_risk_permille: u16,
    /// What a host that has nothing to do is worse than a full one, as a target of consolidation.
    pub idle_target_ms: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            disruption_ms: 4_000,
            leave_ms: 20_000,
            gibibyte_rtt_ms: 10_000,
            risk_ms: 10,
            near_risk_ms: 100,
            soft_rule_ms: 500,
            own_history_permille: 250,
            deviation_permille: 200,
            deviation: Cpu(20),
            consolidation_risk_permille: 10,
            idle_target_ms: 10_000,
        }
    }
}
