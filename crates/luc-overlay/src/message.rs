//! What overlays exchange, and how many bytes it takes.
//!
//! Membership packets are those of SWIM with what rides on them: no message is sent for the
//! coordinate, the room, farewells or contacts alone. The sender's and the receiver's names are
//! not in the packets: the transport has authenticated them, and they are put back on arrival.

use luc_core::PeerId;
use serde::{Deserialize, Serialize};

use crate::coordinate::Coordinate;
use crate::neighbour::Room;
use crate::search;
use crate::search::message::{Hearsay, PEER_BYTES, PLACE_BYTES};

/// How far a pool reaches: which of the two a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// All nodes of one site.
    Site,
    /// A few delegates of every site.
    Cloud,
}

/// What overlays exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// A membership packet of one pool and what rides on it.
    Swim(Swim),
    /// A new delegate asks another node of its site who the delegates of the cloud are.
    RosterWanted,
    /// A part of the answer to [`Message::RosterWanted`].
    Roster {
        /// Delegates with their incarnations.
        delegates: Vec<(PeerId, u32)>,
    },
    /// You asked me as a delegate and I am none: ask these.
    Referral {
        /// Delegates of the answerer's site as it sees them, and of other sites.
        delegates: Vec<PeerId>,
    },
    /// How far are you? Asked of nodes of other sites, whom no pool probes.
    Echo {
        /// Which question; only the asker reads it.
        ask: u32,
    },
    /// The answer to [`Message::Echo`].
    Echoed {
        /// Which question.
        ask: u32,
        /// Where the answerer is.
        place: Coordinate,
    },
    /// A search's question or answer.
    Search(search::Message),
}

/// A membership packet and what rides on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Swim {
    /// The pool.
    pub scope: Scope,
    /// Which edition of the receiver's coordinate the sender has heard; 0 is none.
    pub heard: u16,
    /// How much room the sender has.
    pub room: Room,
    /// The packet without the names at its head.
    pub packet: Box<[u8]>,
    /// What rides along, if anything does.
    pub rider: Option<Box<Rider>>,
}

/// What rides on a membership packet when there is something to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rider {
    /// Where the sender is, with the edition, when the receiver has not heard this edition.
    pub place: Option<(u16, Coordinate)>,
    /// Who fell silent on purpose.
    pub rumours: Vec<Rumour>,
    /// Delegates of other sites.
    pub contacts: Vec<PeerId>,
    /// View entries of the search.
    pub hearsay: Option<Hearsay>,
}

/// A node fell silent, and not because it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rumour {
    /// The node.
    pub peer: PeerId,
    /// The incarnation that fell silent; a higher one is about again.
    pub incarnation: u32,
    /// Why.
    pub farewell: Farewell,
}

/// Why a node fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Farewell {
    /// It is no delegate any more; it serves on in its site.
    Resigned,
    /// It sleeps and can be woken.
    Asleep,
    /// It left for good.
    Left,
}

impl Rider {
    /// Whether nothing rides.
    pub fn is_empty(&self) -> bool {
        self.place.is_none()
            && self.rumours.is_empty()
            && self.contacts.is_empty()
            && self.hearsay.is_none()
    }

    fn wire_bytes(&self) -> usize {
        // One byte says which parts are there; lists have a length of one byte.
        1 + self.place.map_or(0, |_| 2 + PLACE_BYTES)
            + list(self.rumours.len(), Rumour::WIRE_BYTES)
            + list(self.contacts.len(), PEER_BYTES)
            + self.hearsay.as_ref().map_or(0, Hearsay::wire_bytes)
    }
}

impl Rumour {
    /// How many bytes it takes on the wire.
    pub const WIRE_BYTES: usize = PEER_BYTES + 4 + 1;
}

impl Message {
    /// How many bytes it takes on the wire in a compact binary encoding, its variant included and
    /// the transport's own framing left out.
    pub fn wire_bytes(&self) -> usize {
        1 + match self {
            Self::Swim(swim) => {
                let rider = swim.rider.as_deref().map_or(0, Rider::wire_bytes);
                // Pool and presence of a rider share a byte with the packet's own tag.
                2 + 1 + swim.packet.len() + rider
            }
            Self::RosterWanted => 0,
            Self::Roster { delegates } => 2 + delegates.len() * (PEER_BYTES + 4),
            Self::Referral { delegates } => 1 + delegates.len() * PEER_BYTES,
            Self::Echo { .. } => 4,
            Self::Echoed { .. } => 4 + PLACE_BYTES,
            Self::Search(search) => search.wire_bytes(),
        }
    }
}

/// A list that is left out when it is empty.
const fn list(count: usize, each: usize) -> usize {
    if count == 0 { 0 } else { 1 + count * each }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_queues_hold_most_is_small() {
        assert!(size_of::<Swim>() <= 32, "{}", size_of::<Swim>());
    }

    #[test]
    fn a_rider_costs_only_what_it_carries() {
        let swim = |rider: Option<Rider>| {
            Message::Swim(Swim {
                scope: Scope::Site,
                heard: 0,
                room: Room(0),
                packet: vec![0; 14].into_boxed_slice(),
                rider: rider.map(Box::new),
            })
        };
        let bare = swim(None).wire_bytes();
        assert_eq!(bare, 18);
        let rider = Rider {
            place: Some((1, Coordinate::origin(0.0, 1.0))),
            ..Rider::default()
        };
        assert_eq!(swim(Some(rider)).wire_bytes(), bare + 1 + 2 + 44);
    }
}
