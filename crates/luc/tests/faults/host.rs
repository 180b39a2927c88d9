//! A host that takes what it is given and never says what became of it.

use std::net::{IpAddr, Ipv4Addr};

use luc_core::id::NodeId;
use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use luc_services::Services;
use luc_services::compute::host::{AllocationRatios, CpuInfo, Heartbeat, Resources};
use luc_services::compute::hosts::{self, HostFacts};

/// Its name.
const NAME: &str = "host";

/// Makes the host known; its heartbeat counts for the whole run, which takes no minute.
pub(crate) async fn join(services: &Services, lossy: bool) {
    let known = hosts::register(services, &facts()).await;
    assert!(known.is_ok() || lossy, "{:?}", known.err());
    hosts::heartbeat(services, NAME, Heartbeat::default());
}

/// A host with room for four of the smallest servers.
fn facts() -> HostFacts {
    HostFacts {
        name: NAME.to_owned(),
        node: NodeId::parse("node").expect("an id"),
        hypervisor_hostname: "host.example".to_owned(),
        hypervisor_type: "fake".to_owned(),
        hypervisor_version: 1,
        cpu: CpuInfo {
            arch: "x86_64".to_owned(),
            model: "m".to_owned(),
            vendor: "v".to_owned(),
            features: Vec::new(),
            sockets: 1,
            cores: 4,
            threads: 1,
        },
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        capacity: Resources {
            vcpus: Vcpus(4),
            memory: MemoryMib(8192),
            disk: DiskGib(100),
        },
        ratios: AllocationRatios {
            vcpus: 1.0,
            memory: 1.0,
            disk: 1.0,
        },
    }
}
