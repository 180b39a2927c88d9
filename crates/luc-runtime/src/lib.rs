//! Runs a node for real: who it is ([`identity`]) and how it reaches other nodes ([`fabric`]).
//!
//! Nothing here decides about VMs, records or members; `luc` plugs those in as a
//! [`fabric::Handler`] and a [`fabric::Admission`].
//!
//! # How to use it
//! Two nodes of one cloud in one process; between processes only the line that starts a node is
//! another one (`QuicFabric::start`).
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use async_trait::async_trait;
//! use bytes::Bytes;
//! use luc_core::SitePrefix;
//! use luc_runtime::NodeSecret;
//! use luc_runtime::fabric::memory::Network;
//! use luc_runtime::fabric::{Channel, Ends, Fabric, Handler, Members, Peer};
//! use luc_runtime::fabric::{RecvHalf, Refusal, Request, SendHalf, Standing};
//! use tokio::time::Instant;
//!
//! struct Echo;
//!
//! #[async_trait]
//! impl Handler for Echo {
//!     async fn request(&self, _: Peer, _: Channel, body: Bytes) -> Result<Bytes, Refusal> {
//!         Ok(body)
//!     }
//!     fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}
//!     async fn stream(&self, _: Peer, _: Channel, _: SendHalf, _: RecvHalf) {}
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let grenoble = SitePrefix::from_bytes([1; 6]);
//! let nancy = SitePrefix::from_bytes([2; 6]);
//! let here = NodeSecret::from_seed(&[1; 32]).key();
//! let there = NodeSecret::from_seed(&[2; 32]).key();
//! let members = Arc::new(Members::strict());
//! members.set(here, Standing::Member(here.peer_id(grenoble)));
//! members.set(there, Standing::Member(there.peer_id(nancy)));
//!
//! let network = Network::new(1);
//! network.set_rtt(grenoble, nancy, Duration::from_millis(15));
//! let ends = Ends { admission: members, handler: Arc::new(Echo) };
//! let node: Arc<dyn Fabric> = network.start(here, grenoble, ends.clone());
//! network.start(there, nancy, ends);
//!
//! let deadline = Instant::now() + Duration::from_secs(5);
//! let answer = node.request(there, Request::new(Channel::GATHER, "hello"), deadline).await;
//! assert_eq!(answer, Ok(Bytes::from("hello")));
//! # }
//! ```

pub mod brain;
pub mod fabric;
pub mod feeds;
pub mod http;
pub mod identity;

pub use identity::{NodeKey, NodeSecret};
