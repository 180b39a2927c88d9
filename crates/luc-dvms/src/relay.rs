//! The published protocol (Quesnel, Lèbre, Südholt, CCPE 2012; ISPA'13; versions and time-outs as
//! in VMPlaceS): the honest baseline of every comparison.
//!
//! An overloaded node begins an iterative scheduling procedure (ISP). Its token goes from node to
//! node; each free one joins, becomes the leader, asks all members what they carry and the solver
//! whether they suffice. A node is in at most one partition, so ISPs run side by side on disjoint
//! sets; a token passes over the nodes of other partitions.
//!
//! ```text
//!  initiator ──ISP──▶ free node: valid? ──yes──▶ leads: announce, gather, solve
//!      ▲                                             │ solution: apply, dissolve
//!      └── Blocked, then no solution ◀── … ◀──ISP────┘ none: first node outside
//! ```
//!
//! It is not fenced: a leader that was paused still gives orders, and members obey. That is what
//! was published; the source of a migration checks that the machine is there, so no machine ever
//! runs twice. Where the published text is silent (two new leaders of one version, a lost order)
//! the smallest addition is made and said so where it stands.

mod applying;
pub mod config;
mod crash;
pub mod durable;
mod invariants;
mod leading;
mod merging;
pub mod message;
pub mod partition;
pub mod protocol;
mod role;
pub mod timer;
mod token;

pub use config::Config;
pub use durable::Durable;
pub use message::Message;
pub use partition::{Partition, State, Token};
pub use protocol::Relay;
pub use timer::Timer;

#[cfg(test)]
mod tests;
