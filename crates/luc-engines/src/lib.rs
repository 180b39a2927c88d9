//! Storage engines: what makes the commits of a [`luc_state::Store`] durable.
//!
//! One module per engine, each keeping the contract of [`luc_state::engine`]. This crate knows
//! keys, values and revisions; it knows no records, indexes or kinds. `luc` chooses the engine
//! that the operator configured and opens the store over it.
//!
//! ```no_run
//! use std::sync::Arc;
//! use luc_core::{SitePrefix, entropy::SplitMix64};
//! use luc_engines::{EmbeddedEngine, EmbeddedOptions, TokioPause};
//! use luc_state::{Schema, Store, StoreOptions};
//!
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = EmbeddedEngine::open("/var/lib/luc/state.redb", EmbeddedOptions::default())?;
//! // In production the entropy is the kernel's.
//! let site = SitePrefix::of_key(b"founding key");
//! let options = StoreOptions::new(site, SplitMix64::new(1)).pause(TokioPause);
//! let (store, driver) = Store::open(Arc::new(engine), Schema::new(), options).await?;
//! tokio::spawn(driver);
//! # drop(store);
//! # Ok(())
//! # }
//! ```

pub mod embedded;
mod pause;

pub use embedded::{EmbeddedEngine, EmbeddedOptions, OpenError};
pub use pause::TokioPause;
