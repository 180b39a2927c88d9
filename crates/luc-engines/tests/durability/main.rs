//! Nothing acknowledged is ever lost: not by SIGKILL, not by a power cut, not by a full disk.
//!
//! The processes and disks here are made to fail; the suite in `conformance.rs` is about engines
//! that work.

mod disk;
mod full;
mod journal;
mod kill;
mod opening;
mod power;
mod workload;
