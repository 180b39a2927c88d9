//! Hypervisors as JSON, by microversion.
//!
//! 2.28 makes `cpu_info` an object, 2.53 the ids UUIDs, 2.75 shows an empty list of servers where
//! one was asked for.

use std::sync::Arc;

use luc_state::{Snapshot, Stored, key};
use serde_json::{Map, Value, json};

use crate::Services;
use crate::compute::host::{CpuInfo, Host, HostUsage};
use crate::compute::model::server::Server;
use crate::compute::services::{shown_id, state, status};
use crate::request::Request;

/// How hypervisors are shown.
pub(super) struct Shown<'a> {
    /// Who knows which hosts are up.
    pub(super) services: &'a Services,
    /// Who asks, in which microversion.
    pub(super) request: &'a Request,
    /// What there is.
    pub(super) snapshot: &'a Snapshot,
    /// Whether all is shown, or id and name only.
    pub(super) detail: bool,
    /// Whether the servers are listed, too.
    pub(super) with_servers: bool,
}

impl Shown<'_> {
    /// Many.
    pub(super) fn all(&self, hosts: &[Arc<Stored<Host>>]) -> Vec<Value> {
        hosts.iter().map(|host| self.one(host)).collect()
    }

    /// One.
    pub(super) fn one(&self, host: &Host) -> Value {
        let mut shown = json!({
            "id": shown_id(self.request, host, host.hypervisor.as_str()),
            "hypervisor_hostname": host.hypervisor_hostname,
            "state": state(self.services, host),
            "status": status(host.disabled),
        });
        if self.detail {
            self.details(host, &mut shown);
        }
        if self.with_servers {
            let servers = self.servers(host);
            if !servers.is_empty() || self.request.version.at_least(2, 75) {
                shown["servers"] = json!(servers);
            }
        }
        shown
    }

    fn details(&self, host: &Host, shown: &mut Value) {
        shown["hypervisor_type"] = json!(host.hypervisor_type);
        shown["hypervisor_version"] = json!(host.hypervisor_version);
        shown["host_ip"] = json!(host.address);
        shown["service"] = json!({
            "id": shown_id(self.request, host, host.service.as_str()),
            "host": host.name,
            "disabled_reason": host.disabled_reason,
        });
        for (name, value) in Figures::of(self.snapshot, host).members() {
            shown[name] = json!(value);
        }
        let cpu = cpu_info(&host.cpu);
        shown["cpu_info"] = if self.request.version.at_least(2, 28) {
            cpu
        } else {
            json!(cpu.to_string())
        };
    }

    fn servers(&self, host: &Host) -> Vec<Value> {
        servers_on(self.snapshot, host)
            .map(|server| json!({"name": server.instance_name(), "uuid": server.id}))
            .collect()
    }
}

/// The servers on `host` of this site; other sites may have a host of that name.
fn servers_on<'s>(
    snapshot: &'s Snapshot,
    host: &Host,
) -> impl Iterator<Item = Arc<Stored<Server>>> + use<'s> {
    let home = snapshot.get::<Host>(&host.name).map(|host| host.home());
    let servers = snapshot.find(&Server::BY_HOST, &key(&[host.name.as_str()]));
    servers.filter(move |server| Some(server.home()) == home)
}

fn cpu_info(cpu: &CpuInfo) -> Value {
    json!({
        "arch": cpu.arch,
        "model": cpu.model,
        "vendor": cpu.vendor,
        "features": cpu.features,
        "topology": {"sockets": cpu.sockets, "cores": cpu.cores, "threads": cpu.threads},
    })
}

/// What a host has and what is claimed of it. Memory in MiB, disk in GiB. What is free is less
/// than nothing where more was promised than there is.
#[derive(Default)]
struct Figures {
    vcpus: i64,
    memory: i64,
    disk: i64,
    vcpus_used: i64,
    memory_used: i64,
    disk_used: i64,
    busy: i64,
    servers: i64,
}

impl Figures {
    fn of(snapshot: &Snapshot, host: &Host) -> Self {
        let usage = snapshot.get::<HostUsage>(&host.name);
        let claimed = usage
            .as_ref()
            .map(|usage| usage.claimed)
            .unwrap_or_default();
        let servers = servers_on(snapshot, host);
        Self {
            vcpus: signed(host.capacity.vcpus.get()),
            memory: signed(host.capacity.memory.get()),
            disk: signed(host.capacity.disk.get()),
            vcpus_used: signed(claimed.vcpus.get()),
            memory_used: signed(claimed.memory.get()),
            disk_used: signed(claimed.disk.get()),
            busy: signed(servers.filter(|server| server.task_state.is_some()).count() as u64),
            servers: signed(usage.map_or(0, |usage| usage.instances)),
        }
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            vcpus: self.vcpus + other.vcpus,
            memory: self.memory + other.memory,
            disk: self.disk + other.disk,
            vcpus_used: self.vcpus_used + other.vcpus_used,
            memory_used: self.memory_used + other.memory_used,
            disk_used: self.disk_used + other.disk_used,
            busy: self.busy + other.busy,
            servers: self.servers + other.servers,
        }
    }

    fn members(&self) -> [(&'static str, i64); 11] {
        [
            ("vcpus", self.vcpus),
            ("memory_mb", self.memory),
            ("local_gb", self.disk),
            ("vcpus_used", self.vcpus_used),
            ("memory_mb_used", self.memory_used),
            ("local_gb_used", self.disk_used),
            ("free_ram_mb", self.memory - self.memory_used),
            ("free_disk_gb", self.disk - self.disk_used),
            ("current_workload", self.busy),
            ("running_vms", self.servers),
            ("disk_available_least", self.disk - self.disk_used),
        ]
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The sums over `hosts`.
pub(super) fn statistics(snapshot: &Snapshot, hosts: &[Arc<Stored<Host>>]) -> Value {
    let each = hosts.iter().map(|host| Figures::of(snapshot, host));
    let total = each.fold(Figures::default(), |total, host| total.plus(&host));
    let sums = total
        .members()
        .into_iter()
        .map(|(name, sum)| (name.to_owned(), json!(sum)));
    let count = ("count".to_owned(), json!(hosts.len()));
    Value::Object(sums.chain([count]).collect::<Map<_, _>>())
}
