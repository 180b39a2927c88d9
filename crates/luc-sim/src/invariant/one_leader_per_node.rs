//! No two leaders hold an unexpired reservation of one node.
//!
//! A node may pass from one leader to another at once only if the first has handed it over, which
//! the absorber logs before it asks the members. A leader may be reserved by another in the step
//! in which its own partition ends, and a node that is freed may lead at once. Otherwise a
//! reservation must have ended, by release, expiry or crash, before the step in which another
//! begins. And a node never goes back to a lower ballot of its leader.

use std::collections::BTreeSet;

use super::reservations::{Held, Reservations};
use super::{Invariant, Step};
use crate::index::NodeIndex;
use crate::log::Entry;

/// The checker.
#[derive(Clone, Debug)]
pub struct OneLeaderPerNode {
    reservations: Reservations,
    /// From whom to whom nodes were handed over.
    handed_over: BTreeSet<(NodeIndex, NodeIndex)>,
}

impl OneLeaderPerNode {
    /// For a cloud of `nodes` nodes.
    pub fn new(nodes: usize) -> Self {
        Self {
            reservations: Reservations::new(nodes),
            handed_over: BTreeSet::new(),
        }
    }
}

impl Invariant for OneLeaderPerNode {
    fn name(&self) -> &'static str {
        "one_leader_per_node"
    }

    fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        // What a node was freed of in this very step still counts as held when it is reserved.
        let mut freed: Vec<(NodeIndex, Held)> = Vec::new();
        let mut done: Vec<NodeIndex> = Vec::new();
        for record in step.records {
            match &record.entry {
                Entry::Absorbed { partition, taken } => {
                    self.handed_over.insert((taken.leader, partition.leader));
                }
                Entry::Ended { partition, .. } => done.push(partition.leader),
                _ => {}
            }
            let before = self.reservations.observe(record);
            match (&record.entry, before) {
                (Entry::Freed { node, .. }, Some(held)) => freed.push((*node, held)),
                (
                    Entry::Reserved {
                        node, partition, ..
                    },
                    before,
                ) => {
                    let just_freed = freed.iter().rfind(|(one, _)| one == node);
                    let just_freed = just_freed.filter(|_| partition.leader != *node);
                    let before = before.or(just_freed.map(|(_, held)| *held));
                    let Some(held) = before.filter(|held| held.from > step.now) else {
                        continue;
                    };
                    let old = held.partition;
                    let same = old.leader == partition.leader;
                    let given = self.handed_over.contains(&(old.leader, partition.leader))
                        || (old.leader == *node && done.contains(node));
                    if !same && !given {
                        return Err(format!(
                            "{node} is held by {} until {} and was reserved by {}",
                            old.leader, held.from, partition.leader
                        ));
                    }
                    if same && partition.counter < old.counter {
                        return Err(format!(
                            "{node} went back from ballot {} to {} of {}",
                            old.counter, partition.counter, old.leader
                        ));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
