//! Hosts come, live and go.
//!
//! A host is registered by its own node when it starts, and again whenever its facts change. Its
//! heartbeats are kept in memory only. A host that falls silent keeps its servers: they may run on;
//! users see their host's status as UNKNOWN, and the scheduler passes it over. Only what it cannot
//! have begun goes elsewhere ([`Keeper`]).

mod keeper;

use std::net::IpAddr;

use luc_api::ApiError;
use luc_core::id::{ComputeServiceId, HypervisorId, NodeId};
use luc_core::time::Timestamp;

use super::host::{AllocationRatios, CpuInfo, Heartbeat, Host, HostUsage, Resources};
use super::write::{WriteError, transact};
use crate::Services;
use crate::ports::Drawn;

pub use keeper::Keeper;

/// What a host says of itself when it registers.
#[derive(Clone, Debug, PartialEq)]
pub struct HostFacts {
    /// Its name, unique in the site.
    pub name: String,
    /// The node that runs it.
    pub node: NodeId,
    /// Its own name for itself.
    pub hypervisor_hostname: String,
    /// Such as `QEMU` or `fake`.
    pub hypervisor_type: String,
    /// As Nova counts it: 10.0.2 is 10 000 002.
    pub hypervisor_version: u32,
    /// Its processor.
    pub cpu: CpuInfo,
    /// Where its node is reached.
    pub address: IpAddr,
    /// What it has.
    pub capacity: Resources,
    /// How many times over that may be promised.
    pub ratios: AllocationRatios,
}

/// Registers a host, or brings its record up to date. What an operator has set (disabled, forced
/// down) and its ids stay. Nothing is written if nothing has changed.
pub async fn register(services: &Services, facts: &HostFacts) -> Result<Host, ApiError> {
    let mut drawn = Drawn(&*services.random);
    let hypervisor = HypervisorId::born_at(services.site, &mut drawn);
    let service = ComputeServiceId::born_at(services.site, &mut drawn);
    let now = services.clock.now();
    let zone = services.compute.zone.as_str();
    let host = transact(&services.store, |tx| -> Result<Host, WriteError> {
        let Some(known) = tx.get::<Host>(&facts.name) else {
            let last = tx.all::<Host>().iter().map(|host| host.number).max();
            let ids = (hypervisor.clone(), service.clone());
            let host = newcomer(facts, ids, last.unwrap_or_default() + 1, zone, now);
            tx.insert(host.clone())?;
            tx.insert(HostUsage::none(&host.name))?;
            return Ok(host);
        };
        let known = known.value();
        let fresh = renewed(known, facts, zone);
        if fresh == *known {
            return Ok(fresh);
        }
        let fresh = Host {
            updated_at: now,
            ..fresh
        };
        tx.update(fresh.clone())?;
        Ok(fresh)
    })
    .await?;
    heartbeat(services, &facts.name, Heartbeat::default());
    Ok(host)
}

fn newcomer(
    facts: &HostFacts,
    (hypervisor, service): (HypervisorId, ComputeServiceId),
    number: u32,
    zone: &str,
    now: Timestamp,
) -> Host {
    Host {
        name: facts.name.clone(),
        node: facts.node.clone(),
        hypervisor,
        service,
        number,
        hypervisor_hostname: facts.hypervisor_hostname.clone(),
        hypervisor_type: facts.hypervisor_type.clone(),
        hypervisor_version: facts.hypervisor_version,
        cpu: facts.cpu.clone(),
        address: facts.address,
        zone: zone.to_owned(),
        capacity: facts.capacity,
        ratios: facts.ratios,
        disabled: false,
        disabled_reason: None,
        forced_down: false,
        created_at: now,
        updated_at: now,
    }
}

fn renewed(known: &Host, facts: &HostFacts, zone: &str) -> Host {
    Host {
        node: facts.node.clone(),
        hypervisor_hostname: facts.hypervisor_hostname.clone(),
        hypervisor_type: facts.hypervisor_type.clone(),
        hypervisor_version: facts.hypervisor_version,
        cpu: facts.cpu.clone(),
        address: facts.address,
        zone: zone.to_owned(),
        capacity: facts.capacity,
        ratios: facts.ratios,
        ..known.clone()
    }
}

/// Notes that `host` lives. Memory only.
pub fn heartbeat(services: &Services, host: &str, heartbeat: Heartbeat) {
    services
        .compute
        .liveness
        .note(host, services.clock.now(), heartbeat);
}

/// Notes that `host` is known to be gone, without waiting for its heartbeats to stop.
pub fn lost(services: &Services, host: &str) {
    services.compute.liveness.forget(host);
}
