//! An agent with the fake driver and a controller in memory: wishes are fulfilled, faults are
//! reported, surprises are told, and nothing that the controller does not know is touched.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod crowd;
mod house;
mod life;
mod trouble;
