//! The overlay of the harness: a ring by node number that answers searches at once and truly.
//!
//! The next neighbours of a node are those that follow it on the ring, nobody twice in one search
//! and nobody whose failure the asking node has been told of. A scenario may force single answers.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::PeerId;
use luc_core::time::Duration;
use luc_dvms::Command;
use luc_dvms::command::{Candidate, SearchId};

/// What the ring remembers of an open search.
struct Open {
    outside: BTreeSet<PeerId>,
    asked: BTreeSet<PeerId>,
}

/// The ring and the searches on it.
#[derive(Default)]
pub(crate) struct Ring {
    order: Vec<PeerId>,
    open: BTreeMap<(PeerId, SearchId), Open>,
    forced: BTreeMap<(PeerId, BTreeSet<PeerId>), PeerId>,
    held_dead: BTreeSet<(PeerId, PeerId)>,
    advertised: BTreeMap<PeerId, (i8, bool)>,
}

impl Ring {
    pub(crate) fn new(peers: impl IntoIterator<Item = PeerId>) -> Self {
        let mut order: Vec<_> = peers.into_iter().collect();
        order.sort_unstable();
        Self {
            order,
            ..Self::default()
        }
    }

    /// The first search of `by` outside exactly `outside` finds `found`, wherever it stands.
    pub(crate) fn force(&mut self, by: PeerId, outside: &[PeerId], found: PeerId) {
        self.forced
            .insert((by, outside.iter().copied().collect()), found);
    }

    /// From now on `by` is not offered `dead`.
    pub(crate) fn hold_dead(&mut self, by: PeerId, dead: PeerId) {
        self.held_dead.insert((by, dead));
    }

    /// Everybody may be offered `back` again.
    pub(crate) fn back(&mut self, back: PeerId) {
        self.held_dead.retain(|(_, dead)| *dead != back);
    }

    /// A node that restarts has forgotten its searches.
    pub(crate) fn forget(&mut self, by: PeerId) {
        self.open.retain(|(searcher, _), _| *searcher != by);
    }

    pub(crate) fn advertise(&mut self, peer: PeerId, room: i8, asleep: bool) {
        self.advertised.insert(peer, (room, asleep));
    }

    pub(crate) fn search(
        &mut self,
        by: PeerId,
        search: SearchId,
        outside: BTreeSet<PeerId>,
        count: u16,
    ) -> Command {
        let asked = self.forced.get(&(by, outside.clone())).copied();
        let mut open = Open {
            outside,
            asked: BTreeSet::new(),
        };
        if let Some(first) = asked {
            open.asked.insert(first);
            self.open.insert((by, search), open);
            let found = vec![self.candidate(first)];
            return Command::Neighbours { search, found };
        }
        self.open.insert((by, search), open);
        self.more(by, search, count)
    }

    pub(crate) fn more(&mut self, by: PeerId, search: SearchId, count: u16) -> Command {
        let Some(open) = self.open.get(&(by, search)) else {
            return Command::Exhausted { search };
        };
        let after = self.order.partition_point(|peer| *peer <= by);
        let found: Vec<PeerId> = self.order[after..]
            .iter()
            .chain(&self.order[..after])
            .copied()
            .filter(|peer| *peer != by && !open.outside.contains(peer))
            .filter(|peer| !open.asked.contains(peer) && !self.held_dead.contains(&(by, *peer)))
            .take(usize::from(count))
            .collect();
        if found.is_empty() {
            self.open.remove(&(by, search));
            return Command::Exhausted { search };
        }
        if let Some(open) = self.open.get_mut(&(by, search)) {
            open.asked.extend(&found);
        }
        let found = found.iter().map(|peer| self.candidate(*peer)).collect();
        Command::Neighbours { search, found }
    }

    pub(crate) fn end(&mut self, by: PeerId, search: SearchId) {
        self.open.remove(&(by, search));
    }

    fn candidate(&self, peer: PeerId) -> Candidate {
        let (room, asleep) = self.advertised.get(&peer).copied().unwrap_or((100, false));
        Candidate {
            peer,
            distance: Duration::from_micros(200),
            asleep,
            room,
        }
    }
}
