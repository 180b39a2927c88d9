//! Randomness as a value that is handed in.
//!
//! Pure code never asks the operating system for random bytes: the daemon injects a source backed
//! by the kernel, the simulator one that is seeded. [`SplitMix64`] is the seeded one; it is for
//! tests and simulation, never for secrets.

/// A source of random bits. The caller decides whether they are secret or reproducible.
pub trait Entropy {
    /// The next 64 random bits.
    fn next_u64(&mut self) -> u64;

    /// Fills `bytes` with random bits.
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

impl<E: Entropy + ?Sized> Entropy for &mut E {
    fn next_u64(&mut self) -> u64 {
        (**self).next_u64()
    }
}

/// A small reproducible generator (Steele, Lea and Flood 2014, "Fast splittable pseudorandom
/// number generators"). Not for secrets.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// A generator whose whole output is a function of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }
}

impl Entropy for SplitMix64 {
    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let mut left = [0u8; 21];
        let mut right = [0u8; 21];
        SplitMix64::new(7).fill(&mut left);
        SplitMix64::new(7).fill(&mut right);
        assert_eq!(left, right);
        SplitMix64::new(8).fill(&mut right);
        assert_ne!(left, right);
    }

    #[test]
    fn the_reference_values_of_seed_zero_hold() {
        let mut source = SplitMix64::new(0);
        assert_eq!(source.next_u64(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(source.next_u64(), 0x6E78_9E6A_A1B9_65F4);
    }
}
