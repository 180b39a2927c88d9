//! Everything that a seed decides is drawn here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_services::ports::Randomness;

/// A stream of draws that follows from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Draw(SplitMix64);

impl Draw {
    /// The stream number `stream` of `seed`: streams do not disturb each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut first = SplitMix64::new(seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Self(SplitMix64::new(first.next_u64()))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound.max(1)
    }

    /// A place in something of this length.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// True this often in a thousand times.
    pub(crate) fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// A time between two numbers of milliseconds.
    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }

    /// One of two different places in something of this length.
    pub(crate) fn pair(&mut self, length: usize) -> (usize, usize) {
        let first = self.place(length);
        let second = (first + 1 + self.place(length - 1)) % length;
        (first, second)
    }

    /// The seed of something else.
    pub(crate) fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// The random bits of a site's services.
#[derive(Debug)]
pub(crate) struct Bits(Mutex<SplitMix64>);

impl Bits {
    /// Bits that follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(SplitMix64::new(seed)))
    }
}

impl Randomness for Bits {
    fn next_u64(&self) -> u64 {
        lock(&self.0).next_u64()
    }
}

/// What a mutex guards; a test that panicked elsewhere has failed already.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
