//! How a request, a stream or an answer fails, told apart by what the caller may conclude.

use crate::fabric::Channel;
use crate::identity::NodeKey;

/// Why a request has no answer.
///
/// The caller of an API answers 503 for `NotSent` and `Refused` (nothing happened), 504 for
/// `Unknown` (an operation id resolves it later).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The peer certainly has not seen it and never will.
    #[error("nothing was sent to node {}", to.short())]
    NotSent {
        /// Who was asked.
        to: NodeKey,
        /// Why not.
        #[source]
        why: NotSent,
    },
    /// It was sent, and whether the peer has acted is not known.
    #[error("no answer from node {}", to.short())]
    Unknown {
        /// Who was asked.
        to: NodeKey,
        /// What happened instead.
        #[source]
        why: Lost,
    },
    /// The peer answered that it will not; nothing was changed there.
    #[error("node {} refused", to.short())]
    Refused {
        /// Who was asked.
        to: NodeKey,
        /// Its reason.
        #[source]
        why: Refusal,
    },
}

impl RequestError {
    /// Whether the request has certainly changed nothing.
    pub fn is_certainly_undone(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }
}

/// Why something was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// A node does not talk to itself over the fabric.
    #[error("it is this node itself")]
    Itself,
    /// Nobody said where the peer can be reached.
    #[error("no address is known")]
    NoAddress,
    /// This node's own admission refuses the peer, or grants it less than this channel.
    #[error("this node does not admit it to {0}")]
    NotAdmitted(Channel),
    /// The peer refused the connection.
    #[error("it refused the connection: {0}")]
    Refused(String),
    /// No connection came about, or the last attempt failed a moment ago.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Too much is waiting for the peer already.
    #[error("too much is waiting for it")]
    Busy,
    /// More bytes than the kind of message allows.
    #[error("{bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// What was to be sent.
        bytes: usize,
        /// What may be sent.
        bytes_max: usize,
    },
    /// The deadline passed before it could be handed over.
    #[error("the deadline passed before it was sent")]
    Deadline,
    /// This node's fabric has been shut down.
    #[error("the fabric is shut down")]
    ShutDown,
}

/// What came instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Nothing until the deadline.
    #[error("the deadline passed")]
    Deadline,
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Connection(String),
    /// The peer acted, but gave no answer that can be used.
    #[error("the peer failed: {0}")]
    Failed(String),
}

/// What a peer says when it will not act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Who asks is not a member, or a guest outside the join channel.
    #[error("not admitted")]
    NotAdmitted,
    /// The channel means nothing there.
    #[error("unknown channel")]
    UnknownChannel,
    /// The message cannot be read.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Too busy; later it may work.
    #[error("busy")]
    Busy,
    /// Any other reason, in the handler's words.
    #[error("{0}")]
    Other(String),
}

/// Why a stream ended before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The other side dropped its half, or refused the stream.
    #[error("the other side gave the stream up")]
    Reset,
    /// A frame of more bytes than a stream allows.
    #[error("a frame of {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// The length of the frame.
        bytes: usize,
        /// What a frame may have.
        bytes_max: usize,
    },
    /// This half has been finished already.
    #[error("the stream is finished")]
    Finished,
}
