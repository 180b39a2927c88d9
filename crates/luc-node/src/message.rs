//! What brains exchange: the messages of their parts.

use luc_dvms::star;
use serde::{Deserialize, Serialize};

/// A message from one brain to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// For the overlay.
    Overlay(luc_overlay::Message),
    /// For the scheduler; boxed, because it is rare and large.
    Dvms(Box<luc_dvms::Message>),
}

impl Message {
    /// How many bytes it takes on the wire in a compact binary encoding, its variant included and
    /// the transport's own framing left out.
    pub fn wire_bytes(&self) -> usize {
        1 + match self {
            Self::Overlay(message) => message.wire_bytes(),
            Self::Dvms(message) => scheduler_bytes(message),
        }
    }
}

/// What a peer, a ballot and a machine take: 6 + 8, 8 + 14 and 16 bytes.
const BALLOT_BYTES: usize = 22;
/// A machine in a host's report: id, two demands, memory, disk, dirty rate, cool-down.
const VM_BYTES: usize = 16 + 2 + 2 + 4 + 4 + 2 + 4;
/// The rest of a host's report: name, capacity, incoming, counters and flags.
const HOST_BYTES: usize = 14 + 20 + 20 + 8;
/// A migration as ordered: name, machine, target, claim, reason.
const ORDER_BYTES: usize = BALLOT_BYTES + 2 + 16 + 14 + 20 + 9;

/// Scheduling messages are few; their size is that of their parts, not a measured one.
fn scheduler_bytes(message: &luc_dvms::Message) -> usize {
    let luc_dvms::Message::Star(message) = message else {
        // The published protocol sends what ours sends, with its partition in each message.
        return 160;
    };
    match message {
        star::Message::Reserved { host, .. } => {
            BALLOT_BYTES + HOST_BYTES + host.vms.len() * VM_BYTES
        }
        star::Message::Start { .. } | star::Message::Prepare { .. } => ORDER_BYTES,
        star::Message::Renewed { steps, .. } => BALLOT_BYTES + 4 + steps.len() * 4,
        star::Message::Yielded { members, .. } => 2 * BALLOT_BYTES + members.len() * 14,
        _ => 2 * BALLOT_BYTES + 24,
    }
}
