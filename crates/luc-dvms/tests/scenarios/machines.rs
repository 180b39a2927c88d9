//! Hosts and machines to write scenarios with.

use luc_core::Uuid;
use luc_core::time::Duration;
use luc_core::units::MemoryMib;
use luc_dvms::{Cpu, Host, Resources, Vm, VmId};

use super::harness::peer;

/// A machine by its number, with a demand in hundredths of a core and memory in MiB.
pub(crate) fn vm(number: u64, demand: u32, memory: u64) -> Vm {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Vm {
        id: VmId(Uuid::from_bytes(bytes)),
        demand: Cpu(demand),
        usual: Cpu(demand),
        memory: MemoryMib(memory),
        disk: MemoryMib::ZERO,
        dirty_permille: 0,
        cool_down: Duration::ZERO,
        rules: None,
    }
}

/// A host of one core and `memory` MiB with machines of these demands and memories.
pub(crate) fn host(number: u64, memory: u64, machines: &[(u32, u64)]) -> Host {
    let machines = machines.iter().zip(number * 100..);
    Host {
        peer: peer(number),
        capacity: Resources {
            cpu: Cpu(100),
            memory: MemoryMib(memory),
            disk: MemoryMib(1 << 20),
        },
        vms: machines
            .map(|((demand, memory), id)| vm(id, *demand, *memory))
            .collect(),
        incoming: Resources::default(),
        migrations: 0,
        bandwidth_mbps: 1000,
        maintenance: false,
        vigil: true,
        asleep: false,
        labels: Vec::new(),
    }
}

/// An overload whose smallest machine asks for little processor time and much memory.
pub(crate) fn wide(number: u64) -> Host {
    host(number, 1000, &[(70, 300), (40, 600)])
}

/// Room for processor time, not for memory: no help for [`wide`], some for [`tall`].
pub(crate) fn room_for_tall(number: u64) -> Host {
    host(number, 1000, &[(45, 900)])
}

/// An overload whose smallest machine asks for more processor time and little memory.
pub(crate) fn tall(number: u64) -> Host {
    host(number, 1000, &[(60, 50), (50, 50)])
}

/// Room for memory, and for less processor time: no help for [`tall`], some for [`wide`].
pub(crate) fn room_for_wide(number: u64) -> Host {
    host(number, 1000, &[(55, 100)])
}

/// No room at all.
pub(crate) fn full(number: u64) -> Host {
    host(number, 1000, &[(98, 990)])
}
