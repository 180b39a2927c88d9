//! Our protocol: the initiator stays the leader, reservations are leases under ballots, and an
//! older event absorbs a younger one. Nobody waits while holding, so nothing can deadlock.

pub mod config;
pub mod durable;
pub mod message;
pub mod protocol;
pub mod timer;

pub use config::{Broken, Config, Energy};
pub use durable::Durable;
pub use message::Message;
pub use protocol::Star;
pub use timer::Timer;
