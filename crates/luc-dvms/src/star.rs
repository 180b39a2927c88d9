//! Our protocol: the initiator stays the leader, reservations are leases under ballots, and an
//! older event absorbs a younger one. Nobody waits while holding, so nothing can deadlock.
//!
//! ```text
//!                     overload seen
//!        ┌─────────────────────────────────────▶ Leading: Searching ⇄ Reserving ▶ Executing
//!        │                                          │          │                     │
//!      Free ◀─── solved, unsolved, stale, expired ──┼──────────┴─────────────────────┘
//!        │                                          │ absorbed by a stronger claim
//!        │      Reserve accepted                    ▼
//!        └─────────────────────────────────────▶ Reserved ──▶ Free (released, lease ended)
//! ```
//!
//! The seeds' own later code (`LocalityBasedScheduler` of DISCOVERY) already kept the initiator as
//! the leader. Ballots are those of Paxos, leases those of Gray and Cheriton (SOSP'89). What it is
//! not: it knows no overlay and no hypervisor, and it plans nothing itself (`crate::solver`).

mod absorption;
pub mod config;
mod decision;
pub mod durable;
mod execution;
mod flight;
mod growth;
mod invariants;
pub mod message;
mod mood;
pub mod names;
mod outlook;
mod partition;
pub mod protocol;
mod reservation;
mod retry;
pub mod timer;
mod turn;
mod underload;

pub use config::{Broken, Config, Energy};
pub use durable::Durable;
pub use message::Message;
pub use protocol::Star;
pub use timer::Timer;

#[cfg(test)]
mod tests;
