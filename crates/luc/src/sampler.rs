//! Tells a node's brain each second how its host is: what it has, and what its machines ask for.
//!
//! What a machine asks for is the processor time it got and the time it waited for a processor,
//! over the last second; its usual demand is a moving mean over five minutes. Memory and disk are
//! those of its flavor. Where it may run is in the controller's wish ([`places`]).
//!
//! Of machines that do not run only those of server groups and hints are told, with no load: their
//! group keeps others from this host, or here. They themselves are moved by nobody.

mod places;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use luc_agent::agent::Agent;
use luc_agent::desired::{DesiredServer, Presence};
use luc_agent::driver::{Actual, Stats};
use luc_agent::host::HostFacts;
use luc_agent::observed::PowerState;
use luc_core::id::ServerId;
use luc_core::units::MemoryMib;
use luc_core::{PeerId, Uuid};
use luc_dvms::host::Label;
use luc_dvms::{Cpu, Host, Resources, Vm, VmId};
use luc_runtime::brain::BrainHandle;
use tokio::time::Instant;

use crate::sites::Membership;
use places::Places;

/// How often the host is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// Over how long the usual demand is a mean.
const USUAL_OVER: f64 = 300.0;
/// What a migration may use of the host's link.
const BANDWIDTH_MBPS: u32 = 1000;

/// What was measured of a machine the last time.
#[derive(Clone, Copy)]
struct Meter {
    asked: Duration,
    at: Instant,
    usual: f64,
}

/// One host, looked at over and over.
pub struct Sampler {
    peer: PeerId,
    agent: Arc<Agent>,
    vigil: bool,
    places: Places,
    meters: BTreeMap<ServerId, Meter>,
}

impl Sampler {
    /// The host of `agent`, which brains know as `peer`; they know other hosts as `membership`
    /// says. One on `vigil` is never put to sleep.
    pub fn new(peer: PeerId, agent: Arc<Agent>, membership: Arc<Membership>, vigil: bool) -> Self {
        Self {
            peer,
            agent,
            vigil,
            places: Places::new(peer, membership),
            meters: BTreeMap::new(),
        }
    }

    /// Samples until the task is dropped.
    pub async fn run(mut self, brain: BrainHandle) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.look().await {
                Ok(host) => brain.sample(host),
                Err(error) => tracing::warn!(%error, "the host could not be sampled"),
            }
        }
    }

    /// The host as it is now.
    async fn look(&mut self) -> Result<Host, luc_agent::driver::DriverError> {
        let driver = Arc::clone(self.agent.driver());
        self.places.refresh();
        let wishes: BTreeMap<ServerId, Arc<DesiredServer>> = { self.agent.wishes().into_iter() }
            .map(|wish| (wish.id.clone(), wish))
            .collect();
        let mut vms = Vec::new();
        let mut seen = BTreeMap::new();
        for id in driver.list().await? {
            // A machine that is gone, or stops, between two questions is simply not there.
            let Ok(Actual::Built(built)) = driver.inspect(&id).await else {
                continue;
            };
            if built.power != PowerState::Running {
                continue;
            }
            let (Ok(stats), Ok(uuid)) = (driver.stats(&id).await, Uuid::parse(id.as_str())) else {
                continue;
            };
            let (demand, meter) = measured(self.meters.get(&id), &stats);
            vms.push(Vm {
                id: VmId(uuid),
                demand: centi(demand),
                usual: centi(meter.usual),
                memory: built.shape.memory,
                disk: MemoryMib(built.shape.root_disk.get() * 1024),
                dirty_permille: dirty_permille(&stats),
                cool_down: Duration::ZERO,
                rules: self.places.rules(wishes.get(&id).map(Arc::as_ref)),
            });
            seen.insert(id, meter);
        }
        let idle = wishes.values().filter(|wish| !seen.contains_key(&wish.id));
        vms.extend(idle.filter_map(|wish| self.absent(wish)));
        self.meters = seen;
        vms.sort_by_key(|vm| vm.id);
        Ok(self.host(&driver.host_facts(), vms))
    }

    /// A machine of a group that has its place here and does not run.
    fn absent(&self, wish: &DesiredServer) -> Option<Vm> {
        if wish.presence == Presence::Deleted {
            return None;
        }
        Some(Vm {
            id: VmId(Uuid::parse(wish.id.as_str()).ok()?),
            demand: Cpu(0),
            usual: Cpu(0),
            memory: MemoryMib(0),
            disk: MemoryMib(0),
            dirty_permille: 0,
            cool_down: Duration::ZERO,
            rules: Some(self.places.rules_of_absent(wish)?),
        })
    }

    fn host(&self, facts: &HostFacts, vms: Vec<Vm>) -> Host {
        let labels = self.agent.place().labels;
        Host {
            peer: self.peer,
            capacity: Resources {
                cpu: centi(facts.vcpus.get() as f64),
                memory: facts.memory,
                disk: MemoryMib(facts.disk.get() * 1024),
            },
            vms,
            incoming: Resources::default(),
            migrations: 0,
            bandwidth_mbps: BANDWIDTH_MBPS,
            maintenance: false,
            vigil: self.vigil,
            asleep: false,
            labels: labels.iter().map(|label| Label::named(label)).collect(),
        }
    }
}

