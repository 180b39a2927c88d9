//! Small rings: who is overloaded, who has room.

use luc_core::time::Duration;
use luc_core::units::MemoryMib;
use luc_core::{PeerId, SitePrefix, Uuid};
use luc_dvms::{Cpu, Resources, Vm, VmId};

/// A ring of hosts of one core; each has machines of these demands in hundredths of a core.
/// Those that ask for more than 100 are the events.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) demands: Vec<Vec<u32>>,
}

/// The name of a node: the ring is in the order of the names.
pub(crate) const fn peer(node: usize) -> PeerId {
    PeerId::new(SitePrefix::from_bytes([0, 0, 0, 0, 0, 1]), node as u64)
}

/// What every host has.
pub(crate) const fn capacity() -> Resources {
    Resources {
        cpu: Cpu(100),
        memory: MemoryMib(1_000),
        disk: MemoryMib(1_000),
    }
}

/// A machine by its number.
pub(crate) fn vm(number: u64, demand: u32) -> Vm {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Vm {
        id: VmId(Uuid::from_bytes(bytes)),
        demand: Cpu(demand),
        usual: Cpu(demand),
        memory: MemoryMib(100),
        disk: MemoryMib::ZERO,
        dirty_permille: 0,
        cool_down: Duration::ZERO,
        rules: None,
    }
}

fn scene(demands: &[&[u32]]) -> Scene {
    Scene {
        demands: demands.iter().map(|host| host.to_vec()).collect(),
    }
}

/// Two overloads, and one host that has room for both.
pub(crate) fn two_events_one_helper() -> Scene {
    scene(&[&[70, 40], &[60, 50], &[10]])
}

/// One overload, two hosts with room.
pub(crate) fn one_event_two_helpers() -> Scene {
    scene(&[&[70, 40], &[20], &[50]])
}

/// Two overloads side by side, two hosts with room for one machine each.
pub(crate) fn two_events_two_helpers() -> Scene {
    scene(&[&[70, 40], &[60, 50], &[50], &[40]])
}

/// Three overloads, two hosts with room for three machines together.
pub(crate) fn three_events_two_helpers() -> Scene {
    scene(&[&[70, 40], &[60, 50], &[20], &[80, 30], &[50]])
}
