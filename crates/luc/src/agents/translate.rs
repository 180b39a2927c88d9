//! What the compute service calls things, in the agent's words, and back. Pure.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use luc_agent::desired::{
    BootData, Build, DesiredPower, DesiredServer, DiskFormat, Generation, ImageSource, Nic,
    PlacementRules, Presence, PublicKey, RebootKind, RebootNonce, RebootRequest, Secret, Shape,
};
use luc_agent::driver::{Stats, Step};
use luc_agent::host::Heartbeat as AgentHeartbeat;
use luc_agent::observed::{Observed, Phase as Seen, PowerState as SeenPower};
use luc_core::SitePrefix;
use luc_core::id::NodeId;
use luc_core::units::Bytes;
use luc_services::compute::host::{AllocationRatios, CpuInfo, Heartbeat, Resources};
use luc_services::compute::hosts::HostFacts;
use luc_services::compute::model::server::{self, Connection, Goal, ImageCopy};
use luc_services::compute::progress::{Phase, Report};
use luc_services::compute::server::outcome::Stage;
use luc_services::compute::server::state::PowerState;
use luc_services::compute::wanted::Wanted;
use luc_services::image::model::Image;
use luc_state::Snapshot;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// TCP ports of a guest with user-mode networking that get a port of the host's loopback.
const FORWARDED: [u16; 2] = [22, 80];

/// How many times over a host's resources may be promised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratios {
    /// Of virtual processors.
    pub cpu: f64,
    /// Of memory.
    pub ram: f64,
    /// Of disk.
    pub disk: f64,
}

impl Default for Ratios {
    fn default() -> Self {
        Self {
            cpu: 4.0,
            ram: 1.0,
            disk: 1.0,
        }
    }
}

/// A wish of the compute service as the agent reads it, for a server that may run where `rules`
/// say.
pub(super) fn wish(
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    zone: &str,
    rules: PlacementRules,
) -> DesiredServer {
    let server = wanted.server;
    let (presence, power, hold) = match wanted.goal {
        Goal::Running => (Presence::Present, DesiredPower::Running, false),
        Goal::Stopped => (Presence::Present, DesiredPower::Stopped, false),
        Goal::Paused => (Presence::Present, DesiredPower::Paused, false),
        Goal::Suspended => (Presence::Present, DesiredPower::Suspended, false),
        Goal::Absent => (Presence::Deleted, DesiredPower::Stopped, false),
        Goal::AsIs => (Presence::Present, DesiredPower::Stopped, true),
    };
    let flavor = wanted.flavor;
    DesiredServer {
        id: server.id.clone(),
        generation: Generation(wanted.generation),
        name: server.name.clone(),
        project: server.project.clone(),
        presence,
        power,
        hold,
        shape: Shape {
            vcpus: flavor.vcpus,
            memory: flavor.ram,
            root_disk: flavor.disk,
            ephemeral: flavor.ephemeral,
            swap: flavor.swap,
        },
        keep_previous: wanted.keep_previous,
        build: Build(wanted.build),
        seen_build: wanted.built.map(Build),
        image: Some(image(snapshot, &server.image)),
        reboot: wanted.reboot.map(|reboot| RebootRequest {
            kind: match reboot.kind {
                server::RebootKind::Soft => RebootKind::Soft,
                server::RebootKind::Hard => RebootKind::Hard,
            },
            nonce: RebootNonce(reboot.number),
        }),
        boot: boot(server, zone),
        nic: match server.connection {
            Connection::None => Nic::None,
            Connection::Auto => Nic::UserMode {
                mac: None,
                forward: FORWARDED.to_vec(),
            },
        },
        rules: Some(rules),
    }
}

/// Where the root disk comes from. An image that is gone has no hash: a host that has its disk
/// already never looks, and one that has not refuses it with its id.
fn image(snapshot: &Snapshot, copy: &ImageCopy) -> ImageSource {
    let record = snapshot.get::<Image>(copy.id.as_str());
    let data = record.as_ref().and_then(|image| image.data.as_ref());
    let qcow2 = record
        .as_ref()
        .is_some_and(|image| image.disk_format.as_deref() == Some("qcow2"));
    ImageSource {
        id: copy.id.clone(),
        sha512: data.map(|data| data.sha512.clone()).unwrap_or_default(),
        disk_format: if qcow2 {
            DiskFormat::Qcow2
        } else {
            DiskFormat::Raw
        },
        size: Bytes(data.map_or(0, |data| data.size)),
    }
}

