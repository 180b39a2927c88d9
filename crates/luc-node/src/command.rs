//! What the host asks of its brain and tells it.

use luc_core::PeerId;
use luc_core::time::Duration;
use luc_dvms::Host;
use luc_dvms::command::{MigrationEnd, MigrationId};

/// What the host asks and tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Start taking part; the contacts are nodes of the own site and delegates of others.
    Start {
        /// Whom to announce this node to.
        contacts: Vec<PeerId>,
    },
    /// Leave for good.
    Leave,
    /// The host's state, sampled each second if it changed, and at once when a machine came, went
    /// or moved.
    Sample(Host),
    /// A round trip that the transport measured on traffic that flows anyway.
    RoundTrip {
        /// The other end.
        peer: PeerId,
        /// The measured time.
        rtt: Duration,
    },
    /// A migration that this node was the source of has ended.
    MigrationEnded {
        /// Which.
        migration: MigrationId,
        /// How.
        end: MigrationEnd,
    },
    /// The host has been woken and serves again.
    Woken,
}
