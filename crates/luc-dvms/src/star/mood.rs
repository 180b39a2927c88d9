//! How much the demands of this host's machines vary: what headroom is computed of.
//!
//! Each change of a machine's demand is a draw; the latest of them give mean and deviation of one
//! machine. Hosts are asked for sums of such demands, so a host with n machines deviates by √n of
//! it. A leader that knows the machines of many hosts learns the same from all of them at once.

use luc_core::time::Duration;

use crate::host::{Cpu, Host};

/// Over how many changes demands are averaged.
const AVERAGED: u64 = 64;
/// Fewer say nothing.
const CHANGES_MIN: u64 = 8;
/// The time a machine takes to change, as a rule: so far a tide is followed ahead.
pub(super) const PERIOD: Duration = Duration::from_secs(300);

/// The deviation of one machine's demand, estimated from samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Mood {
    /// Changes seen, at the most [`AVERAGED`].
    changes: u64,
    /// Mean demand after a change, in thousandths.
    mean: i64,
    /// Thousandths of the square of the unit of `Cpu`.
    variance: u64,
}

impl Mood {
    /// Takes in a sample, after the one before.
    pub(super) fn observe(&mut self, before: &Host, host: &Host) {
        let mut earlier = before.vms.iter().peekable();
        for vm in &host.vms {
            while earlier.next_if(|one| one.id < vm.id).is_some() {}
            let Some(old) = earlier.next_if(|one| one.id == vm.id) else {
                continue;
            };
            if old.demand != vm.demand {
                self.draw(vm.demand);
            }
        }
    }

    fn draw(&mut self, demand: Cpu) {
        let value = i64::from(demand.0) * 1000;
        if self.changes == 0 {
            self.mean = value;
        }
        self.changes = (self.changes + 1).min(AVERAGED);
        let count = self.changes as i64;
        let off = value - self.mean;
        self.mean += off / count;
        let square = (off / 1000 * ((value - self.mean) / 1000)).unsigned_abs() * 1000;
        self.variance = (self.variance * (self.changes - 1) + square) / self.changes;
    }

    /// The moods of all machines of these hosts, by what they ask for at this moment.
    pub(super) fn of_hosts(hosts: &[Host]) -> Self {
        let vms = hosts.iter().flat_map(|host| &host.vms);
        let count = (vms.clone().count() as i64).max(1);
        let sum: i64 = vms.clone().map(|vm| i64::from(vm.demand.0)).sum();
        let mean = sum * 1000 / count;
        let squares: i64 = vms
            .map(|vm| (i64::from(vm.demand.0) - mean / 1000).pow(2))
            .sum();
        Self {
            changes: AVERAGED,
            mean,
            variance: (squares * 1000 / count) as u64,
        }
    }

    /// The deviation of one machine's demand.
    pub(super) fn deviation(&self) -> Cpu {
        Cpu((self.variance / 1000).isqrt() as u32)
    }

    /// The same moods when machines ask for so many thousandths of what they ask for now: the
    /// more they ask for, the more it varies.
    pub(super) fn scaled(&self, permille: u32) -> Self {
        let part = u64::from(permille);
        Self {
            mean: self.mean * i64::from(permille) / 1000,
            variance: self.variance * part / 1000 * part / 1000,
            ..*self
        }
    }

    /// Whether enough has been seen to tell what machines will ask for.
    pub(super) fn is_known(&self) -> bool {
        self.changes >= CHANGES_MIN
    }

    /// The deviation of the demand of a host whose machines ask for `demand` in all.
    pub(super) fn of_sum(&self, demand: Cpu) -> Cpu {
        let machines = u64::from(demand.0) * 1000 / (self.mean.max(1000) as u64);
        Cpu((self.variance * machines / 1000).isqrt() as u32)
    }
}
