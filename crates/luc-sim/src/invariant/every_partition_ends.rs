//! Every partition ends.
//!
//! A partition whose leader crashes ends with it: its members' leases run out. Any other must be
//! over within a bound that no honest run comes near: the growing of a partition is limited, and
//! so is the time that its migrations can take.

use std::collections::BTreeMap;

use luc_core::time::{Duration, Instant};

use super::{Invariant, Step};
use crate::log::{Entry, Partition};
use crate::world::HostState;

/// The longest that a partition may live: sixteen members whose migrations share one link.
const LIFE_MAX: Duration = Duration::from_secs(150);

/// The checker.
#[derive(Clone, Debug, Default)]
pub struct EveryPartitionEnds {
    open: BTreeMap<Partition, Instant>,
    /// The oldest may be this old at the next look, so that not every step looks.
    look_at: Instant,
}

impl EveryPartitionEnds {
    fn close(&mut self, partition: &Partition) -> Result<(), String> {
        let Partition { counter, leader } = partition;
        match self.open.remove(partition) {
            Some(_) => Ok(()),
            None => Err(format!(
                "partition {counter} of {leader} ended, but was not open"
            )),
        }
    }
}

impl Invariant for EveryPartitionEnds {
    fn name(&self) -> &'static str {
        "every_partition_ends"
    }

    fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        for record in step.records {
            match &record.entry {
                Entry::Began { partition, .. } => {
                    self.open.insert(*partition, record.at);
                }
                Entry::Ended { partition, .. } => self.close(partition)?,
                Entry::Power {
                    host,
                    state: HostState::Crashed,
                } => self.open.retain(|partition, _| partition.leader != *host),
                _ => {}
            }
        }
        if step.now < self.look_at {
            return Ok(());
        }
        self.look_at = step.now + LIFE_MAX / 10;
        let old = |began: &Instant| step.now - *began > LIFE_MAX;
        match self.open.iter().find(|(_, began)| old(began)) {
            None => Ok(()),
            Some((Partition { counter, leader }, began)) => Err(format!(
                "partition {counter} of {leader} began at {began} and has not ended"
            )),
        }
    }
}
