//! No step is started under an expired or lower ballot.
//!
//! A source starts a migration only while it is itself reserved by the leader that ordered it,
//! under that ballot or one that the leader has raised no further; a target expects a machine only
//! under the same condition.

use super::reservations::Reservations;
use super::{Invariant, Step};
use crate::index::NodeIndex;
use crate::log::{Entry, Partition};

/// The checker.
#[derive(Clone, Debug)]
pub struct NoStaleStep {
    reservations: Reservations,
}

impl NoStaleStep {
    /// For a cloud of `nodes` nodes.
    pub fn new(nodes: usize) -> Self {
        Self {
            reservations: Reservations::new(nodes),
        }
    }

    fn is_held(
        &self,
        step: &Step<'_>,
        node: NodeIndex,
        under: Partition,
        what: &str,
    ) -> Result<(), String> {
        let wrong = match self.reservations.of(node) {
            None => "which is free".into(),
            Some(held) if held.partition.leader != under.leader => {
                format!("which is held by {}", held.partition.leader)
            }
            Some(held) if held.partition.counter > under.counter => {
                format!("which has accepted ballot {}", held.partition.counter)
            }
            Some(held) if held.until < step.now => {
                format!("whose lease ended at {}", held.until)
            }
            Some(_) => return Ok(()),
        };
        let Partition { counter, leader } = under;
        Err(format!(
            "{what} under ballot {counter} of {leader} at {node}, {wrong}"
        ))
    }
}

impl Invariant for NoStaleStep {
    fn name(&self) -> &'static str {
        "no_stale_step"
    }

    fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        for record in step.records {
            self.reservations.observe(record);
            match &record.entry {
                Entry::MigrationBegan {
                    vm,
                    source,
                    partition,
                    ..
                } => self.is_held(step, *source, *partition, &format!("{vm} was sent"))?,
                Entry::Expected {
                    vm,
                    target,
                    partition,
                    ..
                } => self.is_held(step, *target, *partition, &format!("{vm} was expected"))?,
                _ => {}
            }
        }
        Ok(())
    }
}
