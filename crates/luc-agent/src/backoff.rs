//! How long to wait before the next try: doubled with every failure, between two bounds.
//!
//! No jitter: one agent has one controller, and each server its own count, so there is no herd to
//! break up.

use luc_core::time::Duration;

/// Bounds of the wait before the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Backoff {
    /// How long to wait after `failures` failures in a row, at least one.
    pub fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_bound_and_never_overflows() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(5),
        };
        let waits: Vec<u128> = (1..=8).map(|n| backoff.after(n).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.after(u32::MAX), Duration::from_secs(5));
        assert_eq!(backoff.after(0), Duration::from_millis(100));
    }
}
