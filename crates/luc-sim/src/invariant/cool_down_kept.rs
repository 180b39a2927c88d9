//! No machine moves twice within its cool-down, evacuation excepted.
//!
//! The cool-down is counted by the clock of the host: if that jumps ahead, it ends sooner.
//! A stop on the way of a bypass is no move of its own: the step that takes the machine on may
//! follow at once.

use std::collections::BTreeMap;

use luc_core::time::Instant;
use luc_dvms::Reason;

use super::{Invariant, Step, at_least};
use crate::fault::Fault;
use crate::index::{NodeIndex, VmIndex};
use crate::log::Entry;

/// The last arrival of a machine.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Instant,
    host: NodeIndex,
    /// It only stopped there.
    halted: bool,
}

/// The checker.
#[derive(Clone, Debug, Default)]
pub struct CoolDownKept {
    arrived: BTreeMap<VmIndex, Arrival>,
    /// Machines on their way to a mere stop.
    stopping: BTreeMap<VmIndex, bool>,
}

impl Invariant for CoolDownKept {
    fn name(&self) -> &'static str {
        "cool_down_kept"
    }

    fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        let length = at_least(step.world.cool_down());
        for record in step.records {
            match &record.entry {
                Entry::MigrationBegan { vm, reason, .. } => {
                    let halt = matches!(reason, Reason::Bypass { .. });
                    self.stopping.insert(*vm, halt);
                    let Some(Arrival { at, halted, .. }) = self.arrived.get(vm) else {
                        continue;
                    };
                    let excepted = *halted || *reason == Reason::Maintenance;
                    if !excepted && step.now - *at < length {
                        return Err(format!("{vm} arrived at {at} and moves on"));
                    }
                }
                Entry::MigrationEnded {
                    vm, target, moved, ..
                } => {
                    let halt = self.stopping.remove(vm).unwrap_or(false);
                    if *moved {
                        let arrival = Arrival {
                            at: record.at,
                            host: *target,
                            halted: halt,
                        };
                        self.arrived.insert(*vm, arrival);
                    }
                }
                Entry::Fault {
                    fault:
                        Fault::Skew {
                            node, ahead_micros, ..
                        },
                } => {
                    let ahead = ahead_micros.saturating_mul(1_000);
                    for arrival in self.arrived.values_mut() {
                        if arrival.host == *node {
                            let at = arrival.at.as_nanos().saturating_sub(ahead);
                            arrival.at = Instant::from_nanos(at);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
