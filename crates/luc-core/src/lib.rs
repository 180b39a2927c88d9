//! The nouns everyone speaks: typed ids, units, virtual time, and the contract of pure code.
//!
//! This crate is pure: it holds no clock, socket, thread, file or source of randomness. Time comes
//! in as [`time::Instant`], randomness as [`entropy::Entropy`]. It knows nothing of OpenStack's
//! wire, of storage engines or of hypervisors; every other crate may depend on it.

pub mod entropy;
pub mod id;
pub mod peer;
pub mod protocol;
pub mod time;
pub mod units;

pub use entropy::Entropy;
pub use id::{IdError, SitePrefix, Uuid};
pub use peer::PeerId;
pub use protocol::{Effect, Effects, Input, Protocol};
