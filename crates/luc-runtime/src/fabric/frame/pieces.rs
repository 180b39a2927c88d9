//! The pieces of a stream after its first frame: a length of four bytes, then that many bytes.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::fabric::StreamError;
use crate::fabric::stream::check_length;

/// The length of a piece's length.
pub const PREFIX_BYTES: usize = 4;

/// The length that stands before a piece of so many bytes.
pub fn prefix(bytes: usize) -> [u8; PREFIX_BYTES] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// Puts pieces together again from bytes that arrive in any portions.
#[derive(Debug, Default)]
pub struct Pieces {
    buffer: BytesMut,
}

impl Pieces {
    /// Takes what has arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece, if it is all there. After an error nothing that follows can be read.
    pub fn pop(&mut self) -> Result<Option<Bytes>, StreamError> {
        let Some(prefix) = self.buffer.first_chunk() else {
            return Ok(None);
        };
        let bytes = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        check_length(bytes)?;
        let whole = PREFIX_BYTES + bytes;
        if self.buffer.len() < whole {
            return Ok(None);
        }
        let mut piece = self.buffer.split_to(whole).freeze();
        piece.advance(PREFIX_BYTES);
        Ok(Some(piece))
    }

    /// Whether nothing is left over, so that the stream may end here.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}
