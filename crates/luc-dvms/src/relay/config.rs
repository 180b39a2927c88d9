//! The parameters of the published protocol.

use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

/// The parameters. [`Config::default`] holds the published values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// How many members a partition has before its leader asks the solver for the first time.
    /// Published: 2; Euro-Par'15 also tried 4.
    pub first_group: u16,
    /// After how long an overload that is still there is noticed again (VMPlaceS: 1 s).
    pub monitor: Duration,
    /// Without word of its partition for this long, a member dissolves it (VMPlaceS: 4.5 s).
    pub stale: Duration,
    /// How often a leader at work keeps its members from that (VMPlaceS: 2 s).
    pub snooze: Duration,
    /// How long an answer may take: valid or not, what a member carries, merge or not (1 s).
    pub answer: Duration,
    /// How long a leader that has agreed to a merge refuses all others (1 s).
    pub lock: Duration,
    /// How many steps the solver may take per question.
    pub solver_budget: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            first_group: 2,
            monitor: Duration::from_secs(1),
            stale: Duration::from_millis(4_500),
            snooze: Duration::from_secs(2),
            answer: Duration::from_secs(1),
            lock: Duration::from_secs(1),
            solver_budget: 20_000,
        }
    }
}
