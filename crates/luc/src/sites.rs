//! The other sites of the cloud, made real: the fabric below, the services' ports above.
//!
//! ```text
//! Fabric ──▶ Switchboard ──┬─ join ────▶ Doorman      tickets
//!                          ├─ sites ───▶ Assembly     signs of life, promises, removals
//!                          ├─ forward ─▶ Forwards     requests that run here
//!                          ├─ feed ────▶ the feeds
//!                          └─ overlay ─▶ the brain
//! Services ──▶ CloudSites (the port `Sites`) ──▶ Fabric, Pulse, Membership
//! ```
//!
//! [`Membership`] says who may talk, from the records of this site and what the join said;
//! [`Pulse`] who was heard last, when and how far away. What the records mean is in
//! `luc_services::sites`.

pub mod adapter;
pub mod api;
pub mod assembly;
pub mod doorman;
pub mod feeding;
pub mod forwards;
pub mod membership;
pub mod permits;
pub mod pulse;
pub mod refusals;
pub mod skew;
pub mod switchboard;

pub use adapter::CloudSites;
pub use membership::Membership;
pub use pulse::Pulse;
pub use switchboard::Switchboard;
