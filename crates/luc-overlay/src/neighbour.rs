//! What a search yields: nodes with their distance and the hints that travelled with them.

use luc_core::PeerId;
use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

/// Names one open search of one asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// How a node takes part.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Standing {
    /// It serves.
    #[default]
    Awake,
    /// It is powered down (or about to be) and can be woken by a node of its LAN.
    Asleep,
}

/// How much room a node had when it said so: a hint, in whole per cent of its processor capacity.
/// Negative when it is overloaded.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Room(pub i8);

/// One neighbour that a search yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Neighbour {
    /// Who.
    pub peer: PeerId,
    /// The round trip that the asker expects, from coordinates; zero where the overlay has none
    /// (ring, random).
    pub distance: Duration,
    /// Its standing as last heard.
    pub standing: Standing,
    /// Its room as last heard.
    pub room: Room,
}
