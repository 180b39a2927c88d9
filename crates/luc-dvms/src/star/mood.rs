//! How much the demands of this host's machines vary: what headroom is computed of.
//!
//! Each sample shows how far machines are from what they usually ask for; averaged over ten
//! minutes that gives the deviation of one machine. Hosts are asked for sums of such demands, so a
//! host with n machines deviates by √n of it.

use luc_core::time::Instant;

use crate::host::{Cpu, Host};

/// Over how many milliseconds deviations are averaged.
const AVERAGED: u64 = 600_000;
/// Fewer machines say nothing.
const MACHINES_MIN: usize = 4;

/// The deviation of one machine's demand, estimated from samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Mood {
    /// Thousandths of the square of the unit of `Cpu`.
    variance: u64,
    at: Option<Instant>,
}

impl Mood {
    /// Takes in a sample.
    pub(super) fn observe(&mut self, host: &Host, now: Instant) {
        let busy = host.vms.iter().filter(|vm| vm.usual > Cpu(0));
        let count = busy.clone().count();
        if count < MACHINES_MIN {
            return;
        }
        let squares: u64 = busy
            .map(|vm| u64::from(vm.demand.0.abs_diff(vm.usual.0)).pow(2))
            .sum();
        // What is usual follows the demand and so hides a third of the variance.
        let seen = squares * 1000 * 3 / (2 * count as u64);
        let passed = self.at.map_or(AVERAGED, |at| {
            (now.since(at).as_millis() as u64).min(AVERAGED)
        });
        self.variance = (self.variance * (AVERAGED - passed) + seen * passed) / AVERAGED;
        self.at = Some(now);
    }

    /// The deviation of one machine's demand; none before the first useful sample.
    pub(super) fn deviation(&self) -> Option<Cpu> {
        self.at?;
        Some(Cpu((self.variance / 1000).isqrt() as u32))
    }

    /// The deviation of a host's demand whose machines are like those of `host` and ask for
    /// `demand` in all.
    pub(super) fn of_sum(&self, host: &Host, demand: Cpu) -> Cpu {
        let count = host.vms.len().max(1) as u64;
        let each = (u64::from(host.demand().0) / count).max(1);
        let machines = u64::from(demand.0) / each;
        Cpu((self.variance * machines / 1000).isqrt() as u32)
    }
}
