//! What a scheduler must find again after a crash: the record of whichever protocol runs.

use serde::{Deserialize, Serialize};

use crate::star;

/// The one record of a scheduler; a later one replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Durable {
    /// Of our protocol.
    Star(star::Durable),
}
