//! What a scheduler tells its host: what it wants done, and facts for logs, metrics and people.

use std::collections::BTreeSet;

use luc_core::PeerId;
use luc_core::time::Duration;
use luc_core::units::MemoryMib;
use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;
use crate::command::{MigrationId, SearchId};
use crate::host::{Resources, VmId};
use crate::plan::{Plan, Reason};
use crate::solver::Barred;

/// What happened to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PartitionEnd {
    /// The plan was carried out.
    Solved,
    /// The event had gone away by itself (relay: no longer valid).
    Stale,
    /// Nobody was left to ask, or the cap was reached: no solution.
    Unsolved,
    /// Others that still grew were in the way: it comes back in a moment.
    Contended,
    /// Another partition took it in.
    Absorbed,
    /// Its reservations ran out before the end.
    Expired,
}

/// Why a partition came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// More asked for than there is.
    Overload,
    /// So little asked for that the host could sleep.
    Underload,
    /// The host is to be emptied.
    Maintenance,
}

/// What a scheduler tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Event {
    /// Wanted: the next neighbours outside a set. Answered by `Neighbours` or `Exhausted`.
    Search {
        /// Names the search.
        search: SearchId,
        /// Nodes not to offer.
        outside: BTreeSet<PeerId>,
        /// How many.
        count: u16,
    },
    /// Wanted: the next neighbours of a search that is open.
    SearchMore {
        /// The search.
        search: SearchId,
        /// How many.
        count: u16,
    },
    /// The search is not needed any more.
    SearchEnd {
        /// The search.
        search: SearchId,
    },
    /// Wanted, at the source: start this live migration now. It has been checked against ballot
    /// and lease on both ends; the host answers with `MigrationEnded`.
    Migrate {
        /// Names it.
        migration: MigrationId,
        /// The machine.
        vm: VmId,
        /// Where to.
        target: PeerId,
        /// Why, for the record of the move.
        reason: Reason,
    },
    /// At the target: this machine will arrive; its memory and disk are claimed until it ended.
    Expect {
        /// Names it.
        migration: MigrationId,
        /// The machine.
        vm: VmId,
        /// Where from.
        source: PeerId,
        /// What it needs.
        claim: Resources,
    },
    /// At the target: an expected machine will not come; the claim is free again.
    Unexpect {
        /// Names it.
        migration: MigrationId,
    },
    /// Wanted: power this host down. It is empty, and the membership has been told.
    Sleep,
    /// Wanted: wake this node, which sleeps on our LAN.
    Wake(PeerId),
    /// What this host should advertise as its room, in per cent of capacity, and whether it sleeps.
    Advertise {
        /// The room.
        room: i8,
        /// Asleep, or about to be.
        asleep: bool,
    },
    /// A fact: this node reserved itself, under this ballot until its lease ends.
    Reserved {
        /// Whose.
        ballot: Ballot,
        /// How long from now.
        lease: Duration,
    },
    /// A fact: this node is free again.
    Freed {
        /// Of which reservation.
        ballot: Ballot,
    },
    /// A fact, at a leader: a partition began.
    Began {
        /// Its ballot.
        ballot: Ballot,
        /// Why.
        cause: Cause,
    },
    /// A fact, at a leader: the partition has these members now.
    Grew {
        /// Its ballot.
        ballot: Ballot,
        /// All members, the leader among them.
        members: BTreeSet<PeerId>,
    },
    /// A fact, at a leader: another partition's members were taken in.
    Absorbed {
        /// The taker.
        ballot: Ballot,
        /// The taken.
        taken: Ballot,
    },
    /// A fact: this node leads a partition whose leader is gone.
    TookOver {
        /// The new ballot.
        ballot: Ballot,
        /// The old one.
        from: Ballot,
    },
    /// A fact: the greatest size was reached.
    CapReached {
        /// The partition.
        ballot: Ballot,
    },
    /// A fact, at a leader: the solver was asked.
    Computed {
        /// The partition.
        ballot: Ballot,
        /// How many hosts.
        hosts: u16,
        /// Search steps used.
        steps: u64,
        /// Whether a valid configuration was found.
        solved: bool,
    },
    /// A fact, at a leader, after `Computed`: rules kept machines from hosts that had room.
    Barred {
        /// The partition.
        ballot: Ballot,
        /// Which from which, and by which rule.
        barred: Vec<Barred>,
    },
    /// A fact, at a leader: this plan will be carried out.
    Planned {
        /// The partition.
        ballot: Ballot,
        /// The plan.
        plan: Plan,
        /// Memory that will be sent at the least.
        memory: MemoryMib,
    },
    /// A fact, at a leader: the partition ended.
    Ended {
        /// The partition.
        ballot: Ballot,
        /// How.
        end: PartitionEnd,
        /// Its members at the end.
        members: BTreeSet<PeerId>,
    },
    /// A fact: a lease ended while steps were under way.
    LeaseExpired {
        /// Of which reservation.
        ballot: Ballot,
    },
    /// A fact: an input was not acted upon.
    Ignored {
        /// What kind of input.
        input: &'static str,
        /// Why.
        reason: &'static str,
    },
}
