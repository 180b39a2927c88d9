//! Servers and hosts for unit tests.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use luc_core::id::{
    ComputeServiceId, FlavorId, HypervisorId, ImageId, NodeId, ProjectId, ServerId, UserId,
};
use luc_core::time::Timestamp;
use luc_core::units::{DiskGib, MemoryMib, Vcpus};

use super::state::{PowerState, VmState};
use crate::compute::host::{AllocationRatios, CpuInfo, Host, Resources};
use crate::compute::model::server::{
    Connection, FlavorCopy, ImageCopy, Personal, Placement, Server,
};

/// The moment at which everything in unit tests happens.
pub(in crate::compute) const NOON: Timestamp = Timestamp::from_unix_secs(1_795_348_800);

/// So many of each.
pub(in crate::compute) const fn resources(vcpus: u64, memory: u64, disk: u64) -> Resources {
    Resources {
        vcpus: Vcpus(vcpus),
        memory: MemoryMib(memory),
        disk: DiskGib(disk),
    }
}

/// The id of the server with this number.
pub(in crate::compute) fn server_id(number: u32) -> ServerId {
    ServerId::parse(&format!("00000000-0000-8000-8000-0000{number:08x}")).unwrap()
}

/// One vCPU, 512 MiB, 1 GiB.
pub(in crate::compute) fn flavor() -> FlavorCopy {
    FlavorCopy {
        id: FlavorId::parse("1").unwrap(),
        name: "m1.tiny".to_owned(),
        vcpus: Vcpus(1),
        ram: MemoryMib(512),
        disk: DiskGib(1),
        ephemeral: DiskGib::ZERO,
        swap: MemoryMib::ZERO,
        extra_specs: BTreeMap::new(),
    }
}

/// A running server on host `n1`.
pub(in crate::compute) fn active(number: u32) -> Server {
    Server {
        placement: Some(Placement {
            host: "n1".to_owned(),
            hypervisor_hostname: "n1.site".to_owned(),
            claim: resources(1, 512, 1),
        }),
        vm_state: VmState::Active,
        task_state: None,
        power_state: PowerState::Running,
        launched_at: Some(NOON),
        built: Some(0),
        ..planned(number)
    }
}

/// A server without a host.
pub(in crate::compute) fn planned(number: u32) -> Server {
    let image = ImageCopy {
        id: ImageId::parse("e2855334-f19e-461d-a1eb-a318686aa4c2").unwrap(),
        min_disk: DiskGib::ZERO,
        min_ram: MemoryMib::ZERO,
        disk: DiskGib(1),
        properties: BTreeMap::new(),
    };
    let personal = Personal {
        hostname: format!("server-{number}"),
        key: None,
        user_data: None,
        files: Vec::new(),
        config_drive: false,
        admin_pass: None,
    };
    let owner = (
        ProjectId::parse("p1").unwrap(),
        UserId::parse("u1").unwrap(),
    );
    Server {
        name: format!("server-{number}"),
        connection: Connection::Auto,
        reservation: "r-0kf8odm1".to_owned(),
        ..Server::unborn(server_id(number), owner, (flavor(), image), personal, NOON)
    }
}

/// A host of this name with four processors, 4 GiB and 40 GiB, each promised once.
pub(in crate::compute) fn host(name: &str) -> Host {
    let number = name.bytes().map(u32::from).sum();
    Host {
        name: name.to_owned(),
        node: NodeId::parse(&format!("node-{name}")).unwrap(),
        hypervisor: HypervisorId::parse(&format!("hypervisor-{name}")).unwrap(),
        service: ComputeServiceId::parse(&format!("service-{name}")).unwrap(),
        number,
        hypervisor_hostname: format!("{name}.site"),
        hypervisor_type: "fake".to_owned(),
        hypervisor_version: 1_000_000,
        cpu: CpuInfo {
            arch: "x86_64".to_owned(),
            ..CpuInfo::default()
        },
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        zone: "paris".to_owned(),
        capacity: resources(4, 4096, 40),
        ratios: AllocationRatios {
            vcpus: 1.0,
            memory: 1.0,
            disk: 1.0,
        },
        disabled: false,
        disabled_reason: None,
        forced_down: false,
        created_at: NOON,
        updated_at: NOON,
    }
}
