//! What hosts and services say to each other, and what they wait for.

use luc_core::PeerId;
use luc_dvms::command::{MigrationEnd, MigrationId};
use luc_dvms::{Host, Reason, Resources, VmId};

/// What an order, an answer or a notice takes on the wire.
pub(super) const ORDER_BYTES: u32 = 120;
/// What a summary takes.
pub(super) const SUMMARY_BYTES: u32 = 80;
/// What a report takes: this and so much for each machine.
pub(super) const REPORT_BYTES: u32 = 96;
/// See [`REPORT_BYTES`].
pub(super) const MACHINE_BYTES: u32 = 40;

/// A live migration that a service wants.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its name.
    pub migration: MigrationId,
    /// The machine.
    pub vm: VmId,
    /// Where it runs.
    pub source: PeerId,
    /// Where it should run.
    pub target: PeerId,
    /// What it needs there.
    pub claim: Resources,
    /// Why.
    pub reason: Reason,
}

/// What nodes exchange.
#[derive(Clone, Debug)]
pub enum Message {
    /// To the service: my state; a later one has a higher number.
    Report {
        /// When it was taken.
        number: u64,
        /// The state.
        host: Box<Host>,
    },
    /// To the target: keep room, then tell the source to begin.
    Expect(Box<Order>),
    /// From target to source: room is kept, begin.
    Begin(Box<Order>),
    /// From source to target: it will not come.
    Withdrawn {
        /// Which.
        migration: MigrationId,
    },
    /// To the service: an end of the move would not have it.
    Refused {
        /// Which.
        migration: MigrationId,
    },
    /// To the service: a migration is over.
    Ended {
        /// Which.
        migration: MigrationId,
        /// How.
        end: MigrationEnd,
        /// When, in the numbers of reports.
        number: u64,
    },
    /// To a host: power down if you are empty.
    Sleep,
    /// To the service: I power down.
    Slept,
    /// To a host: send a report.
    Tell,
    /// From group manager to leader: how the group fares.
    Summary,
}

/// What nodes ask to be woken for.
#[derive(Clone, Debug)]
pub enum Timer {
    /// The service's next round.
    Round,
    /// The solver is done.
    Thought {
        /// With which question.
        number: u64,
    },
    /// An overload may still be there.
    Retry,
    /// Nothing was heard of an order for long.
    Expire {
        /// Which.
        migration: MigrationId,
    },
    /// Room was kept; the machine should be on its way.
    Forget {
        /// Which.
        migration: MigrationId,
    },
    /// A group manager's next summary.
    Summary,
}
