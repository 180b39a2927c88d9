//! What schedulers say to each other: the message of whichever protocol runs.

use serde::{Deserialize, Serialize};

use crate::{relay, star};

/// A message between two schedulers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Of our protocol.
    Star(star::Message),
    /// Of the published protocol.
    Relay(relay::Message),
}

impl From<star::Message> for Message {
    fn from(of: star::Message) -> Self {
        Self::Star(of)
    }
}

impl From<relay::Message> for Message {
    fn from(of: relay::Message) -> Self {
        Self::Relay(of)
    }
}
