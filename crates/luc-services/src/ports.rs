//! What the services need from outside, as traits: `luc` plugs the adapters.

use std::time::Duration;

use luc_api::Operation;
use luc_core::Entropy;
use luc_core::time::Timestamp;

pub mod sites;

/// The wall clock: for tokens, timestamps on the wire and nothing that orders records.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Random bits fit for secrets.
pub trait Randomness: Send + Sync + 'static {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;
}

/// Adapts a shared [`Randomness`] to the pure code's [`Entropy`].
pub struct Drawn<'r>(pub &'r dyn Randomness);

impl Entropy for Drawn<'_> {
    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// Who is told how requests went: metrics and access log.
pub trait Observer: Send + Sync + 'static {
    /// A request was answered.
    fn answered(&self, operation: Option<Operation>, status: u16, took: Duration);
}
