//! Who holds each node, as the nodes themselves say: shared by the checkers of reservations.

use luc_core::time::{Duration, Instant};

use super::{at_least, at_most};
use crate::fault::Fault;
use crate::index::NodeIndex;
use crate::log::{Entry, Partition, Record};
use crate::world::HostState;

/// A reservation as its node holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Whose.
    pub(super) partition: Partition,
    /// When it ends at the earliest, whatever the node's clock says.
    pub(super) from: Instant,
    /// When it ends at the latest.
    pub(super) until: Instant,
}

/// The reservations of all nodes.
#[derive(Clone, Debug)]
pub(super) struct Reservations {
    held: Vec<Option<Held>>,
    count: usize,
}

impl Reservations {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            held: vec![None; nodes],
            count: 0,
        }
    }

    /// Who holds `node`.
    pub(super) fn of(&self, node: NodeIndex) -> Option<Held> {
        self.held[node.at()]
    }

    /// How many nodes are held.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The nodes that are held, with their holders.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeIndex, Held)> + '_ {
        let nodes = self.held.iter().enumerate();
        nodes.filter_map(|(node, held)| Some((NodeIndex(node as u32), (*held)?)))
    }

    /// Takes in one record: the reservation that it ended, if it did.
    pub(super) fn observe(&mut self, record: &Record) -> Option<Held> {
        match &record.entry {
            Entry::Reserved {
                node,
                partition,
                lease_ns,
            } => {
                let lease = Duration::from_nanos(*lease_ns);
                let held = Held {
                    partition: *partition,
                    from: record.at + at_least(lease),
                    until: record.at + at_most(lease),
                };
                self.set(*node, Some(held))
            }
            Entry::Freed { node, partition } => {
                let held = self.of(*node)?;
                if held.partition == *partition {
                    self.set(*node, None)
                } else {
                    None
                }
            }
            Entry::Power {
                host,
                state: HostState::Crashed,
            } => self.set(*host, None),
            Entry::Fault {
                fault: Fault::Skew {
                    node, ahead_micros, ..
                },
            } => {
                // By the node's own clock the lease ends sooner now.
                let ahead = ahead_micros.saturating_mul(1_000);
                let sooner =
                    |time: Instant| Instant::from_nanos(time.as_nanos().saturating_sub(ahead));
                if let Some(held) = &mut self.held[node.at()] {
                    held.from = sooner(held.from);
                    held.until = sooner(held.until);
                }
                None
            }
            _ => None,
        }
    }

    fn set(&mut self, node: NodeIndex, held: Option<Held>) -> Option<Held> {
        let before = std::mem::replace(&mut self.held[node.at()], held);
        self.count += usize::from(held.is_some());
        self.count -= usize::from(before.is_some());
        before
    }
}
