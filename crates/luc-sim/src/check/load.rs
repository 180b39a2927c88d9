//! The load of a case: hosts near or above their limits, or near to empty where hosts may sleep.

use luc_core::time::Duration;

use super::case::{Dice, RESTING, TROUBLED};
use crate::trace::{Generator, Load, Phase, Trace};
use crate::world::{HostClass, VmClass};

/// Loads near or above what the cloud can serve, changing often; low at the end.
pub(super) fn heavy(dice: &mut Dice, (seed, storm): (u64, bool), nodes: u32, sites: u32) -> Trace {
    let share = |site| nodes / sites + u32::from(site < nodes % sites);
    let per_node = dice.between(4, 10) as u32;
    let cpu = per_node * 70;
    let generator = Generator {
        sites: (0..sites).map(share).collect(),
        vms: nodes * per_node,
        host: HostClass {
            cpu,
            memory_mib: u64::from(per_node) * 1_024 * 2,
            ..HostClass::VMPLACES
        },
        // Small machines move fast, so that orders of one partition are late in the next.
        vm_classes: [128, 256, 512, 1_024]
            .map(|memory_mib| VmClass {
                memory_mib: if storm { memory_mib / 8 } else { memory_mib },
                disk_mib: 0,
                dirty_permille: 300,
            })
            .to_vec(),
        change_every: Duration::from_secs(dice.between(8, if storm { 20 } else { 60 })),
        phases: vec![Phase {
            until: Duration::MAX,
            // With room left somewhere, partitions that meet are solved together.
            mean: dice.between(if storm { 55 } else { 45 }, if storm { 70 } else { 75 }) as f64,
            deviation: dice.between(if storm { 30 } else { 15 }, 40) as f64,
        }],
        site_means: Vec::new(),
        duration: TROUBLED,
        seed,
    };
    at_last_low(&generator)
}

/// Low loads, then high ones, then low ones again: hosts are emptied, sleep and are missed.
pub(super) fn by_turns(dice: &mut Dice, seed: u64, nodes: u32, sites: u32) -> Trace {
    let share = |site| nodes / sites + u32::from(site < nodes % sites);
    let per_node = dice.between(2, 8) as u32;
    let busy = Duration::from_secs(dice.between(40, 80));
    let phase = |until: Duration, mean: u64, deviation: u64| Phase {
        until,
        mean: mean as f64,
        deviation: deviation as f64,
    };
    let (low, high) = (dice.between(5, 25), dice.between(40, 70));
    let generator = Generator {
        sites: (0..sites).map(share).collect(),
        vms: nodes * per_node,
        host: HostClass {
            cpu: per_node * 80,
            memory_mib: u64::from(per_node) * 1_024 * dice.between(2, 4),
            ..HostClass::VMPLACES
        },
        vm_classes: [64, 128, 256]
            .map(|memory_mib| VmClass {
                memory_mib,
                disk_mib: 0,
                dirty_permille: 300,
            })
            .to_vec(),
        change_every: Duration::from_secs(dice.between(8, 40)),
        phases: vec![
            phase(busy, low, 10),
            phase(busy + Duration::from_secs(30), high, 30),
            phase(Duration::MAX, low, 10),
        ],
        site_means: Vec::new(),
        duration: TROUBLED,
        seed,
    };
    at_last_low(&generator)
}

/// The trace, with every load low from the end of all trouble on.
fn at_last_low(generator: &Generator) -> Trace {
    let nodes = generator.sites.iter().sum();
    let mut trace = generator.generate().unwrap_or_else(|_| empty(nodes));
    let end_us = TROUBLED.as_micros() as u64;
    trace.loads.extend((0..trace.header.vms).map(|vm| Load {
        at_us: end_us,
        vm,
        cpu: 20,
    }));
    trace.header.duration_ms = (TROUBLED + RESTING).as_millis() as u64;
    trace
}

/// A cloud without machines; what is drawn above is always possible, so it is never used.
fn empty(nodes: u32) -> Trace {
    let mut generator = Generator::vmplaces(vec![nodes], 0, 0);
    generator.duration = TROUBLED;
    generator.generate().unwrap_or_else(|_| Trace {
        header: crate::trace::Header {
            format: crate::trace::FORMAT.into(),
            version: crate::trace::VERSION,
            description: String::new(),
            sites: vec![nodes],
            host_classes: vec![HostClass::VMPLACES],
            hosts: Vec::new(),
            vm_classes: Vec::new(),
            vms: 0,
            duration_ms: 1,
        },
        placement: Vec::new(),
        loads: Vec::new(),
    })
}
