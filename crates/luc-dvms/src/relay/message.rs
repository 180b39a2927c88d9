//! What schedulers of the published protocol say to each other.

use luc_core::PeerId;
use serde::{Deserialize, Serialize};

use super::partition::{Partition, Token};
use crate::ballot::Ballot;
use crate::command::{MigrationEnd, MigrationId};
use crate::event::PartitionEnd;
use crate::host::{Host, Resources, VmId};
use crate::plan::Reason;

/// The one message enum.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// The token of an ISP: join, merge or pass it on.
    Isp(Token),
    /// To the initiator: is the event of this partition, in this version, still there?
    IsValid {
        /// The partition.
        partition: Ballot,
        /// The version the asker was offered.
        version: u64,
    },
    /// The initiator's answer.
    Valid {
        /// The partition.
        partition: Ballot,
        /// The version asked about.
        version: u64,
        /// Whether it is.
        valid: bool,
    },
    /// To the members: the partition is now like this.
    Announce {
        /// The new version.
        partition: Partition,
        /// Answer with a [`Message::Report`].
        report: bool,
    },
    /// To the leader: what a member carries.
    Report {
        /// The partition.
        partition: Ballot,
        /// The version announced.
        version: u64,
        /// The member's host; absent when it is no member (any more).
        host: Option<Box<Host>>,
    },
    /// To the members: the leader is at work.
    Snooze {
        /// The partition.
        partition: Ballot,
        /// Its version.
        version: u64,
    },
    /// To the members: you are free.
    Dissolve {
        /// The partition.
        partition: Ballot,
        /// The highest version meant.
        version: u64,
        /// Why.
        end: PartitionEnd,
    },
    /// To the leader of a Blocked partition whose token met another one: shall we merge?
    MayMerge {
        /// The partition of the leader asked.
        taken: Ballot,
        /// Its version as its token says.
        version: u64,
        /// The partition that would take it in.
        taker: Ballot,
    },
    /// The answer.
    MergeAnswer {
        /// The partition of the leader that was asked.
        taken: Ballot,
        /// Its answer.
        answer: MergeAnswer,
    },
    /// Leader to target: make room and let the source begin.
    Prepare(Order),
    /// Target to source: there is room; begin.
    Start(Order),
    /// Source to target: it will not come, or it has ended like this.
    Over {
        /// Which.
        migration: MigrationId,
        /// How.
        end: MigrationEnd,
    },
    /// To the source: what about this one?
    Watch {
        /// Which.
        migration: MigrationId,
    },
    /// The source's answer, and its word when it begins: under way.
    Running {
        /// Which.
        migration: MigrationId,
    },
    /// To the leader: ended, or never begun.
    Finished {
        /// Which.
        migration: MigrationId,
        /// How.
        end: MigrationEnd,
    },
}

/// One step of a plan as an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Order {
    /// The partition whose plan it is.
    pub partition: Ballot,
    /// Its name.
    pub migration: MigrationId,
    /// The leader, who wants to know the end.
    pub leader: PeerId,
    /// The machine.
    pub vm: VmId,
    /// Where it runs.
    pub source: PeerId,
    /// Where it will run.
    pub target: PeerId,
    /// What it needs there.
    pub claim: Resources,
    /// Why it moves.
    pub reason: Reason,
}

/// What a leader says to a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MergeAnswer {
    /// Yes; it is locked for everybody else now.
    Granted,
    /// Not now: it has just agreed to another merge, or asks for one itself.
    Locked,
    /// The token is outdated: that partition is not Blocked any more, or gone.
    Outdated,
}
