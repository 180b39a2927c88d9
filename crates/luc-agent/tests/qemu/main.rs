//! Real machines: these tests need QEMU, and say loudly that they were skipped where there is none.
//!
//! `LUC_TEST_QEMU` names another `qemu-system-x86_64` than the installed one, followed by the
//! arguments it needs (`-L …`).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod bench;
mod conformance;
mod guest;
mod house;
mod life;
mod recovery;
mod refusal;