/// What the brain of a node without a host is told: it has nothing and takes nothing in.
pub fn hostless(peer: PeerId) -> Host {
    Host {
        peer,
        capacity: Resources::default(),
        vms: Vec::new(),
        incoming: Resources::default(),
        migrations: 0,
        bandwidth_mbps: BANDWIDTH_MBPS,
        // It is not to be asked for room; with no machine there is nothing to be moved away.
        maintenance: true,
        vigil: true,
        asleep: false,
        labels: Vec::new(),
    }
}

/// Processors as the scheduler counts them.
fn centi(processors: f64) -> Cpu {
    Cpu((processors * 100.0).round().clamp(0.0, f64::from(u32::MAX)) as u32)
}

/// What a machine asks for now, in processors, and what to remember of it.
fn measured(before: Option<&Meter>, stats: &Stats) -> (f64, Meter) {
    let (asked, at) = (stats.cpu_time + stats.cpu_waited, Instant::now());
    let Some(before) = before else {
        let usual = 0.0;
        return (0.0, Meter { asked, at, usual });
    };
    let passed = (at - before.at).as_secs_f64();
    if passed <= 0.0 {
        return (before.usual, *before);
    }
    // Counters start again when a machine does.
    let demand = asked.saturating_sub(before.asked).as_secs_f64() / passed;
    let weight = 1.0 - (-passed / USUAL_OVER).exp();
    let usual = if before.usual == 0.0 {
        demand
    } else {
        before.usual + weight * (demand - before.usual)
    };
    (demand, Meter { asked, at, usual })
}

/// How fast it writes to memory, as a share of what a migration may send.
fn dirty_permille(stats: &Stats) -> u16 {
    let bandwidth = f64::from(BANDWIDTH_MBPS) * 125_000.0;
    let rate = stats.dirty_rate.map_or(0.0, |rate| rate.get() as f64);
    (rate / bandwidth * 1000.0).clamp(0.0, 1000.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use luc_core::units::Bytes;

    fn stats(got: u64, waited: u64) -> Stats {
        Stats {
            cpu_time: Duration::from_millis(got),
            cpu_waited: Duration::from_millis(waited),
            dirty_rate: Some(Bytes(12_500_000)),
            ..Stats::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_machine_waited_for_counts_as_asked_for() {
        let (first, meter) = measured(None, &stats(0, 0));
        assert!(first.abs() < 1e-9, "nothing is known yet");
        tokio::time::advance(Duration::from_secs(2)).await;
        let (demand, meter) = measured(Some(&meter), &stats(1000, 500));
        assert!((demand - 0.75).abs() < 1e-9, "{demand}");
        assert!(
            (meter.usual - 0.75).abs() < 1e-9,
            "the first is the usual one"
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        let (demand, meter) = measured(Some(&meter), &stats(1000, 500));
        assert!(
            demand.abs() < 1e-9 && meter.usual > 0.74,
            "one calm second changes little"
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        let (demand, _) = measured(Some(&meter), &stats(10, 0));
        assert!(demand.abs() < 1e-9, "a restart is no negative demand");
    }

    #[test]
    fn writing_to_memory_is_a_share_of_the_link() {
        assert_eq!(dirty_permille(&stats(0, 0)), 100);
        assert_eq!(centi(1.5), Cpu(150));
    }
}
