//! What the agent reports about one server: the whole state, so that a lost, doubled or late report
//! does no harm.
//!
//! Who calls it: the worker of a server writes these, [`crate::outbox`] delivers the latest, the
//! controller turns them into Nova's `vm_state`, `task_state` and `power_state`.

use std::net::{IpAddr, SocketAddr};

use luc_core::id::ServerId;
use luc_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::desired::{Generation, Shape};
use crate::driver::Step;

/// Nova's power states with Nova's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerState {
    /// Nothing is known, or there is no machine yet.
    NoState,
    /// The guest runs.
    Running,
    /// The guest is frozen in memory.
    Paused,
    /// The guest is off.
    Shutdown,
    /// The guest panicked or its hypervisor process died.
    Crashed,
    /// The guest's memory is on disk.
    Suspended,
}

impl PowerState {
    /// The number in Nova's API (`OS-EXT-STS:power_state`).
    pub const fn code(self) -> u8 {
        match self {
            Self::NoState => 0,
            Self::Running => 1,
            Self::Paused => 3,
            Self::Shutdown => 4,
            Self::Crashed => 6,
            Self::Suspended => 7,
        }
    }
}

/// How far the agent is with a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It carries out a step.
    Working(Step),
    /// A step failed for a reason that may pass; it is tried again.
    Retrying(Step),
    /// The wish is fulfilled.
    Settled,
    /// The wish was fulfilled, but the guest has since left that state by itself (shut down from
    /// inside, crashed). The agent waits for a new wish.
    Drifted,
    /// The wish cannot be fulfilled; `fault` says why. The agent waits for a new wish.
    Failed,
    /// The controller holds the server; the agent only looks.
    Held,
    /// The server and its disks are not on this host.
    Gone,
    /// The host has this server, but the controller knows nothing of it. It is left alone.
    Orphaned,
}

/// Why a wish cannot be fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// One sentence for the user.
    pub message: String,
    /// The chain of causes for the operator.
    pub details: String,
}

/// A port of the host that leads into the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The guest's TCP port.
    pub guest_port: u16,
    /// Where to connect on the host.
    pub host: SocketAddr,
}

/// The state of one server on one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The server.
    pub id: ServerId,
    /// The wish this is about; zero if the controller has none.
    pub generation: Generation,
    /// Grows with every report of this agent about any server, also over restarts of the agent as
    /// long as the wall clock does not go back: a receiver drops what is older than it has.
    pub sequence: u64,
    /// How far the agent is.
    pub phase: Phase,
    /// The power state.
    pub power: PowerState,
    /// The shape the server has now, if it is built.
    pub shape: Option<Shape>,
    /// Why the wish cannot be fulfilled.
    pub fault: Option<Fault>,
    /// How many times in a row the present step has failed.
    pub retries: u32,
    /// When the guest was first started from its present disks.
    pub launched_at: Option<Timestamp>,
    /// The guest's addresses.
    pub addresses: Vec<IpAddr>,
    /// The guest's hardware address, if it has a NIC.
    pub mac: Option<String>,
    /// Ports of the host that lead into the guest.
    pub forwards: Vec<Forward>,
}

impl Observed {
    /// Whether `other` says the same, its number aside.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let renumbered = Self {
            sequence: self.sequence,
            ..other.clone()
        };
        *self == renumbered
    }
}
