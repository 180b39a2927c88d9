//! Randomness that is a function of a seed: the same request draws the same in every attempt.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::ports::Randomness;

/// SHA-256 over a secret seed and a counter (as Hash_DRBG of NIST SP 800-90A generates, without
/// its reseeding: a request draws little). As secret as the seed.
pub(super) struct Seeded {
    seed: [u8; 32],
    drawn: AtomicU64,
}

impl Seeded {
    /// The bits that follow from `seed`.
    pub(super) fn new(seed: [u8; 32]) -> Self {
        let drawn = AtomicU64::new(0);
        Self { seed, drawn }
    }
}

impl Randomness for Seeded {
    fn next_u64(&self) -> u64 {
        let count = self.drawn.fetch_add(1, Ordering::Relaxed);
        let digest = Sha256::new()
            .chain_update(self.seed)
            .chain_update(count.to_le_bytes())
            .finalize();
        let mut word = [0u8; 8];
        word.copy_from_slice(&digest[..8]);
        u64::from_le_bytes(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bits_and_another_gives_others() {
        let draw = |seed: u8| {
            let seeded = Seeded::new([seed; 32]);
            [seeded.next_u64(), seeded.next_u64(), seeded.next_u64()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let [first, second, _] = draw(1);
        assert_ne!(first, second);
    }
}
