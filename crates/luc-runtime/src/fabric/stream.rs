//! The two halves of a framed stream, the same for every fabric.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::{STREAM_FRAME_BYTES_MAX, StreamError};

/// How an implementation sends frames.
#[async_trait]
pub(super) trait SendFrames: Send + Sync {
    /// Hands one frame over; waits while the window is full.
    async fn send(&mut self, frame: Bytes) -> Result<(), StreamError>;

    /// Says that nothing more comes.
    fn finish(&mut self) -> Result<(), StreamError>;
}

/// How an implementation receives frames.
#[async_trait]
pub(super) trait RecvFrames: Send + Sync {
    /// The next frame, or `None` at the end.
    async fn recv(&mut self) -> Result<Option<Bytes>, StreamError>;
}

/// The half that sends. Dropped before [`Self::finish`], it resets the stream.
pub struct SendHalf(Box<dyn SendFrames>);

impl SendHalf {
    pub(super) fn new(frames: impl SendFrames + 'static) -> Self {
        Self(Box::new(frames))
    }

    /// Sends `frame` whole; waits while the other side does not take what was sent before. When
    /// the future is dropped before its end, the stream may be broken: every later frame is refused
    /// then.
    pub async fn send(&mut self, frame: impl Into<Bytes> + Send) -> Result<(), StreamError> {
        let frame = frame.into();
        check_length(frame.len())?;
        self.0.send(frame).await
    }

    /// Says that nothing more comes. What was sent before still arrives.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.0.finish()
    }
}

impl fmt::Debug for SendHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendHalf")
    }
}

/// The half that receives. Dropped before the end, it stops the other side.
pub struct RecvHalf(Box<dyn RecvFrames>);

impl RecvHalf {
    pub(super) fn new(frames: impl RecvFrames + 'static) -> Self {
        Self(Box::new(frames))
    }

    /// The next frame as it was sent, or `None` when the other side has finished.
    ///
    /// Safe to cancel: what had arrived is there at the next call.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, StreamError> {
        self.0.recv().await
    }
}

impl fmt::Debug for RecvHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecvHalf")
    }
}

/// Refuses a frame that is longer than a stream allows.
pub(super) fn check_length(bytes: usize) -> Result<(), StreamError> {
    let bytes_max = STREAM_FRAME_BYTES_MAX;
    if bytes > bytes_max {
        return Err(StreamError::TooLarge { bytes, bytes_max });
    }
    Ok(())
}
