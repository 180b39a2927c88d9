//! One node's brain: overlay and scheduler composed into one `Protocol`.
//!
//! The simulator runs thousands of these, the daemon one. The brain decides nothing of its own: it
//! passes the scheduler's wish for neighbours to the overlay, the overlay's answers and membership
//! news to the scheduler, and everything else to the host. It exists so that this glue is
//! simulated too.
//!
//! ```text
//!            Command                     Event
//!               │                          ▲
//!      ┌────────▼──────────── Brain ───────┴────────┐
//!      │  Overlay ──Neighbours, Joined, Failed──▶ Dvms│
//!      │          ◀──Search, Advertise───────────     │
//!      └────────▲──────────────────────────▲────────┘
//!               │ Message::Overlay         │ Message::Dvms
//!               ▼                          ▼
//!                         other nodes
//! ```
//!
//! This crate is pure: no clock, no socket, no thread, no randomness but the seeds in its
//! configuration.

pub mod brain;
pub mod command;
pub mod durable;
pub mod event;
pub mod message;
pub mod timer;

pub use brain::{Brain, Config};
pub use command::Command;
pub use durable::{Durable, Kept};
pub use event::Event;
pub use message::Message;
pub use timer::Timer;
