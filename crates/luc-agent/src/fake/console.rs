//! The serial console of a guest that does not exist.
//!
//! Made from what is known of the server when somebody asks, so it costs nothing to keep.

use std::fmt::Write as _;

use luc_core::units::{MemoryMib, Vcpus};

/// Boots that are still on the console; a real one is bounded too.
const BOOTS_SHOWN: u32 = 4;

/// What a console shows.
pub(super) struct Guest<'a> {
    pub(super) hostname: &'a str,
    pub(super) vcpus: Vcpus,
    pub(super) memory: MemoryMib,
    /// How often it was started.
    pub(super) boots: u32,
    /// The last boot has ended with an orderly shutdown.
    pub(super) shut_down: bool,
    /// The last boot has ended with a panic.
    pub(super) panicked: bool,
}

/// The whole console.
pub(super) fn log(guest: &Guest<'_>) -> String {
    let mut log = String::new();
    for boot in guest.boots.saturating_sub(BOOTS_SHOWN)..guest.boots {
        let last = boot + 1 == guest.boots;
        // Writing to a string cannot fail.
        let _ = write_boot(&mut log, guest, last);
    }
    log
}

fn write_boot(log: &mut String, guest: &Guest<'_>, last: bool) -> std::fmt::Result {
    let Guest {
        hostname,
        vcpus,
        memory,
        ..
    } = guest;
    writeln!(
        log,
        "[    0.000000] Linux version 6.1.0-luc-fake (luc) #1 SMP"
    )?;
    writeln!(log, "[    0.000000] Command line: console=ttyS0 quiet")?;
    writeln!(
        log,
        "[    0.012000] Memory: {}K available",
        memory.get() * 1024
    )?;
    writeln!(
        log,
        "[    0.020000] smp: Brought up 1 node, {} CPUs",
        vcpus.get()
    )?;
    writeln!(log, "[    0.310000] virtio_blk virtio1: [vda] ready")?;
    writeln!(log, "[    0.480000] Run /sbin/init as init process")?;
    writeln!(log, "{hostname} login:")?;
    match (last, guest.shut_down, guest.panicked) {
        (true, false, false) => Ok(()),
        (true, _, true) => {
            writeln!(
                log,
                "[   60.000000] Kernel panic - not syncing: made to by the fake driver"
            )
        }
        (_, _, _) => writeln!(log, "[   60.000000] reboot: Power down"),
    }
}
