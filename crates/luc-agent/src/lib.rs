//! What happens on a host.
pub mod agent;
mod backoff;
pub mod controller;
pub mod desired;
pub mod driver;
pub mod host;
pub mod metrics;
pub mod observed;
mod outbox;
pub mod reconcile;
pub mod testing;
mod worker;
