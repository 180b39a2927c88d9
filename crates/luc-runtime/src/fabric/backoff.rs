//! The pause before a peer is tried again: doubled each time, with jitter, so that the nodes of a
//! site that comes back are not all called at the same moment.

use std::time::Duration;

use luc_core::Entropy;
use tokio::time::Instant;

use super::Timing;

/// What failed attempts lead to.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<Instant>,
    why: String,
}

impl Backoff {
    /// Why nothing may be tried at `now`, if so.
    pub(super) fn refusal(&self, now: Instant) -> Option<&str> {
        self.until
            .is_some_and(|until| now < until)
            .then_some(self.why.as_str())
    }

    /// An attempt failed: the next one waits between half and the whole of the doubled pause.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        timing: &Timing,
        why: String,
        random: &mut impl Entropy,
    ) {
        let doubled = timing.pause_min.saturating_mul(1 << self.failures.min(16));
        let whole = doubled.min(timing.pause_max);
        let half = whole / 2;
        let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
        let jitter = Duration::from_micros(random.next_u64() % micros.saturating_add(1));
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + half + jitter);
        self.why = why;
    }

    /// An attempt succeeded, or the peer came by itself.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use luc_core::entropy::SplitMix64;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_their_limit_and_end_with_a_success() {
        let timing = Timing::default();
        let mut random = SplitMix64::new(1);
        let mut backoff = Backoff::default();
        let now = Instant::now();
        let mut whole = timing.pause_min;
        for _ in 0..20 {
            backoff.failed(now, &timing, "silent".to_owned(), &mut random);
            assert_eq!(
                backoff.refusal(now + whole / 2 - Duration::from_micros(1)),
                Some("silent")
            );
            assert_eq!(backoff.refusal(now + whole), None);
            whole = (whole * 2).min(timing.pause_max);
        }
        backoff.succeeded();
        assert_eq!(backoff.refusal(now), None);
    }
}
