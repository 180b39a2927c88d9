//! What the parts of a plan's price are worth to each other, in integers.
//!
//! The unit is one millisecond of expected violation.

use serde::{Deserialize, Serialize};

use crate::host::Cpu;

/// Weights of [`Style::Ours`](super::Style::Ours).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Weights {
    /// Price of each move, whatever it sends: the disruption of one machine.
    pub disruption_ms: u32,
    /// Price of a gibibyte sent, per class of distance: same host room (< 1 ms), metropolitan
    /// (< 5 ms), regional (< 20 ms), farther.
    pub gibibyte_ms: [u32; 4],
    /// Price of one thousandth of probability that a receiving host overloads next.
    pub risk_ms: u32,
    /// The standard deviation of one machine's demand, in thousandths of its usual demand.
    pub deviation_permille: u16,
    /// The least standard deviation of one machine's demand.
    pub deviation: Cpu,
    /// How likely a host may overload, in thousandths, after it took in a consolidated machine.
    pub consolidation_risk_permille: u16,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            disruption_ms: 4_000,
            gibibyte_ms: [0, 20_000, 60_000, 120_000],
            risk_ms: 20,
            deviation_permille: 200,
            deviation: Cpu(20),
            consolidation_risk_permille: 10,
        }
    }
}
