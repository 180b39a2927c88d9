//! Frames as bytes: the form of everything that peers send each other.
//!
//! ```text
//!  0        1        2        3        4        5        6        7        8
//!  ├────────┼────────┼────────┴────────┼────────┴────────┴────────┴────────┤
//!  │version │ kind   │ channel         │ length of the body                │ body …
//! ```
//!
//! Numbers are big-endian. A version or kind that is not known, or a length above the kind's limit,
//! refuses the frame before a byte of the body is taken. On a stream, the frame that opens it is
//! followed by pieces: a length of four bytes and that many bytes. Not here: who may send what.

mod pieces;

use bytes::{BufMut as _, Bytes, BytesMut};

pub use pieces::{PREFIX_BYTES, Pieces, prefix};

use super::{BODY_BYTES_MAX, Channel, DATAGRAM_BYTES_MAX, Refusal};

/// The version of the frames' form. The protocol of the handshake (ALPN) names the same.
pub const VERSION: u8 = 1;

/// The length of a frame's header.
pub const HEADER_BYTES: usize = 8;

/// The most bytes of a text that says why; longer ones are cut.
pub const TEXT_BYTES_MAX: usize = 1024;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// First on a connection, from the side that dialled: a [`Hello`].
    Hello = 1,
    /// The answer to it: the connection counts.
    Welcome = 2,
    /// A request; the only thing on its stream.
    Request = 3,
    /// The answer to it.
    Answer = 4,
    /// The handler will not act: a code and a text.
    Refusal = 5,
    /// The handler acted and has no answer: a text.
    Failure = 6,
    /// Opens a stream of pieces.
    Stream = 7,
    /// A datagram.
    Datagram = 8,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Hello,
        Self::Welcome,
        Self::Request,
        Self::Answer,
        Self::Refusal,
        Self::Failure,
        Self::Stream,
        Self::Datagram,
    ];

    /// The most bytes of a body of this kind.
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::Hello | Self::Welcome => Hello::BYTES,
            Self::Request | Self::Answer => BODY_BYTES_MAX,
            Self::Refusal | Self::Failure => TEXT_BYTES_MAX + 1,
            Self::Stream => 0,
            Self::Datagram => DATAGRAM_BYTES_MAX,
        }
    }
}

/// The first bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub kind: Kind,
    /// What it is about; zero where the kind says enough.
    pub channel: Channel,
    /// The length of the body, within the kind's limit.
    pub length: usize,
}

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Of another release.
    #[error("frame of version {0}, expected {VERSION}")]
    Version(u8),
    /// A kind that this release does not know.
    #[error("frame of unknown kind {0}")]
    Kind(u8),
    /// A known kind where another one is due.
    #[error("a frame of kind {found:?} where {expected} is expected")]
    Unexpected {
        /// What came.
        found: Kind,
        /// What is due.
        expected: &'static str,
    },
    /// More bytes than the kind allows.
    #[error("{kind:?} of {length} bytes, at most {bytes_max} are allowed")]
    TooLong {
        /// The kind.
        kind: Kind,
        /// The length that was announced.
        length: usize,
        /// What the kind allows.
        bytes_max: usize,
    },
    /// Fewer or more bytes than announced.
    #[error("{found} bytes where {expected} are announced")]
    Length {
        /// How many came.
        found: usize,
        /// How many were announced.
        expected: usize,
    },
    /// A body that does not follow its kind's form.
    #[error("{0:?} with a body that cannot be read")]
    Body(Kind),
}

impl Header {
    /// The header in front of `length` bytes.
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        let channel = self.channel.0.to_be_bytes();
        let length = u32::try_from(self.length).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = [VERSION, self.kind as u8, 0, 0, 0, 0, 0, 0];
        bytes[2..4].copy_from_slice(&channel);
        bytes[4..].copy_from_slice(&length);
        bytes
    }

    /// Reads a header and checks it against its kind's limit.
    pub fn decode(bytes: [u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let [version, kind, high, low, length @ ..] = bytes;
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let known = Kind::ALL.into_iter().find(|known| *known as u8 == kind);
        let kind = known.ok_or(FrameError::Kind(kind))?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let bytes_max = kind.bytes_max();
        if length > bytes_max {
            return Err(FrameError::TooLong {
                kind,
                length,
                bytes_max,
            });
        }
        let channel = Channel(u16::from_be_bytes([high, low]));
        Ok(Self {
            kind,
            channel,
            length,
        })
    }
}

/// A whole frame in one piece.
pub fn encode(kind: Kind, channel: Channel, body: &[u8]) -> Bytes {
    let length = body.len();
    let header = Header {
        kind,
        channel,
        length,
    };
    let mut frame = BytesMut::with_capacity(HEADER_BYTES + length);
    frame.put_slice(&header.encode());
    frame.put_slice(body);
    frame.freeze()
}

/// Reads a frame that is all there, neither shorter nor longer.
pub fn decode(frame: &Bytes) -> Result<(Header, Bytes), FrameError> {
    let short = FrameError::Length {
        found: frame.len(),
        expected: HEADER_BYTES,
    };
    let header = frame.first_chunk().copied().ok_or(short)?;
    let header = Header::decode(header)?;
    let body = frame.slice(HEADER_BYTES..);
    if body.len() != header.length {
        return Err(FrameError::Length {
            found: body.len(),
            expected: header.length,
        });
    }
    Ok((header, body))
}

/// How two ends of a connection introduce themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Drawn when the node started: tells a restarted peer from one that dialled twice.
    pub incarnation: u64,
    /// Whether the dialling side was told that a connection exists, and has none.
    pub has_none: bool,
}

impl Hello {
    /// The length of its body.
    pub const BYTES: usize = 9;

