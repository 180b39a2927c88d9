//! What happens on a host.
pub mod agent;
pub mod backoff;
pub mod conformance;
#[expect(dead_code, reason = "the QEMU driver appends")]
mod console;
pub mod controller;
pub mod desired;
pub mod driver;
pub mod fake;
pub mod host;
pub mod metrics;
pub mod network;
pub mod observed;
mod outbox;
pub mod reconcile;
mod record;
pub mod testing;
mod worker;
