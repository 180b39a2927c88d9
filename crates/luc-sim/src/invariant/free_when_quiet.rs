//! With no overload left and no faults, all nodes are free within 8 s of the last migration's end.
//!
//! Quiet begins when the last of these is over: an overload, a fault, a migration, a partition
//! that began for another cause than an overload. Eight seconds later no node may be reserved.
//! Where hosts sleep, those that serve look ahead and ask for help before they are overloaded: a
//! partition that begins then is none that was left over.

use std::collections::BTreeSet;

use luc_core::time::{Duration, Instant};
use luc_dvms::event::Cause;

use super::reservations::Reservations;
use super::{Invariant, Step};
use crate::fault::Fault;
use crate::index::NodeIndex;
use crate::log::{Entry, Partition};
use crate::world::HostState;

/// Free within this time.
const FREE_WITHIN: Duration = Duration::from_secs(8);

/// The checker.
#[derive(Clone, Debug)]
pub struct FreeWhenQuiet {
    reservations: Reservations,
    overloaded: BTreeSet<NodeIndex>,
    migrations: u32,
    faults: Faults,
    looks_ahead: bool,
    quiet_since: Instant,
}

/// The faults that are there now.
#[derive(Clone, Debug, Default)]
struct Faults {
    network: u8,
    nodes: BTreeSet<(NodeIndex, u8)>,
}

impl FreeWhenQuiet {
    /// For a cloud of `nodes` nodes.
    pub fn new(nodes: usize) -> Self {
        Self {
            reservations: Reservations::new(nodes),
            overloaded: BTreeSet::new(),
            migrations: 0,
            faults: Faults::default(),
            looks_ahead: false,
            quiet_since: Instant::ORIGIN,
        }
    }

    /// For a cloud whose hosts ask for help before they are overloaded.
    pub fn looking_ahead(nodes: usize) -> Self {
        Self {
            looks_ahead: true,
            ..Self::new(nodes)
        }
    }
}

impl Faults {
    fn observe(&mut self, fault: &Fault) {
        let mut network = |bit: u8, on: bool| {
            self.network = if on {
                self.network | bit
            } else {
                self.network & !bit
            };
        };
        match fault {
            Fault::Loss { ppm } => network(1, *ppm > 0),
            Fault::Delay { micros } => network(2, *micros > 0),
            Fault::Reorder { ppm, .. } => network(4, *ppm > 0),
            Fault::Duplicate { ppm } => network(8, *ppm > 0),
            Fault::Split { .. } => network(16, true),
            Fault::Heal => network(16, false),
            Fault::Pause(node) | Fault::Crash(node) => {
                let kind = u8::from(matches!(fault, Fault::Crash(_)));
                self.nodes.insert((*node, kind));
            }
            Fault::Resume(node) | Fault::Restart(node) => {
                let kind = u8::from(matches!(fault, Fault::Restart(_)));
                self.nodes.remove(&(*node, kind));
            }
            Fault::Slow { node, micros } => {
                if *micros > 0 {
                    self.nodes.insert((*node, 2));
                } else {
                    self.nodes.remove(&(*node, 2));
                }
            }
            Fault::Maintenance { node, on } => {
                if *on {
                    self.nodes.insert((*node, 3));
                } else {
                    self.nodes.remove(&(*node, 3));
                }
            }
            // A clock that is wrong by little is what every node has.
            Fault::Skew { .. } => {}
        }
    }

    fn are_over(&self) -> bool {
        self.network == 0 && self.nodes.is_empty()
    }
}

impl Invariant for FreeWhenQuiet {
    fn name(&self) -> &'static str {
        "free_when_quiet"
    }

    fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        for record in step.records {
            self.reservations.observe(record);
            let disturbs = match &record.entry {
                Entry::ViolationBegan { host } => {
                    self.overloaded.insert(*host);
                    true
                }
                Entry::ViolationEnded { host } => self.overloaded.remove(host),
                Entry::Power { host, state } => {
                    if *state == HostState::Crashed {
                        self.overloaded.remove(host);
                    }
                    true
                }
                Entry::MigrationBegan { .. } => {
                    self.migrations += 1;
                    true
                }
                Entry::MigrationEnded { .. } => {
                    self.migrations -= 1;
                    true
                }
                Entry::Fault { fault } => {
                    self.faults.observe(fault);
                    true
                }
                Entry::Began { cause, .. } => self.looks_ahead || *cause != Cause::Overload,
                _ => false,
            };
            if disturbs {
                self.quiet_since = record.at;
            }
        }
        let quiet = self.overloaded.is_empty() && self.migrations == 0 && self.faults.are_over();
        if !quiet {
            self.quiet_since = step.now;
        }
        if self.reservations.count() == 0 || step.now - self.quiet_since <= FREE_WITHIN {
            return Ok(());
        }
        match self.reservations.iter().next() {
            None => Ok(()),
            Some((node, held)) => {
                let Partition { counter, leader } = held.partition;
                Err(format!(
                    "{node} is still reserved under ballot {counter} of {leader}, quiet since {}",
                    self.quiet_since
                ))
            }
        }
    }
}
