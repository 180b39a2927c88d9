//! Schedules of the whole protocol in a small deterministic world, for both protocols.
//!
//! `deadlock` and `crash` are the scenarios published with DVMS (ISPA'13; the test suite of its
//! reference implementation names the same partitions and the same dead nodes);
//! `relay_schedules` and `star_schedules` run random ones by seed.

mod crash;
mod deadlock;
mod harness;
mod machines;
mod relay_schedules;
mod rough_schedules;
mod smoke;
mod star_schedules;
mod storm;
