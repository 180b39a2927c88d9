//! What searches exchange, and how many bytes it takes.
//!
//! Every answer names the question it answers by a number that the asker chose; answers that were
//! not asked for are dropped. Sizes are those of a compact binary encoding: numbers at their
//! width, one byte for a variant, one for the length of a list.

use luc_core::PeerId;
use serde::{Deserialize, Serialize};

use crate::coordinate::{Coordinate, DIMENSIONS};
use crate::neighbour::{RequestId, Room, Standing};
use crate::search::point::Point;

/// How many bytes a peer's name takes.
pub const PEER_BYTES: usize = 6 + 8;

/// How many bytes a coordinate takes.
pub const PLACE_BYTES: usize = 4 * (DIMENSIONS + 3);

/// A node as a view knows it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Who.
    pub peer: PeerId,
    /// Where.
    pub place: Coordinate,
    /// Its standing as last heard.
    pub standing: Standing,
    /// Its room as last heard.
    pub room: Room,
    /// Seconds since somebody had a sign of life from the node itself.
    pub age: u16,
    /// The round trip between the sender's site and the node's in microseconds, as a node of the
    /// sender's site has measured it; 0 if none has.
    pub measured_micros: u32,
}

impl Entry {
    /// How many bytes it takes on the wire.
    pub const WIRE_BYTES: usize = PEER_BYTES + PLACE_BYTES + 1 + 1 + 2 + 4;

    /// Whether a node can be where this says. What a peer sends may be anything.
    pub fn is_believable(&self) -> bool {
        is_believable(&self.place)
    }
}

/// Whether a coordinate is one: finite, and no part a minute of round trip away.
pub(super) fn is_believable(place: &Coordinate) -> bool {
    const PART_MAX: f32 = 60.0;
    let bounded = |part: &f32| part.is_finite() && part.abs() <= PART_MAX;
    let height = (0.0..=PART_MAX).contains(&place.height);
    height && place.vector.iter().chain([&place.adjustment]).all(bounded)
}

/// A few view entries that ride on a membership message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hearsay(pub Vec<Entry>);

impl Hearsay {
    /// How many bytes it takes on the wire.
    pub const fn wire_bytes(&self) -> usize {
        1 + self.0.len() * Entry::WIRE_BYTES
    }
}

/// What searches exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Spiral: who do you know around this place?
    ViewWanted {
        /// The asker's request; only the asker reads it.
        request: RequestId,
        /// Which question of the request.
        ask: u32,
        /// The root of the spiral: the asker's own place.
        around: Coordinate,
        /// The room that the asker has.
        room: Room,
        /// How far out the asker has been, in seconds: entries beyond are wanted too.
        beyond: f32,
        /// Nodes the asker knows close to the one asked.
        hearsay: Hearsay,
    },
    /// Spiral: the answer to [`Message::ViewWanted`]: the own site's nodes (to askers of other
    /// sites), and nodes of other sites around the root.
    View {
        /// The asker's request.
        request: RequestId,
        /// Which question.
        ask: u32,
        /// The nodes.
        entries: Vec<Entry>,
    },
    /// Ring: who precedes and who follows you? Also a sign of life.
    SuccessorsWanted {
        /// The request it is for; none for the ring's own upkeep.
        request: Option<RequestId>,
        /// Which question.
        ask: u32,
    },
    /// Ring: the answer to [`Message::SuccessorsWanted`].
    Successors {
        /// The asker's request, if any.
        request: Option<RequestId>,
        /// Which question.
        ask: u32,
        /// Who precedes the answerer.
        predecessor: Option<PeerId>,
        /// Who follows it, in ring order.
        successors: Vec<PeerId>,
    },
    /// Ring: I think that I precede you.
    Notify,
    /// Ring: I leave; these are my neighbours, whom you may link to each other.
    Unlink {
        /// Who preceded the leaver.
        predecessor: Option<PeerId>,
        /// Who followed it, in ring order.
        successors: Vec<PeerId>,
    },
    /// Ring: who, of those you know, is the last before this point?
    ClosestWanted {
        /// Which question.
        ask: u32,
        /// The point.
        point: Point,
    },
    /// Ring: the answer to [`Message::ClosestWanted`].
    Closest {
        /// Which question.
        ask: u32,
        /// The closest before the point that the answerer knows (itself left out).
        before: Option<PeerId>,
        /// Those who follow the answerer, in ring order.
        successors: Vec<PeerId>,
    },
    /// Random: name some nodes you know, drawn without preference.
    SampleWanted {
        /// The asker's request.
        request: RequestId,
        /// Which question.
        ask: u32,
    },
    /// Random: the answer to [`Message::SampleWanted`].
    Sample {
        /// The asker's request.
        request: RequestId,
        /// Which question.
        ask: u32,
        /// The nodes.
        peers: Vec<PeerId>,
    },
}

impl Message {
    /// How many bytes it takes on the wire, its variant included.
    pub fn wire_bytes(&self) -> usize {
        const REQUEST: usize = 8;
        const ASK: usize = 4;
        let list = |peers: &[PeerId]| 1 + peers.len() * PEER_BYTES;
        let maybe = |peer: &Option<PeerId>| 1 + peer.map_or(0, |_| PEER_BYTES);
        1 + match self {
            Self::ViewWanted { hearsay, .. } => {
                REQUEST + ASK + PLACE_BYTES + 1 + 4 + hearsay.wire_bytes()
            }
            Self::View { entries, .. } => REQUEST + ASK + 1 + entries.len() * Entry::WIRE_BYTES,
            Self::SuccessorsWanted { request, .. } => 1 + request.map_or(0, |_| REQUEST) + ASK,
            Self::Successors {
                request,
                predecessor,
                successors,
                ..
            } => 1 + request.map_or(0, |_| REQUEST) + ASK + maybe(predecessor) + list(successors),
            Self::Notify => 0,
            Self::Unlink {
                predecessor,
                successors,
            } => maybe(predecessor) + list(successors),
            Self::ClosestWanted { .. } => ASK + Point::WIRE_BYTES,
            Self::Closest {
                before, successors, ..
            } => ASK + maybe(before) + list(successors),
            Self::SampleWanted { .. } => REQUEST + ASK,
            Self::Sample { peers, .. } => REQUEST + ASK + list(peers),
        }
    }
}

#[cfg(test)]
mod tests {
    use luc_core::SitePrefix;

    use super::*;

    #[test]
    fn a_message_grows_by_its_entries() {
        let peer = PeerId::new(SitePrefix::from_bytes([1; 6]), 1);
        let sample = |count| Message::Sample {
            request: RequestId(1),
            ask: 1,
            peers: vec![peer; count],
        };
        assert_eq!(sample(0).wire_bytes(), 14);
        assert_eq!(sample(3).wire_bytes(), 14 + 3 * PEER_BYTES);
        let alone = Message::SuccessorsWanted {
            request: None,
            ask: 1,
        };
        assert_eq!(alone.wire_bytes(), 6);
    }

    #[test]
    fn numbers_that_are_no_place_are_not_believed() {
        let sound = Coordinate::origin(0.001, 1.0);
        assert!(is_believable(&sound));
        for (vector, height) in [
            (f32::NAN, 0.0),
            (f32::INFINITY, 0.0),
            (61.0, 0.0),
            (0.0, -0.1),
            (0.0, f32::NAN),
        ] {
            let mut place = sound;
            place.vector[3] = vector;
            place.height = height;
            assert!(!is_believable(&place), "{vector} {height}");
        }
    }
}
