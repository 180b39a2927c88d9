//! A leader's side of a partition: who belongs to it, who has been asked, how far it is.
//!
//! ```text
//!            neighbours               answers                  plan
//! Searching ───────────▶ Reserving ───────────▶ (solve) ───────────▶ Executing ──▶ ended
//!     ▲                                            │
//!     └──────────── unsolved: a group more ────────┘
//! ```
//!
//! Searching and Reserving are called *growing*: only then may the partition be absorbed. Each
//! phase has a time to live, so every partition ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use luc_core::PeerId;
use luc_core::time::{Duration, Instant};

use super::execution::Execution;
use super::message::{Claim, Refusal};
use crate::ballot::Ballot;
use crate::command::{Candidate, SearchId};
use crate::event::Cause;
use crate::host::Host;
use crate::solver::Solution;

/// A node that said yes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub(super) peer: PeerId,
    /// When its lease ends, counted from the sending of what granted it.
    pub(super) expires: Instant,
    pub(super) host: Arc<Host>,
    pub(super) distance: Duration,
}

/// What was asked of a node that has not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// To join, perhaps handed over by the leader of another partition.
    Join {
        /// The reservation that was handed over.
        taken: Option<Ballot>,
    },
    /// To hand its partition over.
    Absorb {
        /// The partition.
        taken: Ballot,
    },
}

/// A node that has been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) peer: PeerId,
    pub(super) question: Question,
    pub(super) sent: Instant,
    pub(super) distance: Duration,
    /// Nobody waits for it any more; it may still answer.
    pub(super) late: bool,
}

/// How far a partition is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// The overlay has been asked for neighbours.
    Searching,
    /// Neighbours have been asked to join.
    Reserving,
    /// The plan is being carried out.
    Executing(Execution),
}

/// A partition as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Partition {
    /// The ballot it began with: its name in facts and timers.
    pub(super) id: Ballot,
    /// The ballot it has now: raised when a candidate had promised a higher one.
    pub(super) ballot: Ballot,
    pub(super) cause: Cause,
    /// When the event was seen.
    pub(super) since: Instant,
    /// When the leader's reservation of itself ends.
    pub(super) own_expires: Instant,
    pub(super) members: Vec<Member>,
    pub(super) asked: Vec<Asked>,
    /// Leaders of partitions taken in, whose events are solved here too.
    pub(super) taken: Vec<PeerId>,
    /// Candidates that were not asked because they seem to have no room.
    pub(super) skipped: Vec<Candidate>,
    /// Candidates of other sites, kept for the next group while there were some of this site.
    pub(super) farther: Vec<Candidate>,
    /// Somebody would not join who may soon: held by a partition that grows, or without a sample.
    pub(super) contended: bool,
    pub(super) search: Option<SearchId>,
    /// The overlay has nobody left.
    pub(super) exhausted: bool,
    /// How many members it may have, the leader counted.
    pub(super) cap: u16,
    pub(super) round: u32,
    /// Somebody joined since the solver was asked.
    pub(super) fresh: bool,
    /// The best that the solver found so far, if it does not suffice.
    pub(super) partial: Option<Solution>,
    pub(super) renew_round: u32,
    pub(super) renew_sent: Instant,
    pub(super) phase: Phase,
}

impl Partition {
    pub(super) fn new(ballot: Ballot, cause: Cause, since: Instant, own_expires: Instant) -> Self {
        Self {
            id: ballot,
            ballot,
            cause,
            since,
            own_expires,
            members: Vec::new(),
            asked: Vec::new(),
            taken: Vec::new(),
            skipped: Vec::new(),
            farther: Vec::new(),
            contended: false,
            search: None,
            exhausted: false,
            cap: 0,
            round: 0,
            fresh: false,
            partial: None,
            renew_round: 0,
            renew_sent: Instant::ORIGIN,
            phase: Phase::Searching,
        }
    }

    /// Whether it may still be absorbed.
    pub(super) fn is_growing(&self) -> bool {
        match self.phase {
            Phase::Searching | Phase::Reserving => true,
            Phase::Executing(_) => false,
        }
    }

    /// How strong its claim is now.
    pub(super) fn claim(&self, now: Instant) -> Claim {
        Claim {
            cause: self.cause,
            age: now.since(self.since),
            leader: self.id.leader,
        }
    }

    /// What a candidate that leads this partition answers to another leader.
    pub(super) fn busy(&self, now: Instant) -> Refusal {
        Refusal::Busy {
            under: self.ballot,
            claim: self.claim(now),
            growing: self.is_growing(),
        }
    }

    /// Whether it hands itself over to a partition with this claim.
    pub(super) fn yields_to(&self, now: Instant, claim: &Claim) -> bool {
        self.is_growing() && claim.precedes(&self.claim(now))
    }

    /// Whether `ballot` is one that this partition has or had.
    pub(super) fn owns(&self, ballot: Ballot) -> bool {
        self.id <= ballot && ballot <= self.ballot
    }

    /// How many nodes it has, the leader counted.
    pub(super) fn size(&self) -> u16 {
        self.members.len() as u16 + 1
    }

    /// All nodes it has, the leader among them.
    pub(super) fn everyone(&self) -> BTreeSet<PeerId> {
        let leader = std::iter::once(self.id.leader);
        leader.chain(self.members.iter().map(|m| m.peer)).collect()
    }

    pub(super) fn is_member(&self, peer: PeerId) -> bool {
        self.members.iter().any(|member| member.peer == peer)
    }

    pub(super) fn is_asked(&self, peer: PeerId) -> bool {
        self.asked.iter().any(|asked| asked.peer == peer)
    }

    /// Whether an answer is still waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.asked.iter().any(|asked| !asked.late)
    }

    /// Takes out the question that `peer` has been asked.
    pub(super) fn answered(&mut self, peer: PeerId) -> Option<Asked> {
        let place = self.asked.iter().position(|asked| asked.peer == peer)?;
        Some(self.asked.swap_remove(place))
    }

    /// When the earliest lease ends, the leader's own among them.
    pub(super) fn earliest_expiry(&self) -> Instant {
        let members = self.members.iter().map(|member| member.expires);
        members.fold(self.own_expires, Instant::min)
    }
}
