//! Every machine runs at exactly one host.
//!
//! The world keeps the machine's host and the host's list of machines; both must say the same
//! after every migration. No machine may be on two migrations at once, and a source must not be
//! told to send a machine that has moved away.

use std::collections::BTreeMap;

use super::{Invariant, Step};
use crate::index::{NodeIndex, VmIndex};
use crate::log::Entry;

/// The checker.
#[derive(Clone, Debug, Default)]
pub struct OneHostPerVm {
    /// Machines on their way: from where to where.
    moving: BTreeMap<VmIndex, (NodeIndex, NodeIndex)>,
}

impl Invariant for OneHostPerVm {
    fn name(&self) -> &'static str {
        "one_host_per_vm"
    }

    fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        for record in step.records {
            match &record.entry {
                Entry::MigrationBegan {
                    vm, source, target, ..
                } => {
                    if let Some((from, to)) = self.moving.insert(*vm, (*source, *target)) {
                        return Err(format!(
                            "{vm} is on its way from {from} to {to} and was sent to {target}"
                        ));
                    }
                }
                Entry::MigrationEnded {
                    vm,
                    source,
                    target,
                    moved,
                    ..
                } => {
                    self.moving.remove(vm);
                    let host = if *moved { target } else { source };
                    at_one_host(step, *vm, *host, [*source, *target])?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn at_one_host(
    step: &Step<'_>,
    vm: VmIndex,
    wanted: NodeIndex,
    ends: [NodeIndex; 2],
) -> Result<(), String> {
    let hosts = step.world.hosts();
    let at: Vec<NodeIndex> = ends
        .into_iter()
        .filter(|node| hosts.vms(*node).binary_search(&vm).is_ok())
        .collect();
    let said = step.world.vms().host(vm);
    if at == [wanted] && said == wanted {
        return Ok(());
    }
    Err(format!(
        "{vm} should run at {wanted}, is listed at {at:?} and says {said}"
    ))
}
