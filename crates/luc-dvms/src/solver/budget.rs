//! How much a search may look at, in steps: never in time, so that results are reproducible.

/// Steps used and allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    used: u64,
    limit: u64,
}

impl Budget {
    /// Nothing used yet.
    pub(super) fn new(limit: u64) -> Self {
        Self { used: 0, limit }
    }

    /// Uses one step; false when none is left.
    pub(super) fn spend(&mut self) -> bool {
        let left = self.used < self.limit;
        self.used += u64::from(left);
        left
    }

    /// Uses `steps` whether or not they are left: what cannot be searched without.
    pub(super) fn charge(&mut self, steps: u64) {
        self.used += steps;
        self.limit = self.limit.max(self.used);
    }

    /// Steps used.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Steps left.
    pub(super) fn left(&self) -> u64 {
        self.limit - self.used
    }

    /// A part of what is left, to be given back by [`Budget::absorb`].
    pub(super) fn part(&self, steps: u64) -> Self {
        Self::new(steps.min(self.left()))
    }

    /// Counts what a part has used.
    pub(super) fn absorb(&mut self, part: Self) {
        self.used += part.used;
    }
}
