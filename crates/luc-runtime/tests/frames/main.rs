//! A bounded fuzz of what reads frames: random bytes, and good frames with random damage.
//!
//! The same `attack` runs unbounded and guided by coverage in `fuzz/` (`cargo fuzz run frames`).

mod attack;

use luc_core::Entropy as _;
use luc_core::entropy::SplitMix64;
use luc_runtime::fabric::Channel;
use luc_runtime::fabric::frame::{self, Kind};

/// How many inputs; about a second.
const ROUNDS: u64 = 100_000;

#[test]
fn no_bytes_make_a_reader_of_frames_panic() {
    let mut read = 0u64;
    for seed in 0..ROUNDS {
        let input = input(&mut SplitMix64::new(seed));
        read += u64::from(frame::decode(&input.clone().into()).is_ok());
        attack::attack(&input);
    }
    // Both good and damaged ones were among them.
    assert!((ROUNDS / 20..ROUNDS / 2).contains(&read), "{read}");
}

/// Random bytes, or a good frame with up to three bytes changed, cut or doubled.
fn input(random: &mut SplitMix64) -> Vec<u8> {
    let pick = |random: &mut SplitMix64, below: usize| (random.next_u64() as usize) % below.max(1);
    let mut body = vec![0; pick(random, 40)];
    random.fill(&mut body);
    if pick(random, 8) == 0 {
        return body;
    }
    let kinds = [
        Kind::Request,
        Kind::Answer,
        Kind::Refusal,
        Kind::Failure,
        Kind::Datagram,
    ];
    let kind = kinds[pick(random, kinds.len())];
    let mut bytes = frame::encode(kind, Channel(7), &body).to_vec();
    for _ in 0..pick(random, 4) {
        let at = pick(random, bytes.len());
        match pick(random, 3) {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_within(at..),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next_u64() as u8;
                }
            }
        }
    }
    bytes
}
