//! Frames on QUIC streams, and the halves of a framed stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use quinn::{ReadError, ReadExactError, RecvStream, SendStream, VarInt, WriteError};

use crate::fabric::frame::{FrameError, HEADER_BYTES, Header, Kind, PREFIX_BYTES, Pieces, prefix};
use crate::fabric::stream::{RecvFrames, SendFrames};
use crate::fabric::{Channel, StreamError, Traffic};

/// How much of an announced body is reserved before it arrives.
const RESERVED_BYTES_MAX: usize = 64 << 10;

/// The code with which streams are reset and stopped; it says nothing more.
pub(super) const GIVEN_UP: VarInt = VarInt::from_u32(1);

/// Counters of one peer, shared by all its connections and streams.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) frame_bytes_out: AtomicU64,
    pub(super) frame_bytes_in: AtomicU64,
    pub(super) wire_bytes_out: AtomicU64,
    pub(super) wire_bytes_in: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) losses: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) datagrams_dropped: AtomicU64,
}

impl Counters {
    pub(super) fn sent(&self, bytes: usize) {
        self.frame_bytes_out.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.frame_bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn dropped(&self, datagrams: usize) {
        self.datagrams_dropped.fetch_add(datagrams as u64, Relaxed);
    }

    pub(super) fn snapshot(&self) -> Traffic {
        Traffic {
            frame_bytes_out: self.frame_bytes_out.load(Relaxed),
            frame_bytes_in: self.frame_bytes_in.load(Relaxed),
            wire_bytes_out: self.wire_bytes_out.load(Relaxed),
            wire_bytes_in: self.wire_bytes_in.load(Relaxed),
            connects: self.connects.load(Relaxed),
            losses: self.losses.load(Relaxed),
            refused: self.refused.load(Relaxed),
            datagrams_dropped: self.datagrams_dropped.load(Relaxed),
        }
    }
}

/// A sending stream that is reset when it is dropped unfinished. (Quinn's own would be finished,
/// and the peer could take a part for the whole.)
pub(super) struct Sending {
    stream: SendStream,
    finished: bool,
}

impl Sending {
    pub(super) fn new(stream: SendStream) -> Self {
        let finished = false;
        Self { stream, finished }
    }

    /// Writes a header and a body, without finishing.
    pub(super) async fn write(
        &mut self,
        kind: Kind,
        channel: Channel,
        body: Bytes,
        counters: &Counters,
    ) -> Result<(), WriteError> {
        let length = body.len();
        let header = Header {
            kind,
            channel,
            length,
        };
        let header = Bytes::copy_from_slice(&header.encode());
        self.stream.write_all_chunks(&mut [header, body]).await?;
        counters.sent(HEADER_BYTES + length);
        Ok(())
    }

    /// Says that this was all. From here on the peer may act.
    pub(super) fn finish(&mut self) {
        self.finished = true;
        // An error means that the peer has stopped the stream, which it says elsewhere too.
        let _ = self.stream.finish();
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.stream.reset(GIVEN_UP);
        }
    }
}

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadFrameError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Stream(#[from] ReadError),
}

/// Reads a header. A stream that ends before is a frame error.
pub(super) async fn read_header(stream: &mut RecvStream) -> Result<Header, ReadFrameError> {
    let mut header = [0u8; HEADER_BYTES];
    match stream.read_exact(&mut header).await {
        Ok(()) => Ok(Header::decode(header)?),
        Err(ReadExactError::ReadError(error)) => Err(error.into()),
        Err(ReadExactError::FinishedEarly(found)) => Err(length(found, HEADER_BYTES)),
    }
}

/// Reads the body after `header` and checks that nothing follows.
pub(super) async fn read_body(
    stream: &mut RecvStream,
    header: Header,
    counters: &Counters,
) -> Result<Bytes, ReadFrameError> {
    let expected = header.length;
    let mut body = BytesMut::with_capacity(expected.min(RESERVED_BYTES_MAX));
    while let Some(chunk) = stream.read_chunk(RESERVED_BYTES_MAX, true).await? {
        let found = body.len() + chunk.bytes.len();
        if found > expected {
            return Err(length(found, expected));
        }
        body.extend_from_slice(&chunk.bytes);
    }
    if body.len() < expected {
        return Err(length(body.len(), expected));
    }
    counters.received(HEADER_BYTES + body.len());
    Ok(body.freeze())
}

fn length(found: usize, expected: usize) -> ReadFrameError {
    FrameError::Length { found, expected }.into()
}

/// Sends pieces.
pub(super) struct QuicSend {
    sending: Sending,
    counters: Arc<Counters>,
    /// A piece was given up in the middle: nothing that follows could be read.
    midway: bool,
}

impl QuicSend {
    pub(super) fn new(sending: Sending, counters: Arc<Counters>) -> Self {
        Self {
            sending,
            counters,
            midway: false,
        }
    }
}

#[async_trait]
impl SendFrames for QuicSend {
    async fn send(&mut self, frame: Bytes) -> Result<(), StreamError> {
        if self.sending.finished {
            return Err(StreamError::Finished);
        }
        if self.midway {
            return Err(StreamError::Reset);
        }
        let bytes = frame.len();
        let mut pieces = [Bytes::copy_from_slice(&prefix(bytes)), frame];
        self.midway = true;
        let written = self.sending.stream.write_all_chunks(&mut pieces).await;
        written.map_err(|error| write_error(&error))?;
        self.midway = false;
        self.counters.sent(PREFIX_BYTES + bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), StreamError> {
        if self.sending.finished {
            return Err(StreamError::Finished);
        }
        if self.midway {
            return Err(StreamError::Reset);
        }
        self.sending.finish();
        Ok(())
    }
}

fn write_error(error: &WriteError) -> StreamError {
    match error {
        WriteError::ConnectionLost(why) => StreamError::Lost(why.to_string()),
        WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
            StreamError::Reset
        }
    }
}

/// Receives pieces. What has arrived stays in the buffer when a wait is given up.
pub(super) struct QuicRecv {
    stream: RecvStream,
    counters: Arc<Counters>,
    pieces: Pieces,
    ended: Option<Result<(), StreamError>>,
}

impl QuicRecv {
    pub(super) fn new(stream: RecvStream, counters: Arc<Counters>) -> Self {
        Self {
            stream,
            counters,
            pieces: Pieces::default(),
            ended: None,
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StreamError> {
        loop {
            if let Some(piece) = self.pieces.pop()? {
                self.counters.received(PREFIX_BYTES + piece.len());
                return Ok(Some(piece));
            }
            match self.stream.read_chunk(RESERVED_BYTES_MAX, true).await {
                Ok(Some(chunk)) => self.pieces.push(&chunk.bytes),
                // An end in the middle of a piece was never said by an honest peer.
                Ok(None) if !self.pieces.is_empty() => return Err(StreamError::Reset),
                Ok(None) => return Ok(None),
                Err(ReadError::ConnectionLost(why)) => {
                    return Err(StreamError::Lost(why.to_string()));
                }
                Err(_) => return Err(StreamError::Reset),
            }
        }
    }
}

#[async_trait]
impl RecvFrames for QuicRecv {
    async fn recv(&mut self) -> Result<Option<Bytes>, StreamError> {
        if let Some(end) = &self.ended {
            return end.clone().map(|()| None);
        }
        let next = self.next().await;
        self.ended = match &next {
            Ok(Some(_)) => None,
            Ok(None) => Some(Ok(())),
            Err(why) => {
                let _ = self.stream.stop(GIVEN_UP);
                Some(Err(why.clone()))
            }
        };
        next
    }
}
