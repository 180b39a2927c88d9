//! What the host is: processors, memory and disk for the hypervisor record, and the heartbeat that
//! carries it.
//!
//! Facts are read from `/proc` and from the file system that holds the servers. What cannot be
//! read is left at zero or empty; a host that hides its processor's name still runs guests.

use std::path::Path;

use luc_core::id::ServerId;
use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use serde::{Deserialize, Serialize};

/// The host's processor, as the hypervisor record shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuInfo {
    /// Instruction set (`x86_64`).
    pub arch: String,
    /// Who made it (`GenuineIntel`).
    pub vendor: String,
    /// What it is called.
    pub model: String,
    /// Sockets.
    pub sockets: u64,
    /// Cores in each socket.
    pub cores: u64,
    /// Threads in each core.
    pub threads: u64,
    /// Feature flags.
    pub features: Vec<String>,
}

/// What the host has, whether used or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The host's own name.
    pub hostname: String,
    /// Processors.
    pub vcpus: Vcpus,
    /// Memory.
    pub memory: MemoryMib,
    /// Memory that a new process could take now.
    pub memory_available: MemoryMib,
    /// The file system that holds the servers.
    pub disk: DiskGib,
    /// Its free space.
    pub disk_free: DiskGib,
    /// The processor.
    pub cpu: CpuInfo,
    /// Load averages of 1, 5 and 15 minutes in hundredths.
    pub load_centi: [u32; 3],
    /// Seconds since the host was started.
    pub uptime_secs: u64,
}

/// A sign of life with what the host is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// What the host has.
    pub facts: HostFacts,
    /// The hypervisor's type (`QEMU`, `fake`).
    pub hypervisor_type: String,
    /// The hypervisor's version, major × 1 000 000 + minor × 1 000 + micro.
    pub hypervisor_version: u64,
    /// Facts of the driver for the operator: accelerator, isolation.
    pub driver_facts: Vec<(String, String)>,
    /// Servers on this host that the controller knows nothing of.
    pub orphans: Vec<ServerId>,
}

impl HostFacts {
    /// Reads the facts of this host; `disk_at` lies on the file system that holds the servers.
    pub fn read(disk_at: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let meminfo = read("/proc/meminfo");
        let (disk, disk_free) = disk_space(disk_at);
        let cpu = cpu_info(&read("/proc/cpuinfo"));
        let vcpus = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        Self {
            hostname: read("/proc/sys/kernel/hostname").trim().to_owned(),
            vcpus: Vcpus(vcpus),
            memory: meminfo_mib(&meminfo, "MemTotal:"),
            memory_available: meminfo_mib(&meminfo, "MemAvailable:"),
            disk,
            disk_free,
            cpu,
            load_centi: load_centi(&read("/proc/loadavg")),
            uptime_secs: read("/proc/uptime")
                .split(['.', ' '])
                .next()
                .and_then(|secs| secs.parse().ok())
                .unwrap_or(0),
        }
    }
}

fn meminfo_mib(meminfo: &str, key: &str) -> MemoryMib {
    let kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok());
    MemoryMib(kib.unwrap_or(0) / 1024)
}

fn disk_space(at: &Path) -> (DiskGib, DiskGib) {
    rustix::fs::statvfs(at).map_or((DiskGib::ZERO, DiskGib::ZERO), |stat| {
        let gib = |blocks: u64| DiskGib(blocks.saturating_mul(stat.f_frsize) >> 30);
        (gib(stat.f_blocks), gib(stat.f_bavail))
    })
}

fn load_centi(loadavg: &str) -> [u32; 3] {
    let mut loads = [0; 3];
    for (load, word) in loads.iter_mut().zip(loadavg.split_whitespace()) {
        *load = word
            .parse::<f64>()
            .map_or(0, |value| (value * 100.0) as u32);
    }
    loads
}

fn cpu_info(cpuinfo: &str) -> CpuInfo {
    let value = |key: &str| {
        cpuinfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let count = |key: &str| value(key).parse::<u64>().unwrap_or(1).max(1);
    let processors = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count() as u64;
    let (cores, siblings) = (count("cpu cores"), count("siblings"));
    CpuInfo {
        arch: std::env::consts::ARCH.to_owned(),
        vendor: value("vendor_id"),
        model: value("model name"),
        sockets: (processors / siblings).max(1),
        cores,
        threads: (siblings / cores).max(1),
        features: value("flags")
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUINFO: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon X\n\
        siblings\t: 4\ncpu cores\t: 2\nflags\t\t: fpu sse2 vmx\n\nprocessor\t: 1\n\n\
        processor\t: 2\n\nprocessor\t: 3\n\nprocessor\t: 4\n\nprocessor\t: 5\n\n\
        processor\t: 6\n\nprocessor\t: 7\n";

    #[test]
    fn the_topology_is_sockets_of_cores_of_threads() {
        let cpu = cpu_info(CPUINFO);
        assert_eq!((cpu.sockets, cpu.cores, cpu.threads), (2, 2, 2));
        assert_eq!(
            (cpu.vendor.as_str(), cpu.model.as_str()),
            ("GenuineIntel", "Xeon X")
        );
        assert_eq!(cpu.features, ["fpu", "sse2", "vmx"]);
    }

    #[test]
    fn a_processor_that_says_nothing_is_one_socket_of_one_core() {
        let cpu = cpu_info("");
        assert_eq!((cpu.sockets, cpu.cores, cpu.threads), (1, 1, 1));
    }

    #[test]
    fn this_host_has_processors_memory_and_disk() {
        let facts = HostFacts::read(Path::new("/"));
        assert!(facts.vcpus.get() >= 1);
        assert!(facts.memory.get() > 100);
        assert!(facts.memory_available <= facts.memory);
        assert!(facts.disk >= facts.disk_free);
        assert!(facts.uptime_secs > 0);
    }

    #[test]
    fn load_averages_are_read_in_hundredths() {
        assert_eq!(load_centi("0.50 1.25 12.00 2/300 4711\n"), [50, 125, 1200]);
        assert_eq!(load_centi(""), [0, 0, 0]);
    }
}
