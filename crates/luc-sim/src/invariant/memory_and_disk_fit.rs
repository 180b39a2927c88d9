//! Memory and disk are never promised twice: what runs at a host and what is on its way to it fit.

use luc_core::units::MemoryMib;

use super::{Invariant, Step};
use crate::index::NodeIndex;
use crate::log::Entry;

/// The checker. It keeps nothing: the world has the sums.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryAndDiskFit;

impl Invariant for MemoryAndDiskFit {
    fn name(&self) -> &'static str {
        "memory_and_disk_fit"
    }

    fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        for record in step.records {
            match &record.entry {
                Entry::Expected { target, .. } | Entry::MigrationBegan { target, .. } => {
                    fits(step, *target)?;
                }
                Entry::MigrationEnded { source, target, .. } => {
                    fits(step, *source)?;
                    fits(step, *target)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn fits(step: &Step<'_>, node: NodeIndex) -> Result<(), String> {
    let (hosts, vms) = (step.world.hosts(), step.world.vms());
    let capacity = hosts.capacity(node);
    let memory = hosts.memory_claimed(node);
    if memory > capacity.memory {
        return Err(format!(
            "{memory} of {} are in use at {node}",
            capacity.memory
        ));
    }
    let running = hosts.vms(node).iter().map(|vm| vms.class(*vm).disk_mib);
    let running = MemoryMib(running.map(u64::from).sum());
    let incoming: MemoryMib = hosts.claims(node).iter().map(|one| one.claim.disk).sum();
    let disk = running.plus(incoming);
    if disk > capacity.disk {
        return Err(format!(
            "{disk} of {} of disk are in use at {node}",
            capacity.disk
        ));
    }
    Ok(())
}