    /// The body.
    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut body = [u8::from(self.has_none); Self::BYTES];
        body[..8].copy_from_slice(&self.incarnation.to_be_bytes());
        body
    }

    /// Reads the body of a [`Kind::Hello`] or [`Kind::Welcome`].
    pub fn decode(kind: Kind, body: &[u8]) -> Result<Self, FrameError> {
        let (incarnation, rest) = body.split_first_chunk().ok_or(FrameError::Body(kind))?;
        let has_none = match rest {
            [0] => false,
            [1] => true,
            _ => return Err(FrameError::Body(kind)),
        };
        Ok(Self {
            incarnation: u64::from_be_bytes(*incarnation),
            has_none,
        })
    }
}

/// What became of a request at the side that served it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler's answer.
    Answer(Bytes),
    /// It will not act and has changed nothing.
    Refused(Refusal),
    /// It has acted, perhaps, and there is no answer.
    Failed(String),
}

impl Outcome {
    /// The kind and body of its frame.
    pub fn encode(self) -> (Kind, Bytes) {
        match self {
            Self::Answer(body) => (Kind::Answer, body),
            Self::Failed(text) => (Kind::Failure, Bytes::from(cut(text))),
            Self::Refused(refusal) => {
                let (code, text) = match refusal {
                    Refusal::NotAdmitted => (1, String::new()),
                    Refusal::UnknownChannel => (2, String::new()),
                    Refusal::Malformed(text) => (3, text),
                    Refusal::Busy => (4, String::new()),
                    Refusal::Other(text) => (0, text),
                };
                let mut body = vec![code];
                body.extend_from_slice(cut(text).as_bytes());
                (Kind::Refusal, Bytes::from(body))
            }
        }
    }

    /// Reads the frame that answers a request. A refusal of an unknown code keeps its text.
    pub fn decode(header: Header, body: Bytes) -> Result<Self, FrameError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match header.kind {
            Kind::Answer => Ok(Self::Answer(body)),
            Kind::Failure => Ok(Self::Failed(text(&body))),
            Kind::Refusal => {
                let (code, rest) = body.split_first().ok_or(FrameError::Body(header.kind))?;
                Ok(Self::Refused(match code {
                    1 => Refusal::NotAdmitted,
                    2 => Refusal::UnknownChannel,
                    3 => Refusal::Malformed(text(rest)),
                    4 => Refusal::Busy,
                    _ => Refusal::Other(text(rest)),
                }))
            }
            found => Err(FrameError::Unexpected {
                found,
                expected: "the outcome of a request",
            }),
        }
    }
}

/// Cuts a text to what a frame may carry, between two characters.
fn cut(mut text: String) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes() -> Vec<Outcome> {
        let refusals = [
            Refusal::NotAdmitted,
            Refusal::UnknownChannel,
            Refusal::Malformed("field".to_owned()),
            Refusal::Busy,
            Refusal::Other("no room".to_owned()),
        ];
        let mut outcomes: Vec<_> = refusals.into_iter().map(Outcome::Refused).collect();
        outcomes.push(Outcome::Answer(Bytes::from_static(b"yes")));
        outcomes.push(Outcome::Failed("disk".to_owned()));
        outcomes
    }

    #[test]
    fn every_outcome_arrives_as_it_was_sent() {
        for outcome in outcomes() {
            let (kind, body) = outcome.clone().encode();
            let (header, body) = decode(&encode(kind, Channel::FORWARD, &body)).unwrap();
            assert_eq!(Outcome::decode(header, body), Ok(outcome));
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "é".repeat(TEXT_BYTES_MAX);
        let (kind, body) = Outcome::Refused(Refusal::Other(text.clone())).encode();
        assert!(body.len() <= kind.bytes_max());
        let frame = encode(kind, Channel::JOIN, &body);
        let (header, body) = decode(&frame).unwrap();
        let Ok(Outcome::Refused(Refusal::Other(read))) = Outcome::decode(header, body) else {
            panic!("no refusal");
        };
        assert!(text.starts_with(&read) && read.len() > TEXT_BYTES_MAX - 2);
    }

    #[test]
    fn a_frame_of_this_version_keeps_its_bytes() {
        let frame = encode(Kind::Request, Channel::FEED, b"ab");
        assert_eq!(frame[..], [1, 3, 0, 5, 0, 0, 0, 2, b'a', b'b']);
        let hello = Hello {
            incarnation: 258,
            has_none: true,
        };
        assert_eq!(hello.encode(), [0, 0, 0, 0, 0, 0, 1, 2, 1]);
        assert_eq!(Hello::decode(Kind::Hello, &hello.encode()), Ok(hello));
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        let read = |bytes: &[u8]| decode(&Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(read(&[2, 3, 0, 5, 0, 0, 0, 0]), FrameError::Version(2));
        assert_eq!(read(&[1, 99, 0, 5, 0, 0, 0, 0]), FrameError::Kind(99));
        let short = FrameError::Length {
            found: 3,
            expected: HEADER_BYTES,
        };
        assert_eq!(read(&[1, 3, 0]), short);
        let long = FrameError::Length {
            found: 1,
            expected: 0,
        };
        assert_eq!(read(&[1, 3, 0, 5, 0, 0, 0, 0, 9]), long);
        let large = read(&[1, 8, 0, 2, 0xff, 0xff, 0xff, 0xff]);
        assert!(matches!(large, FrameError::TooLong { .. }), "{large}");
        for body in [&[][..], &[0; 8], &[0, 0, 0, 0, 0, 0, 0, 0, 2]] {
            assert!(Hello::decode(Kind::Hello, body).is_err());
        }
    }
}