fn boot(server: &server::Server, zone: &str) -> BootData {
    let personal = &server.personal;
    BootData {
        hostname: personal.hostname.clone(),
        metadata: server.metadata.clone(),
        user_data: personal
            .user_data
            .as_deref()
            .and_then(|text| BASE64.decode(text).ok()),
        keys: personal
            .key
            .iter()
            .map(|login| PublicKey {
                name: login.name.clone(),
                key: login.public_key.clone(),
            })
            .collect(),
        admin_password: personal
            .admin_pass
            .as_ref()
            .map(|pass| Secret::new(pass.reveal())),
        availability_zone: zone.to_owned(),
        launch_index: u64::from(server.launch_index),
    }
}

/// What a host saw, as the compute service takes it; nothing for what it does not know.
pub(super) fn report(host: &str, seen: &Observed) -> Option<Report> {
    let phase = match seen.phase {
        Seen::Working(step) | Seen::Retrying(step) => Phase::Working(stage(step)),
        Seen::Settled | Seen::Held => Phase::Settled,
        Seen::Drifted => Phase::Drifted,
        Seen::Failed => {
            let fault = seen.fault.clone();
            let message = fault.as_ref().map(|fault| fault.message.clone());
            Phase::Failed {
                message: message.unwrap_or_else(|| "The host gave no reason.".to_owned()),
                details: fault.map(|fault| fault.details),
            }
        }
        Seen::Gone => Phase::Gone,
        Seen::Orphaned => return None,
    };
    Some(Report {
        host: host.to_owned(),
        server: seen.id.clone(),
        generation: seen.generation.0,
        phase,
        power: match seen.power {
            SeenPower::NoState => PowerState::NoState,
            SeenPower::Running => PowerState::Running,
            SeenPower::Paused => PowerState::Paused,
            SeenPower::Shutdown => PowerState::Shutdown,
            SeenPower::Crashed => PowerState::Crashed,
            SeenPower::Suspended => PowerState::Suspended,
        },
        addresses: seen.addresses.clone(),
        mac: seen.mac.clone(),
    })
}

fn stage(step: Step) -> Stage {
    match step {
        Step::Build => Stage::Disks,
        _ => Stage::Hypervisor,
    }
}

/// What a host says of itself when it registers.
pub(super) fn host_facts(
    host: &str,
    site: SitePrefix,
    address: IpAddr,
    heartbeat: &AgentHeartbeat,
    ratios: Ratios,
) -> HostFacts {
    let facts = &heartbeat.facts;
    let capacity = Resources {
        vcpus: facts.vcpus,
        memory: facts.memory,
        disk: facts.disk,
    };
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    HostFacts {
        name: host.to_owned(),
        node: node_id(site, host),
        hypervisor_hostname: host.to_owned(),
        hypervisor_type: heartbeat.hypervisor_type.clone(),
        hypervisor_version: count(heartbeat.hypervisor_version),
        cpu: CpuInfo {
            arch: facts.cpu.arch.clone(),
            model: facts.cpu.model.clone(),
            vendor: facts.cpu.vendor.clone(),
            features: facts.cpu.features.clone(),
            sockets: count(facts.cpu.sockets),
            cores: count(facts.cpu.cores),
            threads: count(facts.cpu.threads),
        },
        address,
        capacity,
        ratios: AllocationRatios {
            vcpus: ratios.cpu,
            memory: ratios.ram,
            disk: ratios.disk,
        },
    }
}

/// The id of a node that has no key of its own yet: the same for the same name in the same site.
fn node_id(site: SitePrefix, host: &str) -> NodeId {
    let digest = SitePrefix::of_key(host.as_bytes());
    let mut entropy = luc_core::entropy::SplitMix64::new(
        digest
            .as_bytes()
            .iter()
            .fold(0, |seed, byte| seed << 8 | u64::from(*byte)),
    );
    NodeId::born_at(site, &mut entropy)
}

/// The part of a heartbeat that is kept in memory.
pub(super) fn sign_of_life(heartbeat: &AgentHeartbeat) -> Heartbeat {
    let facts = &heartbeat.facts;
    Heartbeat {
        uptime: Some(Duration::from_secs(facts.uptime_secs)),
        load: Some(facts.load_centi.map(|centi| f64::from(centi) / 100.0)),
        ..Heartbeat::default()
    }
}

/// Measurements in the form of microversion 2.48 of the diagnostics API, as far as a host knows
/// them.
pub fn diagnostics(stats: &Stats) -> Value {
    let nanos = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let cpus: Vec<Value> = stats
        .vcpu_times
        .iter()
        .enumerate()
        .map(|(id, time)| json!({"id": id, "time": nanos(time), "utilisation": null}))
        .collect();
    json!({
        "cpu_details": cpus,
        "num_cpus": cpus.len(),
        "memory_details": {"maximum": null, "used": stats.memory_resident.get() >> 20},
    })
}
