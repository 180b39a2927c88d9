//! What is true, and who owns it: typed tables over key/value engines.
//!
//! Records are typed, indexed and held in memory; an [`Engine`] only makes commits durable. Readers
//! take immutable [`Snapshot`]s without a lock. Writers run serializable transactions over any
//! number of records. This crate is pure: it has no clock, thread, file or socket, and runs on any
//! executor. It knows no OpenStack, no policy and no HTTP; services ([`Record`] types) bring those.
//!
//! # How to use it
//!
//! ```
//! use std::sync::Arc;
//! use luc_core::{SitePrefix, entropy::SplitMix64, id::ProjectId};
//! use luc_state::{
//!     Index, Kind, MemoryEngine, Record, Schema, Scope, Store, StoreOptions, TransactError,
//!     TxError, key,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! // 1. A record: the stored form of one kind, and how it is found.
//! #[derive(Clone, Debug, Serialize, Deserialize)]
//! struct Server { id: String, project: ProjectId, host: String }
//!
//! const BY_HOST: Index<Server> = Index::plain("host", |server| vec![key(&[&server.host])]);
//! const BY_PROJECT: Index<Server> =
//!     Index::plain("project", |server| vec![key(&[server.project.as_str()])]);
//!
//! impl Record for Server {
//!     const KIND: Kind = Kind::Server;
//!     const INDEXES: &'static [Index<Self>] = &[BY_HOST, BY_PROJECT];
//!     fn id(&self) -> &str { &self.id }
//!     fn scope(&self) -> Scope { Scope::Project(self.project.clone()) }
//! }
//!
//! # futures::executor::block_on(async {
//! // 2. A store over an engine. Its driver is a task of its own: `tokio::spawn(driver)`.
//! let site = SitePrefix::of_key(b"founding key of the site");
//! let options = StoreOptions::new(site, SplitMix64::new(1));
//! let schema = Schema::new().table::<Server>();
//! let (store, driver) = Store::open(Arc::new(MemoryEngine::new()), schema, options).await?;
//!
//! let work = async move {
//!     // 3. A transaction: sync, no side effects, run again if another controller was faster.
//!     let project = ProjectId::parse("demo")?;
//!     let done = store.transact(|tx| -> Result<(), TxError> {
//!         let crowd = tx.find(&BY_HOST, &key(&["compute-1"])).len();
//!         let host = if crowd < 10 { "compute-1" } else { "compute-2" };
//!         tx.insert(Server { id: "s1".into(), project: project.clone(), host: host.into() })?;
//!         Ok(())
//!     }).await?;
//!
//!     // 4. Reading: what was committed is in every later snapshot.
//!     let snapshot = store.snapshot();
//!     assert!(snapshot.revision() >= done.revision);
//!     let server = snapshot.get::<Server>("s1").expect("it was committed");
//!     assert_eq!((server.host.as_str(), server.home()), ("compute-1", site));
//!     assert_eq!(snapshot.find(&BY_PROJECT, &key(&["demo"])).count(), 1);
//!
//!     // 5. A refusal changes nothing.
//!     let refused = store.transact(|tx| tx.delete::<Server>("s2").map(drop)).await;
//!     assert!(matches!(refused, Err(TransactError::Refused(TxError::Missing { .. }))));
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! };
//! // The store closes when its last clone is dropped, and then the driver ends.
//! futures::future::join(driver, work).await.1
//! # })
//! # .unwrap();
//! ```
//!
//! To follow changes, `store.watch(snapshot.revision())` is a stream of [`WatchEvent`]s: commits in
//! order, or a `Gap` with the snapshot to start again from.
//!
//! # Map
//! - [`kinds`]: THE table of kinds: home, scope, form of id, where names are unique.
//! - `record`, `scope`, `key`, `schema`: what a service declares.
//! - `store`, `tx`, `rider`, `snapshot`, `change`: what a service calls.
//! - [`engine`]: the contract of engines; [`MemoryEngine`] keeps it but for durability.
//! - [`feed`]: how sites keep copies of each other's records.
//! - `ledger`, `group`, `driver`: how transactions become commits (`docs/decisions/0001`).
//! - `envelope`, `unknown`, `load`: the stored form.
//! - `broken`: rules that a test of the checkers switches off.
//! - `suite` (feature `suite`): what every engine must pass.
//!
//! **Invariant**: index entries, claims and fences change only together with their record.
//! **Invariant**: a published snapshot is durable and never changes.
//! **Boundary**: nothing outside this crate builds engine keys or reads stored JSON.

mod broken;
mod change;
mod driver;
pub mod engine;
mod envelope;
pub mod feed;
#[cfg(any(test, feature = "suite"))]
pub mod fixture;
mod group;
mod key;
pub mod kinds;
mod ledger;
mod load;
mod lossy;
mod memory;
mod pace;
mod record;
mod revision;
mod rider;
mod schema;
mod scope;
mod snapshot;
mod store;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
mod table;
#[cfg(test)]
mod tests;
mod tx;
mod unknown;

pub use broken::Broken;
pub use change::{Change, Commit, Watch, WatchEvent};
pub use driver::Driver;
pub use engine::{Engine, Operation};
pub use envelope::DecodeError;
pub use key::{IndexKey, key};
pub use kinds::Kind;
pub use load::{EntryError, Repair};
pub use lossy::{Faults, LossyLink};
pub use memory::MemoryEngine;
pub use pace::{Pause, Yielding};
pub use record::{Index, Record, Stored};
pub use revision::Revision;
pub use rider::{Rider, Touched};
pub use schema::Schema;
pub use scope::Scope;
pub use snapshot::Snapshot;
pub use store::{Committed, OpenError, SnapshotError, Store, StoreOptions, TransactError};
pub use tx::{Tx, TxError};
