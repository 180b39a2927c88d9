//! First fit decreasing: all machines anew onto as few hosts as they fit.
//!
//! Every round it counts how many hosts the packing would need. When that saves at least a tenth of
//! the hosts that serve, or an overload could not be repaired, the packing becomes what is wanted:
//! each machine is moved to its host as soon as there is room, one migration per link at a time.
//! Hosts that are left empty are powered down, hosts that are wanted are woken. Sorting and packing
//! are taken for instantaneous, which favours this baseline.

use std::collections::BTreeMap;

use luc_core::time::{Duration, Instant};
use luc_dvms::event::Cause;
use luc_dvms::{Host, Reason, Resources, Step, StepId, Vm, VmId};

use super::Ctx;
use super::config::Policy;
use super::host::has_room;
use super::service::Service;
use crate::index::NodeIndex;

/// A packing that is not done by then is given up: loads have changed.
const PATIENCE: Duration = Duration::from_secs(900);

/// One part of so many of the serving hosts must be saved for a packing.
const WORTH: usize = 10;

/// The packing that is wanted.
#[derive(Default)]
pub(super) struct Packing {
    wanted: BTreeMap<VmId, NodeIndex>,
    since: Option<Instant>,
}

impl Service {
    /// Whether the packing wants machines at `node`.
    pub(super) fn is_packed_to(&self, node: NodeIndex) -> bool {
        self.packing.wanted.values().any(|wanted| *wanted == node)
    }

    /// The packing part of a round.
    pub(super) fn repack(&mut self, context: &mut Ctx) {
        let now = context.now();
        if self
            .packing
            .since
            .is_some_and(|since| now - since >= PATIENCE)
        {
            self.packing = Packing::default();
        }
        if !self.packing.wanted.is_empty() {
            self.pack(context);
            return;
        }
        let serving: Vec<usize> = self.view.serving().collect();
        let (wanted, hosts) = first_fit_decreasing(self.view.hosts());
        let saves = serving.len().saturating_sub(hosts) >= serving.len().div_ceil(WORTH).max(1);
        if !saves && self.unsolved == 0 {
            return;
        }
        self.packing.since = Some(now);
        for (vm, place) in wanted {
            self.packing.wanted.insert(vm, self.view.node(place));
        }
        let mut sleeping: Vec<usize> = self
            .packing
            .wanted
            .values()
            .filter_map(|node| {
                let place = self.view.place(*node)?;
                self.view.hosts()[place].asleep.then_some(place)
            })
            .collect();
        sleeping.sort_unstable();
        sleeping.dedup();
        self.wake(sleeping.len(), context);
        self.pack(context);
    }

    /// Moves every machine that can go to where it is wanted.
    pub(super) fn pack(&mut self, context: &mut Ctx) {
        if self.packing.wanted.is_empty() || self.config.policy != Policy::Ffd {
            return;
        }
        let mut steps = Vec::new();
        let mut busy = vec![false; self.view.hosts().len()];
        for (place, host) in self.view.hosts().iter().enumerate() {
            busy[place] = host.migrations > 0;
        }
        for place in 0..busy.len() {
            let vms = self.view.hosts()[place].vms.iter();
            for vm in vms.cloned().collect::<Vec<_>>() {
                let Some(node) = self.packing.wanted.get(&vm.id).copied() else {
                    continue;
                };
                let Some(target) = self.view.place(node) else {
                    continue;
                };
                if target == place {
                    self.packing.wanted.remove(&vm.id);
                    continue;
                }
                let there = &self.view.hosts()[target];
                if busy[place] || busy[target] || !has_room(there, &claim(&vm)) {
                    continue;
                }
                busy[place] = true;
                busy[target] = true;
                steps.push(Step {
                    id: StepId(0),
                    vm: vm.id,
                    memory: vm.memory,
                    source: self.view.hosts()[place].peer,
                    target: there.peer,
                    after: Vec::new(),
                    reason: Reason::Consolidation,
                });
            }
        }
        for step in steps {
            let counter = self.begin(Cause::Underload, context);
            self.carry_out(counter, Self::single(step), context);
        }
        self.issue(context);
    }
}

