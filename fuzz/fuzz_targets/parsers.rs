//! Every parser of requests, queries, versions and policy rules, guided by coverage.

#![no_main]

#[path = "../../crates/luc-api/tests/parsers/attack.rs"]
mod attack;

libfuzzer_sys::fuzz_target!(|data: &[u8]| attack::attack(data));
