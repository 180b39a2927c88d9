//! No machine moves twice within its cool-down, evacuation excepted.
//!
//! A stop on the way of a bypass is no move of its own: the step that takes the machine on may
//! follow at once.

use std::collections::BTreeMap;

use luc_core::time::Instant;
use luc_dvms::Reason;

use super::{Invariant, Step, at_least};
use crate::index::VmIndex;
use crate::log::Entry;

/// The checker.
#[derive(Clone, Debug, Default)]
pub struct CoolDownKept {
    /// When each machine arrived, and whether it only stopped there.
    arrived: BTreeMap<VmIndex, (Instant, bool)>,
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
                    let Some((at, stopped)) = self.arrived.get(vm) else {
                        continue;
                    };
                    let excepted = *stopped || *reason == Reason::Maintenance;
                    if !excepted && step.now - *at < length {
                        return Err(format!("{vm} arrived at {at} and moves on"));
                    }
                }
                Entry::MigrationEnded { vm, moved, .. } => {
                    let halt = self.stopping.remove(vm).unwrap_or(false);
                    if *moved {
                        self.arrived.insert(*vm, (record.at, halt));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
