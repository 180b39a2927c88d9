//! Everything that reads frames of the fabric, guided by coverage.

#![no_main]

#[path = "../../crates/luc-runtime/tests/frames/attack.rs"]
mod attack;

libfuzzer_sys::fuzz_target!(|data: &[u8]| attack::attack(data));
