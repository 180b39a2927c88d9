//! How much room a site says it has.

use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use luc_state::Snapshot;

use crate::Services;
use crate::compute::host::{Host, HostUsage, Resources};
use crate::ports::sites::Room;

/// The most of each resource that one host of this site has free, of those that take servers.
/// A hint for other sites: the claim itself is decided in a transaction here. A claim that is
/// larger in anything fits on no host; a smaller one may still, if one host has the processors and
/// another the memory, and is then refused here and made elsewhere.
pub fn room(services: &Services, snapshot: &Snapshot) -> Room {
    let open = |host: &Host| !host.disabled && services.compute.liveness.is_up(host);
    let hosts = snapshot.all::<Host>().filter(|host| open(host));
    most(hosts.map(|host| {
        let usage = snapshot.get::<HostUsage>(&host.name);
        let claimed = usage.map(|usage| usage.claimed).unwrap_or_default();
        host.promisable().minus(claimed)
    }))
}

/// The most of each of what is `free` on hosts.
fn most(free: impl Iterator<Item = Resources>) -> Room {
    free.fold(Room::default(), |most, host| Room {
        vcpus: most.vcpus.max(Vcpus::get(host.vcpus)),
        memory_mib: most.memory_mib.max(MemoryMib::get(host.memory)),
        disk_gib: most.disk_gib.max(DiskGib::get(host.disk)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_memory_and_no_processors_does_not_hide_one_with_both() {
        let host = |vcpus, memory, disk| Resources {
            vcpus: Vcpus(vcpus),
            memory: MemoryMib(memory),
            disk: DiskGib(disk),
        };
        let hosts = [host(0, 65_536, 10), host(8, 4_096, 40)];
        let room = most(hosts.into_iter());
        assert_eq!(
            (room.vcpus, room.memory_mib, room.disk_gib),
            (8, 65_536, 40)
        );
        assert_eq!(most(std::iter::empty()), Room::default());
    }
}
