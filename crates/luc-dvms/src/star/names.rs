//! Names of states and messages: what coverage of the protocol is counted by, and shown with.

use super::Message;
use super::partition::Phase;
use super::protocol::{Role, Star};

/// The names of all states that [`Star::state_name`] gives.
pub const STATES: [&str; 5] = ["free", "reserved", "searching", "reserving", "executing"];

/// The names of all messages that [`Message::name`] gives.
pub const MESSAGES: [&str; 14] = [
    "reserve",
    "reserved",
    "refused",
    "renew",
    "renewed",
    "parted",
    "release",
    "start",
    "prepare",
    "prepared",
    "declined",
    "progressed",
    "absorb",
    "yielded",
];

impl Star {
    /// The state it is in, as one of [`STATES`].
    pub fn state_name(&self) -> &'static str {
        match &self.role {
            Role::Free => "free",
            Role::Reserved(_) => "reserved",
            Role::Leading(partition) => match partition.phase {
                Phase::Searching => "searching",
                Phase::Reserving => "reserving",
                Phase::Executing(_) => "executing",
            },
        }
    }
}

impl Message {
    /// Its variant, as one of [`MESSAGES`].
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reserve { .. } => "reserve",
            Self::Reserved { .. } => "reserved",
            Self::Refused { .. } => "refused",
            Self::Renew { .. } => "renew",
            Self::Renewed { .. } => "renewed",
            Self::Parted { .. } => "parted",
            Self::Release { .. } => "release",
            Self::Start { .. } => "start",
            Self::Prepare { .. } => "prepare",
            Self::Prepared { .. } => "prepared",
            Self::Declined { .. } => "declined",
            Self::Progressed { .. } => "progressed",
            Self::Absorb { .. } => "absorb",
            Self::Yielded { .. } => "yielded",
        }
    }
}
