//! What a node knows of its peers.

use std::time::Duration;

use super::Standing;
use crate::identity::NodeKey;

/// The state of the connection to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// Open, as far as this side knows.
    Connected,
    /// Being opened.
    Connecting,
    /// Not there.
    Down,
}

/// Figures of one peer since this node started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerMetrics {
    /// The peer.
    pub key: NodeKey,
    /// What it may do here now.
    pub standing: Standing,
    /// The state of its connection.
    pub state: PeerState,
    /// For how long it has been in that state.
    pub state_age: Duration,
    /// The round-trip time, smoothed as RFC 9002 section 5.3 says; of the last connection if none
    /// is open.
    pub rtt: Option<Duration>,
    /// What was counted.
    pub traffic: Traffic,
}

/// Counters of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of frames sent: headers and bodies, before encryption.
    pub frame_bytes_out: u64,
    /// Bytes of frames received.
    pub frame_bytes_in: u64,
    /// Bytes of UDP payload sent, with handshakes, acknowledgements and repetitions. In memory the
    /// same as the frames' bytes.
    pub wire_bytes_out: u64,
    /// Bytes of UDP payload received.
    pub wire_bytes_in: u64,
    /// Connections that came about.
    pub connects: u64,
    /// Connections that were lost.
    pub losses: u64,
    /// Messages that were refused: not admitted, malformed or too large.
    pub refused: u64,
    /// Datagrams dropped on this side for want of a connection or of room.
    pub datagrams_dropped: u64,
}
