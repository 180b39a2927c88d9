//! What a host draws: linear between idle and full, little when off, more while it migrates.
//!
//! The figures are those of the published comparison (Lèbre et al. 2015): 90 W idle, 240 W full,
//! 10 W off. A host on its way up draws what an idle one does and can do nothing. Each live
//! migration costs either end as much as one busy core, which is what memory copying takes of one.

use luc_core::time::Duration;
use luc_dvms::Cpu;
use serde::{Deserialize, Serialize};

use crate::world::HostState;

/// The power model of all hosts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerModel {
    /// Watts of a host that serves and has nothing to do.
    pub idle_watts: f64,
    /// Watts of a host at full load.
    pub full_watts: f64,
    /// Watts of a host that sleeps or has crashed.
    pub off_watts: f64,
    /// Watts that each live migration adds at either end.
    pub migration_watts: f64,
    /// How long a host takes to wake, in milliseconds.
    pub wake_ms: u64,
}

impl Default for PowerModel {
    fn default() -> Self {
        Self {
            idle_watts: 90.0,
            full_watts: 240.0,
            off_watts: 10.0,
            // One of eight cores of the range from idle to full.
            migration_watts: 18.75,
            wake_ms: 60_000,
        }
    }
}

impl PowerModel {
    /// How long a host takes to wake.
    pub const fn wake(&self) -> Duration {
        Duration::from_millis(self.wake_ms)
    }

    /// What a host draws that serves `demand` of `capacity` and is an end of `migrations`.
    pub fn watts(&self, state: HostState, demand: Cpu, capacity: Cpu, migrations: u16) -> f64 {
        match state {
            HostState::Asleep | HostState::Crashed => self.off_watts,
            HostState::Waking => self.idle_watts,
            HostState::On => {
                let share = f64::from(demand.0) / f64::from(capacity.0.max(1));
                let range = self.full_watts - self.idle_watts;
                let load = share.min(1.0) * range + f64::from(migrations) * self.migration_watts;
                // More than full is not possible: what migrations take is missing elsewhere.
                self.idle_watts + load.min(range)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watts_are_linear_between_idle_and_full() {
        let model = PowerModel::default();
        let watts =
            |state, demand, migrations| model.watts(state, Cpu(demand), Cpu(700), migrations);
        let close = |left: f64, right: f64| assert!((left - right).abs() < 1e-9, "{left} {right}");
        close(watts(HostState::On, 0, 0), 90.0);
        close(watts(HostState::On, 350, 0), 165.0);
        close(watts(HostState::On, 350, 1), 183.75);
        close(watts(HostState::On, 900, 3), 240.0);
        close(watts(HostState::Asleep, 0, 0), 10.0);
        close(watts(HostState::Waking, 0, 0), 90.0);
    }
}
