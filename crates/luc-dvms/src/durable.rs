//! What a scheduler must find again after a crash: the record of whichever protocol runs.

use serde::{Deserialize, Serialize};

use crate::{relay, star};

/// The one record of a scheduler; a later one replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Durable {
    /// Of our protocol.
    Star(star::Durable),
    /// Of the published protocol.
    Relay(relay::Durable),
}

impl From<star::Durable> for Durable {
    fn from(of: star::Durable) -> Self {
        Self::Star(of)
    }
}

impl From<relay::Durable> for Durable {
    fn from(of: relay::Durable) -> Self {
        Self::Relay(of)
    }
}
