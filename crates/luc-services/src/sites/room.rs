//! How much room a site says it has.

use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use luc_state::Snapshot;

use crate::Services;
use crate::compute::host::{Host, HostUsage};
use crate::ports::sites::Room;

/// What is free on the host of this site with the most free memory, of those that take servers.
/// A hint for other sites: the claim itself is decided in a transaction here.
pub fn room(services: &Services, snapshot: &Snapshot) -> Room {
    let open = |host: &Host| !host.disabled && services.compute.liveness.is_up(host);
    let hosts = snapshot.all::<Host>().filter(|host| open(host));
    let free = hosts.map(|host| {
        let usage = snapshot.get::<HostUsage>(&host.name);
        let claimed = usage.map(|usage| usage.claimed).unwrap_or_default();
        host.promisable().minus(claimed)
    });
    let most = free.max_by_key(|free| (free.memory, free.vcpus, free.disk));
    let most = most.unwrap_or_default();
    Room {
        vcpus: Vcpus::get(most.vcpus),
        memory_mib: MemoryMib::get(most.memory),
        disk_gib: DiskGib::get(most.disk),
    }
}
