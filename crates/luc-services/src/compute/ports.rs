//! What the compute service asks of its hosts; `luc` plugs the way to the agents.
//!
//! Only questions that a record cannot answer go through here. Orders never do: they stand in the
//! store, where they outlive every process.

use async_trait::async_trait;
use luc_core::id::ServerId;
use serde_json::Value;

/// Why a host gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The host does not answer.
    #[error("host {host} does not answer")]
    Unreachable {
        /// The host.
        host: String,
    },
    /// The host does not run the server (any more).
    #[error("server {server} is not on host {host}")]
    NoSuchServer {
        /// The host.
        host: String,
        /// The server.
        server: ServerId,
    },
    /// The host tried and failed.
    #[error("host {host} could not answer: {reason}")]
    Failed {
        /// The host.
        host: String,
        /// What it said.
        reason: String,
    },
}

/// The way to the hosts.
#[async_trait]
pub trait Hosts: Send + Sync + 'static {
    /// The last `lines` lines of the server's serial console; everything that is kept if `None`.
    async fn console_output(
        &self,
        host: &str,
        server: &ServerId,
        lines: Option<u64>,
    ) -> Result<String, AskError>;

    /// Measurements of the running server in the form of microversion 2.48 of the diagnostics API.
    async fn diagnostics(&self, host: &str, server: &ServerId) -> Result<Value, AskError>;
}
