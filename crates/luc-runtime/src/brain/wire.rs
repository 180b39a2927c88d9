//! Messages of brains as bytes: one byte of version, then postcard.
//!
//! A message of another version, or one that does not decode, is dropped and counted: every
//! protocol in a brain lives with lost messages.

use bytes::Bytes;
use luc_node::Message;

/// The version that this release speaks.
pub const VERSION: u8 = 1;

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Nothing there.
    #[error("an empty datagram")]
    Empty,
    /// Of another release.
    #[error("version {found} of brain messages; this node speaks {VERSION}")]
    Version {
        /// What was found.
        found: u8,
    },
    /// Not what the version says.
    #[error("not a message of a brain")]
    Form(#[source] postcard::Error),
}

/// The bytes of `message`.
pub fn encode(message: &Message) -> Result<Bytes, WireError> {
    let bytes = postcard::to_extend(message, vec![VERSION]).map_err(WireError::Form)?;
    Ok(Bytes::from(bytes))
}

/// The message that `bytes` are.
pub fn decode(bytes: &[u8]) -> Result<Message, WireError> {
    let (version, rest) = bytes.split_first().ok_or(WireError::Empty)?;
    if *version != VERSION {
        return Err(WireError::Version { found: *version });
    }
    postcard::from_bytes(rest).map_err(WireError::Form)
}
