//! A partition: the nodes that one iterative scheduling procedure (ISP) has reserved so far.
//!
//! ```text
//!            no solution, nobody free left          merged with another Blocked one
//!  Growing ────────────────────────────▶ Blocked ─────────────────────────────▶ Growing
//!     │  solution                           │ back at the initiator once more
//!     ▼                                     ▼
//!  Finishing ── plan applied ──▶ (gone)   (gone: no solution)
//! ```
//!
//! The same value travels as the ISP's token. Versions order what members are told.

use luc_core::PeerId;
use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;

/// What a partition is about to do (ISPA'13, "partition state").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// It looks for free nodes.
    Growing,
    /// Its token came back to the initiator: whoever is free no more can only be merged with.
    Blocked,
    /// Its plan is being applied.
    Finishing,
}

/// A version of a partition, as its members know it and as its token carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// Its name for life: the initiator, and the initiator's own count.
    pub id: Ballot,
    /// Raised by whoever changes it; a lower one is outdated.
    pub version: u64,
    /// The node that joined, merged or took over last.
    pub leader: PeerId,
    /// All members, sorted; initiator and leader among them.
    pub members: Vec<PeerId>,
    /// What it is about to do.
    pub state: State,
    /// Partitions that were merged into it.
    pub taken: Vec<Ballot>,
}

/// The token of an ISP on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token {
    /// The partition as it was when the token was sent off.
    pub partition: Partition,
    /// How many nodes have passed it on since: tells a doubled message from a second visit.
    pub hops: u32,
}

impl Partition {
    /// The first version: the initiator alone.
    pub fn new(id: Ballot) -> Self {
        Self {
            id,
            version: 1,
            leader: id.leader,
            members: vec![id.leader],
            state: State::Growing,
            taken: Vec::new(),
        }
    }

    /// The node whose overload began it.
    pub fn initiator(&self) -> PeerId {
        self.id.leader
    }

    /// Whether `peer` is a member.
    pub fn contains(&self, peer: PeerId) -> bool {
        self.members.binary_search(&peer).is_ok()
    }

    /// Makes `peer` a member.
    pub fn insert(&mut self, peer: PeerId) {
        if let Err(place) = self.members.binary_search(&peer) {
            self.members.insert(place, peer);
        }
    }

    /// Makes `peer` a member no more.
    pub fn remove(&mut self, peer: PeerId) {
        self.members.retain(|member| *member != peer);
    }

    /// Whether this version replaces `other` of the same partition. The published text leaves
    /// two new leaders with one version open; the higher name wins.
    pub fn replaces(&self, other: &Self) -> bool {
        (self.version, self.leader) > (other.version, other.leader)
    }

    /// The union of two Blocked partitions: named like this one, led by `leader`, Growing again.
    #[must_use]
    pub fn merged(mut self, other: &Self, leader: PeerId) -> Self {
        for member in &other.members {
            self.insert(*member);
        }
        self.version = self.version.max(other.version) + 1;
        self.leader = leader;
        self.state = State::Growing;
        self.taken.push(other.id);
        self.taken.extend(&other.taken);
        self
    }
}
