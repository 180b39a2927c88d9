//! Clocks of nodes, which run at their own rate and from their own origin.
//!
//! The simulation's time is true; a node sees its own. Without skew the two are the same, at no
//! cost.

use luc_core::time::{Duration, Instant};

/// One node's clock, from the last time it was set on.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// The true time at which it was set.
    set_at: u64,
    /// What it showed then.
    showed: u64,
    /// How much faster than true time it runs, in millionths.
    fast_ppm: i32,
}

/// The clocks of all nodes.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    /// Empty as long as all clocks are true.
    clocks: Vec<Clock>,
}

impl Clocks {
    /// Sets the clock of `node`, one of `nodes`: it jumps ahead by `ahead` and runs faster than
    /// true time by `fast_ppm` millionths from `now` on. A clock never goes back.
    pub fn skew(
        &mut self,
        nodes: usize,
        node: usize,
        now: Instant,
        ahead: Duration,
        fast_ppm: i32,
    ) {
        if self.clocks.is_empty() {
            self.clocks = vec![
                Clock {
                    set_at: 0,
                    showed: 0,
                    fast_ppm: 0
                };
                nodes
            ];
        }
        let showed = (self.local(node, now) + ahead).as_nanos();
        self.clocks[node] = Clock {
            set_at: now.as_nanos(),
            showed,
            fast_ppm: fast_ppm.max(-900_000),
        };
    }

    /// What the clock of `node` shows at the true time `now`.
    pub fn local(&self, node: usize, now: Instant) -> Instant {
        let Some(clock) = self.clocks.get(node) else {
            return now;
        };
        let passed = now.as_nanos().saturating_sub(clock.set_at);
        let gained = i128::from(passed) * i128::from(clock.fast_ppm) / 1_000_000;
        let shown = i128::from(clock.showed) + i128::from(passed) + gained;
        Instant::from_nanos(shown as u64)
    }

    /// How long a wait of `wait` on the clock of `node` truly takes.
    pub fn true_wait(&self, node: usize, wait: Duration) -> Duration {
        let Some(clock) = self.clocks.get(node) else {
            return wait;
        };
        let rate = i128::from(1_000_000 + clock.fast_ppm);
        // Rounded up: a timer may be late, never early.
        let nanos = (wait.as_nanos() as i128 * 1_000_000 + rate - 1) / rate;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_shows_more_and_waits_less() {
        let mut clocks = Clocks::default();
        let second = Instant::from_nanos(1_000_000_000);
        assert_eq!(clocks.local(1, second), second);
        clocks.skew(2, 1, second, Duration::from_secs(3), 100_000);
        let later = Instant::from_nanos(2_000_000_000);
        assert_eq!(clocks.local(1, later), Instant::from_nanos(5_100_000_000));
        assert_eq!(clocks.local(0, later), later);
        let wait = clocks.true_wait(1, Duration::from_millis(1_100));
        assert_eq!(wait, Duration::from_secs(1));
    }
}
