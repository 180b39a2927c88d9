//! What is on its way between two nodes of a network in memory.

use bytes::Bytes;

use crate::fabric::frame::{HEADER_BYTES, Outcome};
use crate::fabric::{Channel, StreamError};
use crate::identity::NodeKey;

/// One direction of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId {
    /// The stream, counted over the whole network.
    pub(super) number: u64,
    /// Whether the side that accepted it sends on this direction.
    pub(super) back: bool,
}

impl StreamId {
    /// The other direction of the same stream.
    pub(super) fn opposite(self) -> Self {
        Self {
            back: !self.back,
            ..self
        }
    }
}

/// What arrives at a receiver, in order.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Frame(Bytes),
    End,
    Broken(StreamError),
}

/// A message between two nodes.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) from: NodeKey,
    pub(super) to: NodeKey,
    /// The life of the connection that carries it: with the connection it vanishes.
    pub(super) life: u64,
    pub(super) content: Content,
}

/// What a packet carries.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing: time to send again what met a cut on this way.
    Again,
    /// A request of this number.
    Request(u64, Channel, Bytes),
    /// What became of it.
    Outcome(u64, Outcome),
    /// May get lost.
    Datagram(Channel, Bytes),
    /// A stream, named by its opener's direction.
    Open(StreamId, Channel),
    /// The next of a direction.
    Item(StreamId, Item),
    /// The receiver has taken so many bytes.
    Credit(StreamId, usize),
    /// The receiver takes no more.
    Stop(StreamId),
}

impl Content {
    /// What it would take on a wire, nearly: headers as `frame` has them, bodies as they are.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Request(_, _, body)
            | Self::Datagram(_, body)
            | Self::Outcome(_, Outcome::Answer(body)) => HEADER_BYTES + body.len(),
            Self::Outcome(_, Outcome::Failed(text)) => HEADER_BYTES + text.len(),
            Self::Outcome(_, Outcome::Refused(_)) | Self::Open(..) => HEADER_BYTES,
            Self::Item(_, Item::Frame(frame)) => 4 + frame.len(),
            Self::Again | Self::Item(..) | Self::Credit(..) | Self::Stop(_) => 0,
        }
    }
}
