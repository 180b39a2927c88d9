//! An initiator's memory over several tries of one event: how long it waits before the next.

use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};

use super::Config;
use crate::host::Cpu;

/// How long an initiator waits that found others in its way; it doubles each time.
const SOON: Duration = Duration::from_millis(100);

/// How often in a row it does so.
const SOON_MAX: u8 = 4;

/// What an initiator remembers between tries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Retry {
    /// How often in a row no solution was found.
    failures: u32,
    /// How often in a row others were in the way.
    contended: u8,
    /// The last try ended at the cap: the next one may grow further.
    capped: bool,
    /// What the host's machines asked for at the last try.
    demand: Cpu,
    /// No try before this time.
    pub(super) not_before: Instant,
    /// Makes earlier timers stale.
    pub(super) epoch: u32,
}

impl Retry {
    /// How many members the next try may have.
    pub(super) fn cap(&self, config: &Config) -> u16 {
        if self.capped {
            config.second_cap
        } else {
            config.cap
        }
    }

    /// The event is over, or something happened that gives hope: forget the failures.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.contended = 0;
        self.capped = false;
        self.not_before = Instant::ORIGIN;
    }

    /// The demand changed; less of it gives hope.
    pub(super) fn note_demand(&mut self, demand: Cpu) {
        if self.failures > 0 && demand < self.demand {
            self.not_before = Instant::ORIGIN;
            self.demand = demand;
        }
    }

    /// No solution: how long to wait. Doubles each time; the jitter keeps initiators apart.
    pub(super) fn failed(
        &mut self,
        config: &Config,
        (demand, capped): (Cpu, bool),
        (now, seed): (Instant, u64),
    ) -> Duration {
        let doubling = 1u32 << self.failures.min(16);
        let wait = config
            .back_off_min
            .saturating_mul(doubling)
            .min(config.back_off_max);
        self.failures = self.failures.saturating_add(1);
        self.capped = capped;
        self.demand = demand;
        self.wait(wait, now, seed)
    }

    /// Others were in the way: how long to wait, which is no failure; nothing if it has been often.
    pub(super) fn soon(&mut self, now: Instant, seed: u64) -> Option<Duration> {
        if self.contended >= SOON_MAX {
            return None;
        }
        let wait = SOON * (1 << self.contended);
        self.contended += 1;
        Some(self.wait(wait, now, seed))
    }

    /// Waits about as long as asked, without counting a failure.
    pub(super) fn wait(&mut self, wait: Duration, now: Instant, seed: u64) -> Duration {
        self.epoch = self.epoch.wrapping_add(1);
        let drawn = SplitMix64::new(seed ^ u64::from(self.epoch)).next_u64() % 256;
        // Between 7/8 and 9/8 of the wait.
        let wait = wait * 7 / 8 + wait * (drawn as u32) / 1024;
        self.not_before = now + wait;
        wait
    }
}
