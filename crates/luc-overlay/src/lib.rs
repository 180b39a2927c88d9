//! Who is out there and how far: membership, network coordinates, neighbour search.
//!
//! A service sees an overlay through two things only (the PeerActor separation of the DISCOVERY
//! initiative): *the next neighbours outside a set* ([`Command::Search`], answered by
//! [`Event::Neighbours`] or [`Event::Exhausted`]) and membership events ([`Event::Joined`],
//! [`Event::Left`], [`Event::Failed`]). Which overlay answers (locality, ring, random) is chosen by
//! [`Config`]; the service cannot tell.
//!
//! ```text
//!   host ── Command ──▶ ┌ protocol ────────────────────────────────────────┐ ── Event ──▶ host
//!                       │ lifecycle   start, sleep, wake, leave            │
//!                       │ membership  packets ◀─▶ site pool, cloud pool    │ ◀─ Message ─▶ peers
//!                       │ delegate    who is in the cloud pool             │
//!                       │ measure     round trips ──▶ vivaldi              │
//!                       │ members ──▶ search: spiral, ring or random       │
//!                       └──────────────────────────────────────────────────┘
//! ```
//!
//! **Invariant**: only a delegate keeps members of other sites; every other node remembers a few
//! contacts, so memory and traffic per node do not grow with the number of sites.
//!
//! This crate is pure: time comes in as values, randomness from a seed. It decides nothing about
//! virtual machines and opens no socket.

pub mod command;
pub mod config;
mod contacts;
pub mod coordinate;
mod delegate;
pub mod directory;
pub mod durable;
pub mod event;
mod farewells;
#[cfg(debug_assertions)]
mod invariants;
mod lifecycle;
mod measure;
pub mod members;
mod membership;
pub mod message;
pub mod neighbour;
pub mod pool;
pub mod protocol;
pub mod search;
pub mod seed;
pub mod timer;
pub mod vivaldi;

pub use command::Command;
pub use config::{Config, Membership, SwimConfig, Timing};
pub use coordinate::Coordinate;
pub use directory::Directory;
pub use durable::{Durable, Kept};
pub use event::Event;
pub use members::Members;
pub use message::Message;
pub use neighbour::{Neighbour, RequestId, Room, Standing};
pub use protocol::Overlay;
pub use seed::Seed;
pub use timer::Timer;

#[cfg(test)]
mod tests;
