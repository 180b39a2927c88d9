//! What the schedulers of our protocol say to each other: one doc line per variant.
//!
//! Durations are counted by the receiver's own clock from the arrival of the message; the sender
//! counts from its sending, so its view is never later than the receiver's.

use std::sync::Arc;

use luc_core::PeerId;
use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;
use crate::command::{MigrationEnd, MigrationId};
use crate::event::Cause;
use crate::host::{Host, Resources, VmId};
use crate::plan::{Reason, StepId};

/// How strong an event's claim is where two partitions meet: an overload before an evacuation
/// before a wish to sleep; then the older event; then the lower id of its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// Why the partition came to be.
    pub cause: Cause,
    /// How long ago the event was seen.
    pub age: Duration,
    /// Who leads.
    pub leader: PeerId,
}

impl Claim {
    /// Whether this claim goes before the other.
    pub fn precedes(&self, other: &Self) -> bool {
        let rank = |cause| match cause {
            Cause::Overload => 0,
            Cause::Maintenance => 1,
            Cause::Underload => 2,
        };
        (rank(self.cause), other.age, self.leader) < (rank(other.cause), self.age, other.leader)
    }
}

/// Why a node will not join a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// It has accepted this ballot, which is not lower: ask again with a higher one.
    Promised(Ballot),
    /// It belongs to another partition.
    Busy {
        /// Under this ballot.
        under: Ballot,
        /// How strong that partition's claim is.
        claim: Claim,
        /// Whether it still looks for members, as far as the node knows.
        growing: bool,
    },
    /// A machine is on its way in or out.
    Migrating,
    /// It is being emptied for maintenance.
    Maintenance,
    /// It sleeps or is about to.
    Asleep,
    /// It began again and waits until what it promised before has run out; or has no sample yet.
    Unready,
}

/// One live migration as the leader orders it and its source prepares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order {
    /// Under which ballot, and which step of the plan.
    pub migration: MigrationId,
    /// The machine.
    pub vm: VmId,
    /// Where to.
    pub target: PeerId,
    /// What it needs at the target.
    pub claim: Resources,
    /// Why.
    pub reason: Reason,
}

/// How a step stands at its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Progress {
    /// The target has been asked to expect the machine.
    Preparing,
    /// The migration runs.
    Flying,
    /// It ended so.
    Ended(MigrationEnd),
    /// It never began, for this reason.
    Cancelled(Cancel),
}

/// Why a step never began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cancel {
    /// The reservation it was ordered under has run out, or is another's.
    Fenced,
    /// The machine is not here any more, or needs more than was planned for.
    Changed,
    /// The target has no room for it now.
    NoRoom,
    /// The target did not answer.
    Silent,
    /// The link carries as many migrations as it may.
    LinkBusy,
}

/// What the schedulers say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Leader to candidate: join my partition until `lease` has passed.
    Reserve {
        /// The ballot of the partition.
        ballot: Ballot,
        /// How strong its claim is.
        claim: Claim,
        /// For how long.
        lease: Duration,
        /// The reservation that its leader handed over to this one, if any.
        taken: Option<Ballot>,
    },
    /// Candidate to leader: I am yours; this is my host.
    Reserved {
        /// The ballot accepted.
        ballot: Ballot,
        /// The host as last sampled.
        host: Arc<Host>,
    },
    /// Candidate to leader: no.
    Refused {
        /// The ballot refused.
        ballot: Ballot,
        /// Why.
        refusal: Refusal,
    },
    /// Leader to member: stay for `lease` more.
    Renew {
        /// The ballot of the partition.
        ballot: Ballot,
        /// For how long from now.
        lease: Duration,
        /// Which renewal, so that the answer is counted from its own question.
        round: u32,
    },
    /// Member to leader: I stay; these steps I am the source of stand so.
    Renewed {
        /// The ballot of the partition.
        ballot: Ballot,
        /// Which renewal is answered.
        round: u32,
        /// How the steps of this member stand.
        steps: Vec<(StepId, Progress)>,
    },
    /// Member to leader: I am not yours (any more).
    Parted {
        /// The ballot that was renewed in vain.
        ballot: Ballot,
    },
    /// Leader to member: you are free.
    Release {
        /// The ballot that ends.
        ballot: Ballot,
    },
    /// Leader to source: carry out this step.
    Start {
        /// The step.
        order: Order,
    },
    /// Source to target: expect this machine.
    Prepare {
        /// The step.
        order: Order,
    },
    /// Target to source: I expect it.
    Prepared {
        /// The step.
        migration: MigrationId,
    },
    /// Target to source: I will not take it.
    Declined {
        /// The step.
        migration: MigrationId,
        /// Why.
        cancel: Cancel,
    },
    /// Source to leader and to target: the step stands so.
    Progressed {
        /// The step.
        migration: MigrationId,
        /// How it stands.
        progress: Progress,
    },
    /// Leader to the leader of a partition it met: hand it over, my claim goes before yours.
    Absorb {
        /// The ballot of the asker.
        ballot: Ballot,
        /// How strong its claim is.
        claim: Claim,
        /// The partition asked for.
        taken: Ballot,
    },
    /// The downgraded leader to its absorber: these are yours now, I am among them.
    Yielded {
        /// The ballot of the absorber.
        ballot: Ballot,
        /// The partition handed over.
        taken: Ballot,
        /// Who is reserved under it.
        members: Vec<PeerId>,
    },
}
