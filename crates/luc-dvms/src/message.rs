//! What schedulers say to each other: the message of whichever protocol runs.

use serde::{Deserialize, Serialize};

use crate::star;

/// A message between two schedulers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Of our protocol.
    Star(star::Message),
}
