//! What the operating system gives to the services: wall clock and random bits.

use std::time::{SystemTime, UNIX_EPOCH};

use luc_core::Entropy;
use luc_core::time::Timestamp;
use luc_services::ports::{Clock, Randomness};

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The kernel's random bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn next_u64(&self) -> u64 {
        let mut bytes = [0u8; 8];
        #[expect(
            clippy::expect_used,
            reason = "a kernel without randomness cannot be trusted on"
        )]
        getrandom::fill(&mut bytes).expect("the kernel gives random bits");
        u64::from_le_bytes(bytes)
    }
}

/// The same for the pure code's [`Entropy`].
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelEntropy;

impl Entropy for KernelEntropy {
    fn next_u64(&mut self) -> u64 {
        SystemRandomness.next_u64()
    }
}

/// A password that nobody guesses and everybody can type: 24 letters and digits.
pub fn generated_password(random: &dyn Randomness) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letter = |word: u64, at: u32| char::from(LETTERS[(word >> (at * 5)) as usize % 32]);
    let words = [random.next_u64(), random.next_u64()];
    words
        .iter()
        .flat_map(|word| (0..12).map(move |at| letter(*word, at)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_have_one_form() {
        let first = generated_password(&SystemRandomness);
        assert_eq!(first.len(), 24);
        assert!(first.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(first, generated_password(&SystemRandomness));
    }
}
