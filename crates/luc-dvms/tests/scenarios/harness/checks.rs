//! What must hold at every step, whatever the schedule; violations are collected, not thrown.
//!
//! Read off the facts that schedulers tell ([`Event`]); the names are those of the simulator's
//! checkers. Machines at two hosts and memory are the hypervisor's to check.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::PeerId;
use luc_core::time::Instant;
use luc_dvms::event::PartitionEnd;
use luc_dvms::{Ballot, Event};

/// Counts and violations of one run.
#[derive(Default)]
pub(crate) struct Checks {
    pub(crate) violations: Vec<String>,
    pub(crate) began: u64,
    pub(crate) absorbed: u64,
    pub(crate) took_over: u64,
    pub(crate) ended: BTreeMap<PartitionEnd, u64>,
    pub(crate) largest: usize,
    held: BTreeMap<PeerId, (Ballot, Instant)>,
    open: BTreeSet<Ballot>,
}

impl Checks {
    pub(crate) fn see(&mut self, now: Instant, at: PeerId, event: &Event) {
        match event {
            Event::Reserved { ballot, lease } => {
                if let Some((other, end)) = self.held.get(&at)
                    && other != ballot
                    && *end > now
                {
                    let text = format!("{at} is in partitions {other} and {ballot} at {now}");
                    self.violations.push(text);
                }
                self.held.insert(at, (*ballot, now + *lease));
            }
            Event::Freed { ballot }
                if self.held.get(&at).is_some_and(|(held, _)| held == ballot) =>
            {
                self.held.remove(&at);
            }
            Event::Began { ballot, .. } => {
                self.began += 1;
                if !self.open.insert(*ballot) {
                    self.violations.push(format!("{ballot} began twice"));
                }
            }
            Event::Grew { members, .. } => self.largest = self.largest.max(members.len()),
            Event::Absorbed { .. } => self.absorbed += 1,
            Event::TookOver { .. } => self.took_over += 1,
            Event::Ended { ballot, end, .. } => {
                self.open.remove(ballot);
                *self.ended.entry(*end).or_default() += 1;
            }
            _ => {}
        }
    }

    /// A node that crashed holds nothing.
    pub(crate) fn crash(&mut self, peer: PeerId) {
        self.held.remove(&peer);
    }

    /// Partitions that began and whose end nobody told. Those whose leader crashed are among them.
    pub(crate) fn never_ended(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn ends(&self, end: PartitionEnd) -> u64 {
        self.ended.get(&end).copied().unwrap_or(0)
    }
}
