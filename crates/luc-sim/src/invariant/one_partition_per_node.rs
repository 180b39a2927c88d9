//! A node is in at most one partition: the published rule, without leases.
//!
//! A node that says that it is reserved must have been free, whoever led it before: it leaves one
//! partition, by release, merge, time-out or crash, before it enters another.

use super::reservations::Reservations;
use super::{Invariant, Step};
use crate::log::Entry;

/// The checker.
#[derive(Clone, Debug)]
pub struct OnePartitionPerNode {
    reservations: Reservations,
}

impl OnePartitionPerNode {
    /// For a cloud of `nodes` nodes.
    pub fn new(nodes: usize) -> Self {
        Self {
            reservations: Reservations::new(nodes),
        }
    }
}

impl Invariant for OnePartitionPerNode {
    fn name(&self) -> &'static str {
        "one_partition_per_node"
    }

    fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        for record in step.records {
            let before = self.reservations.observe(record);
            if let Entry::Reserved {
                node, partition, ..
            } = &record.entry
                && let Some(held) = before
            {
                return Err(format!(
                    "{node} is in partition {} of {} and entered partition {} of {}",
                    held.partition.counter,
                    held.partition.leader,
                    partition.counter,
                    partition.leader
                ));
            }
        }
        Ok(())
    }
}
