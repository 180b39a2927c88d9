//! The random numbers of a pool: `foca` asks through `rand_core`, the seeded generator answers.

use std::convert::Infallible;

use luc_core::entropy::{Entropy, SplitMix64};

/// A seeded generator in the form that `foca` wants.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) SplitMix64);

impl rand_core::TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}
