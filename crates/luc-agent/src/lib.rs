//! What happens on a host: servers are made as the controller wants them.
//!
//! An [`agent::Agent`] follows the wishes of one [`controller::Controller`] and carries them out
//! through one [`driver::Driver`]. What to do next is decided by a pure function,
//! [`reconcile::decide`], from what is wanted and what is there, again after every step; so a crash
//! at any point is resumed and never cleaned up by hand. Guests outlive the agent.
//!
//! ```text
//!             wishes                          decide            steps
//! controller ───────▶ agent ─▶ worker, one ──────────▶ driver ───────▶ fake
//!            ◀─────── outbox ◀─ for each server ◀────── inspect         qemu ─▶ a process each
//!             reports
//! ```
//!
//! Invariants: two steps never touch one server at once; what the controller does not know is never
//! touched; disks that the controller has seen complete are never silently made anew; a step that
//! cannot succeed is reported and not tried for ever.
//! What it is not: a scheduler (the controller chose this host), an API, a store.
//! Who calls it: `luc`, which plugs an adapter into the controller's port.

pub mod agent;
pub mod backoff;
pub mod config_drive;
pub mod conformance;
mod console;
pub mod controller;
pub mod desired;
pub mod driver;
pub mod fake;
pub mod host;
pub mod image_cache;
mod iso9660;
pub mod metrics;
pub mod network;
pub mod observed;
mod outbox;
pub mod qemu;
pub mod reconcile;
mod record;
pub mod testing;
mod worker;
