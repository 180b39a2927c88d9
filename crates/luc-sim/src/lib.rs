//! Many nodes, one clock: a discrete-event simulator of a cloud and its schedulers.
//!
//! ```text
//!  Trace ──loads──▶ ┌───────────── Simulation ─────────────┐
//!  Schedule ─faults▶│ Queue ─▶ Algorithm ─▶ Context         │──records──▶ Metrics
//!                   │   ▲      (brains or      │  │  │      │──lines────▶ Sink
//!                   │   │       a baseline)    ▼  ▼  ▼      │
//!                   │   └────────── Network  World Migrations
//!                   └──────────────────────────────────────┘
//! ```
//!
//! The brains are the very code that the daemon runs. Time is virtual; the same trace, seed and
//! constants give the same log byte for byte. This crate is pure: files, threads and progress bars
//! belong to `luc sim`.

pub mod algorithm;
pub mod baseline;
pub mod brains;
pub mod check;
pub mod context;
pub mod experiment;
pub mod fault;
pub mod index;
pub mod invariant;
pub mod log;
pub mod metrics;
pub mod migration;
pub mod network;
pub mod power;
pub mod queue;
pub mod report;
pub mod scenario;
pub mod simulation;
pub mod sweep;
pub mod trace;
pub mod world;

pub use algorithm::{Algorithm, Constants};
pub use context::Context;
pub use index::{NodeIndex, SiteIndex, VmIndex};
pub use metrics::{Metrics, Summary};
pub use simulation::{Setup, SetupError, Simulation};
pub use trace::Trace;
pub use world::World;