fn claim(vm: &Vm) -> Resources {
    Resources {
        cpu: vm.demand,
        memory: vm.memory,
        disk: vm.disk,
    }
}

/// Where each machine would go, by the places of hosts, and how many hosts that takes. Serving
/// hosts are filled before sleeping ones; what fits nowhere goes nowhere.
fn first_fit_decreasing(hosts: &[Host]) -> (Vec<(VmId, usize)>, usize) {
    let mut bins: Vec<(usize, Host)> = hosts
        .iter()
        .enumerate()
        .filter(|(_, host)| !host.maintenance)
        .map(|(place, host)| {
            let empty = Host {
                vms: Vec::new(),
                incoming: Resources::default(),
                ..host.clone()
            };
            (place, empty)
        })
        .collect();
    bins.sort_by_key(|(place, host)| (host.asleep, *place));
    let mut vms: Vec<&Vm> = hosts.iter().flat_map(|host| &host.vms).collect();
    vms.sort_by_key(|vm| (std::cmp::Reverse((vm.demand, vm.memory)), vm.id));
    let mut wanted = Vec::with_capacity(vms.len());
    for vm in vms {
        let need = claim(vm);
        if let Some((place, bin)) = bins.iter_mut().find(|(_, bin)| has_room(bin, &need)) {
            bin.incoming.cpu = bin.incoming.cpu.plus(need.cpu);
            bin.incoming.memory = bin.incoming.memory.plus(need.memory);
            bin.incoming.disk = bin.incoming.disk.plus(need.disk);
            wanted.push((vm.id, *place));
        }
    }
    let used = bins
        .iter()
        .filter(|(_, bin)| bin.incoming.memory.get() > 0)
        .count();
    (wanted, used)
}

#[cfg(test)]
mod tests {
    use luc_core::units::MemoryMib;
    use luc_core::{PeerId, Uuid};
    use luc_dvms::Cpu;

    use super::*;
    use crate::index::SiteIndex;

    fn vm(number: u8, demand: u32) -> Vm {
        Vm {
            id: VmId(Uuid::from_bytes([number; 16])),
            demand: Cpu(demand),
            usual: Cpu(demand),
            memory: MemoryMib(1),
            disk: MemoryMib(0),
            dirty_permille: 0,
            cool_down: Duration::ZERO,
            rules: None,
        }
    }

    fn host(number: u64, asleep: bool, vms: Vec<Vm>) -> Host {
        Host {
            peer: PeerId::new(SiteIndex(0).prefix(), number),
            capacity: Resources {
                cpu: Cpu(100),
                memory: MemoryMib(8),
                disk: MemoryMib(8),
            },
            vms,
            incoming: Resources::default(),
            migrations: 0,
            bandwidth_mbps: 1000,
            maintenance: false,
            vigil: false,
            asleep,
            labels: Vec::new(),
        }
    }

    #[test]
    fn the_largest_are_packed_first_onto_as_few_hosts_as_they_fit() {
        let hosts = [
            host(0, true, vec![]),
            host(1, false, vec![vm(1, 30), vm(2, 40)]),
            host(2, false, vec![vm(3, 70), vm(4, 60)]),
        ];
        let (wanted, used) = first_fit_decreasing(&hosts);
        let places: Vec<(u8, usize)> = wanted
            .iter()
            .map(|(vm, place)| (vm.0.as_bytes()[0], *place))
            .collect();
        assert_eq!(places, [(3, 1), (4, 2), (2, 2), (1, 1)]);
        assert_eq!(used, 2, "the sleeping host is not needed");
    }

    #[test]
    fn what_does_not_fit_wakes_a_host_and_what_fits_nowhere_stays() {
        let hosts = [
            host(0, true, vec![]),
            host(1, false, vec![vm(1, 90), vm(2, 80), vm(3, 70)]),
        ];
        let (wanted, used) = first_fit_decreasing(&hosts);
        assert_eq!(wanted.len(), 2);
        assert_eq!((wanted[1].1, used), (0, 2));
    }
}
