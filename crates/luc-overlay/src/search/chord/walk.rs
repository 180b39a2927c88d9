//! One open request of the ring: a walk along successors.

use std::collections::{BTreeSet, VecDeque};

use luc_core::PeerId;

use crate::search::chord::links::Links;

/// One open request.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Never to be offered (again).
    pub(super) taken: BTreeSet<PeerId>,
    /// How many are wanted in the pending answer; zero when none is pending.
    pub(super) wanted: u16,
    /// The question under way, and whom it was put to.
    pub(super) ask: Option<(u32, PeerId)>,
    /// What the pending answer holds so far.
    pub(super) found: Vec<PeerId>,
    /// Nodes ahead, in ring order.
    ahead: VecDeque<PeerId>,
    /// Nodes passed, in ring order; the last that answers says who follows.
    passed: Vec<PeerId>,
    /// Nodes that are gone or do not answer.
    lost: Vec<PeerId>,
    /// The walk has reached around the ring.
    around: bool,
}

impl Walk {
    pub(super) fn new(taken: BTreeSet<PeerId>, links: &Links) -> Self {
        Self {
            taken,
            wanted: 0,
            ask: None,
            found: Vec::new(),
            ahead: links.successors().iter().copied().collect(),
            passed: Vec::new(),
            lost: Vec::new(),
            around: false,
        }
    }

    /// Takes nodes ahead into the pending answer, until it holds as many as are wanted.
    pub(super) fn step(&mut self) {
        while self.found.len() < usize::from(self.wanted) {
            let Some(peer) = self.ahead.pop_front() else {
                return;
            };
            self.passed.push(peer);
            if self.taken.insert(peer) {
                self.found.push(peer);
            }
        }
    }

    /// Who should know the way on; none at the end of the walk.
    pub(super) fn guide(&self) -> Option<PeerId> {
        if self.around {
            None
        } else {
            self.passed.last().copied()
        }
    }

    /// A guide named those who follow it.
    pub(super) fn extend(&mut self, guide: PeerId, theirs: &[PeerId], links: &Links) {
        let mut last = links.point_of(guide);
        let mut came_on = false;
        for peer in theirs {
            let point = links.point_of(*peer);
            if !point.is_between(last, links.point()) {
                self.around = true;
                return;
            }
            last = point;
            if !self.passed.contains(peer) && !self.lost.contains(peer) {
                came_on = true;
                self.ahead.push_back(*peer);
            }
        }
        // Who stands before the guide knows less than it does.
        self.around |= !came_on;
    }

    /// A node is gone or does not answer: the walk steps back to who stood before it.
    pub(super) fn lose(&mut self, peer: PeerId) {
        self.passed.retain(|one| *one != peer);
        self.ahead.retain(|one| *one != peer);
        self.found.retain(|one| *one != peer);
        self.lost.push(peer);
        self.taken.insert(peer);
    }
}
