//! Messages of a feed in frames: a tag, then JSON; from the home compressed as one stream.
//!
//! The deflate stream (RFC 1951) is flushed after each message and keeps its window, so that a
//! record which resembles an earlier one costs little. A message may take several frames; the first
//! byte of each says whether more follow.

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use luc_state::Revision;
use luc_state::feed::{Batch, BatchError, Filter, Hello, RECORD_BYTES_MAX};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::fabric::{STREAM_FRAME_BYTES_MAX, StreamError};

/// The most bytes of a message before compression: the largest record that a follower takes, and
/// what a batch has besides. A site in the wrong hands can have another read so much and no more.
const MESSAGE_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;

/// The most bytes that are read of why a home will not feed.
const REASON_BYTES_MAX: usize = 4 << 10;

/// How much room a compressed or expanded piece gets at once.
const PIECE: usize = 32 << 10;

const LAST: u8 = 0;
const MORE: u8 = 1;

/// What a follower says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// First of all.
    Hello(Hello),
    /// It wants other things from now on.
    Filter(Filter),
    /// It has this much in writing.
    Durable(Revision),
}

/// What a home says.
#[derive(Debug)]
pub(super) enum Told {
    Batch(Batch),
    /// It will not feed.
    Refused(String),
}

/// Why a feed's stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the stream broke")]
    Stream(#[from] StreamError),
    #[error("the other side ended it")]
    Ended,
    #[error("nothing was heard for too long")]
    Silence,
    #[error("the other side takes nothing")]
    Stalled,
    #[error("a message cannot be read: {0}")]
    Malformed(String),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("a message of more than {MESSAGE_BYTES_MAX} bytes")]
    TooLarge,
}

impl WireError {
    /// Whether the other side has said something that no release says.
    pub(super) const fn is_wrong(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::TooLarge | Self::Batch(_))
    }
}

impl Said {
    pub(super) fn frames(&self) -> Result<Vec<Bytes>, WireError> {
        let text = serde_json::to_vec(self).map_err(BatchError::from)?;
        Ok(frames(&text))
    }

    /// What the message says; `None` if that is something of a newer release.
    pub(super) fn read(message: &[u8]) -> Result<Option<Self>, WireError> {
        // Not by way of a tree of values, which may be many times as large as the message.
        let _: IgnoredAny = serde_json::from_slice(message).map_err(BatchError::from)?;
        Ok(serde_json::from_slice(message).ok())
    }
}

fn frames(message: &[u8]) -> Vec<Bytes> {
    let pieces: Vec<_> = message.chunks(STREAM_FRAME_BYTES_MAX - 1).collect();
    let last = pieces.len().saturating_sub(1);
    let frame = |(number, piece): (usize, &&[u8])| {
        let mut frame = BytesMut::with_capacity(piece.len() + 1);
        frame.put_u8(if number == last { LAST } else { MORE });
        frame.put_slice(piece);
        frame.freeze()
    };
    pieces.iter().enumerate().map(frame).collect()
}

/// Puts frames together to messages.
#[derive(Default)]
pub(super) struct Joiner(Vec<u8>);

impl Joiner {
    /// The message that `frame` completes, if it does.
    pub(super) fn push(&mut self, frame: &[u8]) -> Result<Option<Vec<u8>>, WireError> {
        let Some((flag, piece)) = frame.split_first() else {
            return Err(WireError::Malformed("an empty frame".to_owned()));
        };
        if self.0.len() + piece.len() > MESSAGE_BYTES_MAX {
            return Err(WireError::TooLarge);
        }
        if !matches!(*flag, LAST | MORE) {
            return Err(WireError::Malformed(format!("a frame marked {flag}")));
        }
        self.0.extend_from_slice(piece);
        Ok((*flag == LAST).then(|| std::mem::take(&mut self.0)))
    }
}

/// Writes what a home says.
pub(super) struct Packer(Compress);

impl Packer {
    pub(super) fn new() -> Self {
        Self(Compress::new(Compression::default(), false))
    }

    pub(super) fn pack(&mut self, told: &Told) -> Result<Vec<Bytes>, WireError> {
        let (tag, text) = match told {
            Told::Batch(batch) => (b'b', batch.encode()?),
            Told::Refused(reason) => (b'r', reason.clone().into_bytes()),
        };
        let mut packed = Vec::with_capacity(text.len() / 4 + 64);
        self.feed(&[tag], FlushCompress::None, &mut packed)?;
        self.feed(&text, FlushCompress::Sync, &mut packed)?;
        Ok(frames(&packed))
    }

