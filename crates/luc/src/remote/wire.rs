//! What controller and compute-only node say to each other; versioned JSON.

use std::net::SocketAddr;

use crate::agents::Ratios;
use luc_agent::desired::DesiredServer;
use luc_agent::host::Heartbeat;
use luc_core::id::ServerId;
use serde::{Deserialize, Serialize};

/// The version of this conversation. A node that speaks another is refused with both numbers.
pub(super) const VERSION: u32 = 1;

/// An answer about wishes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wishes {
    /// The version of the conversation.
    pub version: u32,
    /// The revision up to which this is true.
    pub revision: u64,
    /// Everything that is wanted; `None` in an answer about changes.
    pub snapshot: Option<Vec<DesiredServer>>,
    /// What changed, in order.
    pub changes: Vec<Change>,
    /// Changes are missing: ask for everything again.
    pub reload: bool,
}

/// One change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// This is wanted now.
    Want(Box<DesiredServer>),
    /// There is no such server any more.
    Forget(ServerId),
}

/// A sign of life.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Alive {
    /// The version of the conversation.
    pub version: u32,
    /// The port on which the node is reached, at the address the heartbeat comes from.
    pub reached_at: SocketAddr,
    /// How many times over that may be promised.
    pub ratios: Ratios,
    /// What it has.
    pub heartbeat: Heartbeat,
}

/// A refusal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    /// Why.
    pub reason: String,
}

/// An answer about a console.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Console {
    /// The lines.
    pub output: String,
}
