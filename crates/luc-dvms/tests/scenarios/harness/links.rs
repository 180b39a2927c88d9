//! The network of the harness: one delay for all links, and loss, doubling and reordering by seed.
//!
//! Every message is delayed by that delay and a random share of the jitter; a jitter above
//! zero reorders. Equal seeds give equal deliveries.

use std::collections::BTreeSet;

use luc_core::entropy::SplitMix64;
use luc_core::time::Duration;
use luc_core::{Entropy as _, PeerId};

/// How messages travel.
pub(crate) struct Links {
    /// What each message takes at the least.
    pub(crate) delay: Duration,
    /// What it takes at the most beyond that.
    pub(crate) jitter: Duration,
    /// Messages lost, of a thousand.
    pub(crate) lost_permille: u64,
    /// Messages delivered twice, of a thousand.
    pub(crate) doubled_permille: u64,
    far_side: BTreeSet<PeerId>,
    entropy: SplitMix64,
}

impl Links {
    /// A local network: 100 µs, in order, nothing lost.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            delay: Duration::from_micros(100),
            jitter: Duration::ZERO,
            lost_permille: 0,
            doubled_permille: 0,
            far_side: BTreeSet::new(),
            entropy: SplitMix64::new(seed ^ 0x6c69_6e6b_7300),
        }
    }

    /// Splits the network: nothing passes between `far_side` and the others. Empty heals.
    pub(crate) fn split(&mut self, far_side: BTreeSet<PeerId>) {
        self.far_side = far_side;
    }

    /// Whether messages pass between the two at all.
    pub(crate) fn connected(&self, from: PeerId, to: PeerId) -> bool {
        self.far_side.contains(&from) == self.far_side.contains(&to)
    }

    /// After which times a message sent now arrives: never, once or twice.
    pub(crate) fn deliveries(&mut self, from: PeerId, to: PeerId) -> Vec<Duration> {
        if !self.connected(from, to) || self.chance(self.lost_permille) {
            return Vec::new();
        }
        let copies = if self.chance(self.doubled_permille) {
            2
        } else {
            1
        };
        (0..copies).map(|_| self.latency()).collect()
    }

    fn latency(&mut self) -> Duration {
        let spread = u64::try_from(self.jitter.as_nanos()).unwrap_or(u64::MAX);
        let extra = if spread == 0 {
            0
        } else {
            self.entropy.next_u64() % spread
        };
        self.delay + Duration::from_nanos(extra)
    }

    fn chance(&mut self, permille: u64) -> bool {
        permille > 0 && self.entropy.next_u64() % 1000 < permille
    }
}