    fn feed(
        &mut self,
        mut text: &[u8],
        flush: FlushCompress,
        packed: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        loop {
            packed.reserve(PIECE);
            let (before, room) = (self.0.total_in(), packed.capacity() - packed.len());
            let written = self.0.total_out();
            let done = self.0.compress_vec(text, packed, flush);
            done.map_err(|error| WireError::Malformed(error.to_string()))?;
            let taken = usize::try_from(self.0.total_in() - before).unwrap_or(usize::MAX);
            text = &text[taken.min(text.len())..];
            let filled = self.0.total_out() - written == room as u64;
            if text.is_empty() && !filled {
                return Ok(());
            }
        }
    }
}

/// Reads what a home says.
pub(super) struct Unpacker(Decompress);

impl Unpacker {
    pub(super) fn new() -> Self {
        Self(Decompress::new(false))
    }

    pub(super) fn unpack(&mut self, mut packed: &[u8]) -> Result<Told, WireError> {
        let mut text = Vec::new();
        loop {
            text.reserve(PIECE);
            let (before, room) = (self.0.total_in(), text.capacity() - text.len());
            let had = text.len();
            let done = self
                .0
                .decompress_vec(packed, &mut text, FlushDecompress::Sync);
            done.map_err(|error| WireError::Malformed(error.to_string()))?;
            let taken = usize::try_from(self.0.total_in() - before).unwrap_or(usize::MAX);
            packed = &packed[taken.min(packed.len())..];
            if text.len() > MESSAGE_BYTES_MAX {
                return Err(WireError::TooLarge);
            }
            let grown = text.len() - had;
            if packed.is_empty() && grown < room {
                break;
            }
            if grown == 0 && taken == 0 {
                return Err(WireError::Malformed("the compression ended".to_owned()));
            }
        }
        match text.split_first() {
            Some((b'b', text)) => Ok(Told::Batch(Batch::decode(text)?)),
            Some((b'r', reason)) => {
                let read = &reason[..reason.len().min(REASON_BYTES_MAX)];
                Ok(Told::Refused(String::from_utf8_lossy(read).into()))
            }
            _ => Err(WireError::Malformed("an unknown tag".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use luc_core::SitePrefix;
    use luc_state::feed::{BATCH_VERSION, Entry, Token};
    use proptest::prelude::*;

    use super::*;

    fn batch(ids: &[String]) -> Batch {
        let gone = |id: &String| Entry::Gone {
            kind: "volume".to_owned(),
            id: id.clone(),
        };
        Batch {
            version: BATCH_VERSION,
            home: SitePrefix::from_bytes([7; 6]),
            from: Token::default(),
            to: Token::default(),
            reset: false,
            part: 0,
            more: false,
            entries: ids.iter().map(gone).collect(),
        }
    }

    fn joined(frames: &[Bytes]) -> Vec<u8> {
        let mut joiner = Joiner::default();
        let (last, first) = frames.split_last().expect("at least one frame");
        for frame in first {
            assert!(joiner.push(frame).expect("its form is right").is_none());
        }
        let message = joiner.push(last).expect("its form is right");
        message.expect("it is complete")
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_message_by_message(
            messages in prop::collection::vec(prop::collection::vec("[a-z]{0,300}", 0..200), 1..6),
        ) {
            let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
            for ids in messages {
                let frames = packer.pack(&Told::Batch(batch(&ids))).expect("it is JSON");
                let told = unpacker.unpack(&joined(&frames)).expect("it was packed");
                let Told::Batch(read) = told else { panic!("a batch") };
                let sent = batch(&ids).encode().expect("JSON");
                prop_assert_eq!(read.encode().expect("JSON"), sent);
            }
        }

        #[test]
        fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(Unpacker::new().unpack(&bytes).is_err());
        }
    }

    #[test]
    fn a_message_that_is_longer_than_a_frame_takes_several() {
        let mut random = luc_core::entropy::SplitMix64::new(3);
        let mut noise = vec![0; 3 * STREAM_FRAME_BYTES_MAX];
        luc_core::Entropy::fill(&mut random, &mut noise);
        let frames = frames(&noise);
        assert_eq!(frames.len(), 4, "each has a byte of its own");
        assert_eq!(joined(&frames), noise);
    }

    #[test]
    fn what_expands_without_end_is_refused() {
        let mut small = Vec::new();
        let mut packer = Packer::new();
        let zeros = vec![0u8; MESSAGE_BYTES_MAX + 1];
        packer
            .feed(&zeros, FlushCompress::Sync, &mut small)
            .expect("it can be packed");
        assert!(small.len() < 1 << 20);
        let refused = Unpacker::new().unpack(&small);
        assert!(matches!(refused, Err(WireError::TooLarge)));
    }

    #[test]
    fn what_a_newer_follower_says_is_passed_over() {
        let read = Said::read(br#"{"sing":{"song":1}}"#).expect("it is JSON");
        assert_eq!(read, None);
        assert!(Said::read(b"{").is_err());
    }
}
