//! The problem in numbers: what each host has and carries, and which machines may move.
//!
//! A [`Model`] is changed by [`Model::place`] and [`Model::undo`] while a search looks at moves. It
//! answers what is wrong with a host and what a move costs; it knows nothing of search or order.

use std::collections::BTreeMap;

use luc_core::time::Duration;
use luc_core::units::MemoryMib;

use super::risk::overload_ppm;
use super::rules;
use super::{Goal, Problem, Style, Weights};
use crate::host::{GroupId, Host, Vm};

/// Processor, memory and disk: the three amounts that a host must not exceed.
pub(super) type Amounts = [u64; 3];

/// The index of processor time in [`Amounts`].
pub(super) const CPU: usize = 0;

/// What a host has and carries in the configuration looked at.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// What it has.
    pub capacity: Amounts,
    /// What it carries.
    pub used: Amounts,
    /// The sum of its machines' usual demands, and of their variances.
    pub mean: u64,
    /// See `mean`.
    pub variance: u64,
    /// Machines that moves brought here.
    pub arrivals: u32,
    /// Pairs of machines here that an anti-affinity group keeps apart.
    pub conflicts: u32,
    /// How many of them there were from the start.
    pub conflicts_before: u32,
    /// Its risk from the start, priced.
    pub risk_before: u64,
    /// Overload it had from the start.
    pub over_before: u64,
    /// Moves may end here.
    pub receives: bool,
    /// Moves may start here.
    pub gives: bool,
    /// Members of groups here.
    pub groups: Vec<(GroupId, u16)>,
}

/// What moves as one: a machine, or the machines of an affinity group that share a host.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Where it is, an index of hosts.
    pub host: usize,
    /// Indexes of its machines on that host.
    pub vms: Vec<usize>,
    /// What it needs.
    pub needs: Amounts,
    /// Usual demand and variance.
    pub mean: u64,
    /// See `mean`.
    pub variance: u64,
    /// Mebibytes that a live migration really sends.
    pub sent: u64,
    /// The least a move of it costs.
    pub base: u64,
    /// Whether any of its machines has rules.
    pub ruled: bool,
}

/// A move of an item (by index) to a host (by index).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    /// Which item.
    pub item: usize,
    /// Where to.
    pub target: usize,
}

/// The problem in numbers.
#[derive(Clone, Debug)]
pub(super) struct Model<'a> {
    /// The hosts as given.
    pub hosts: &'a [Host],
    distance: &'a [Duration],
    /// What is wanted.
    pub goal: Goal,
    weights: Option<Weights>,
    /// One per host.
    pub loads: Vec<Load>,
    /// Items of the hosts that were asked for.
    pub items: Vec<Item>,
    /// How many members of each group there are on all hosts; empty when nobody has groups.
    totals: BTreeMap<GroupId, u32>,
    /// What machines of a size usually ask for; empty when usual demands are of no interest.
    typical: Vec<(MemoryMib, u64)>,
}

impl<'a> Model<'a> {
    /// The problem's numbers, with no item yet.
    pub(super) fn new(problem: &Problem<'a>) -> Self {
        let weights = match problem.style {
            Style::Published => None,
            Style::Ours { weights } => Some(weights),
        };
        let mut model = Self {
            hosts: problem.hosts,
            distance: problem.distance,
            goal: problem.goal,
            weights,
            loads: Vec::with_capacity(problem.hosts.len()),
            items: Vec::new(),
            totals: BTreeMap::new(),
            typical: weights.map_or_else(Vec::new, |_| typical_by_size(problem.hosts)),
        };
        for host in problem.hosts {
            let load = model.load_of(host);
            model.loads.push(load);
        }
        for host in 0..model.loads.len() {
            model.loads[host].risk_before = model.likelihood_price(host);
        }
        model
    }

    fn load_of(&mut self, host: &Host) -> Load {
        let emptied = match self.goal {
            Goal::Relieve => false,
            Goal::Consolidate { host: peer } | Goal::Evacuate { host: peer } => host.peer == peer,
        };
        let idle = host.migrations == 0 && !host.asleep;
        let of =
            |has: &crate::host::Resources| [u64::from(has.cpu.0), has.memory.get(), has.disk.get()];
        let mut load = Load {
            capacity: of(&host.capacity),
            used: of(&host.incoming),
            mean: u64::from(host.incoming.cpu.0),
            variance: 0,
            arrivals: 0,
            conflicts: 0,
            conflicts_before: 0,
            risk_before: 0,
            over_before: 0,
            receives: idle && !host.maintenance && !emptied,
            gives: idle && (self.goal == Goal::Relieve || emptied),
            groups: Vec::new(),
        };
        for vm in &host.vms {
            load.used[CPU] += u64::from(vm.demand.0);
            load.used[1] += vm.memory.get();
            load.used[2] += vm.disk.get();
            load.mean += self.usual_of(vm);
            load.variance += self.variance_of(vm);
            for (group, policy) in rules::groups(vm) {
                *self.totals.entry(*group).or_default() += 1;
                load.conflicts += rules::join(&mut load.groups, *group, *policy);
            }
        }
        load.conflicts_before = load.conflicts;
        load.over_before = load.over();
        load
    }

    /// How many members of `group` there are on all hosts.
    pub(super) fn members(&self, group: GroupId) -> u32 {
        self.totals.get(&group).copied().unwrap_or_default()
    }

    /// What a machine asks for in the long run, as far as can be told: a few changes say little,
    /// so its own history is drawn towards that of its kind, the machines of the same memory.
    fn usual_of(&self, vm: &Vm) -> u64 {
        let own = u64::from(vm.usual.0);
        let Some(weights) = &self.weights else {
            return own;
        };
        let kind = self
            .typical
            .binary_search_by_key(&vm.memory, |(size, _)| *size);
        let Ok(kind) = kind else {
            return own;
        };
        let trust = u64::from(weights.own_history_permille.min(1000));
        (own * trust + self.typical[kind].1 * (1000 - trust)) / 1000
    }

    fn variance_of(&self, vm: &Vm) -> u64 {
        let Some(weights) = &self.weights else {
            return 0;
        };
        let part = self.usual_of(vm) * u64::from(weights.deviation_permille) / 1000;
        let deviation = part.max(u64::from(weights.deviation.0));
        deviation * deviation
    }

    /// Adds the items of `host`, and returns their indexes, the cheapest to move first.
    pub(super) fn items_of(&mut self, host: usize) -> Vec<usize> {
        let first = self.items.len();
        let machines = &self.hosts[host].vms;
        let mut taken = vec![false; machines.len()];
        for index in 0..machines.len() {
            if taken[index] {
                continue;
            }
            let vms = rules::unit(machines, index);
            for vm in &vms {
                taken[*vm] = true;
            }
            if self.may_leave(host, &vms) {
                let item = self.item(host, vms);
                self.items.push(item);
            }
        }
        let mut indexes: Vec<usize> = (first..self.items.len()).collect();
        indexes.sort_by_key(|index| self.items[*index].base);
        indexes
    }

    /// No cool-down runs, and no mate of an affinity group is left behind or on another host.
    fn may_leave(&self, host: usize, vms: &[usize]) -> bool {
        let machines = &self.hosts[host].vms;
        let evacuated = matches!(self.goal, Goal::Evacuate { .. });
        vms.iter().all(|vm| {
            (evacuated || machines[*vm].cool_down.is_zero())
                && rules::affine(&machines[*vm]).all(|group| {
                    let here = rules::count(&self.loads[host].groups, group);
                    self.members(group) == u32::from(here)
                })
        })
    }

    fn item(&self, host: usize, vms: Vec<usize>) -> Item {
        let mut item = Item {
            host,
            needs: [0; 3],
            mean: 0,
            variance: 0,
            sent: 0,
            base: 0,
            ruled: false,
            vms,
        };
        for index in &item.vms {
            let vm = &self.hosts[host].vms[*index];
            item.needs[CPU] += u64::from(vm.demand.0);
            item.needs[1] += vm.memory.get();
            item.needs[2] += vm.disk.get();
            item.mean += self.usual_of(vm);
            item.variance += self.variance_of(vm);
            // A machine that dirties the share d of what is sent sends memory / (1 - d) in all.
            let dirty = u64::from(vm.dirty_permille.min(950));
            item.sent += vm.memory.get() * 1000 / (1000 - dirty) + vm.disk.get();
            item.ruled |= vm.rules.is_some();
        }
        item.base = match &self.weights {
            None => item.needs[1],
            Some(weights) => {
                let each = u64::from(weights.disruption_ms) * item.vms.len() as u64;
                each + duration_ms(item.sent, self.hosts[host].bandwidth_mbps)
            }
        };
        item
    }

    /// Whether rules and roles ever allow `item` to be at `target`.
    pub(super) fn allows(&self, item: &Item, target: usize) -> bool {
        target != item.host
            && self.loads[target].receives
            && (!item.ruled || rules::allow(self.hosts, item, target))
    }

    /// Whether `item` fits on `target` as it is now, without parting company that must be parted.
    pub(super) fn fits(&self, item: &Item, target: usize) -> bool {
        let load = &self.loads[target];
        let room = (0..3).all(|kind| load.used[kind] + item.needs[kind] <= load.capacity[kind]);
        room && (!item.ruled || !self.conflicts(item, target))
    }

    fn conflicts(&self, item: &Item, target: usize) -> bool {
        let machines = &self.hosts[item.host].vms;
        item.vms
            .iter()
            .flat_map(|vm| rules::groups(&machines[*vm]))
            .any(|(group, policy)| {
                rules::is_hard_anti(*policy) && rules::count(&self.loads[target].groups, *group) > 0
            })
    }

    /// What moving `item` to `target` costs, risk apart.
    pub(super) fn price(&self, item: &Item, target: usize) -> u64 {
        let Some(weights) = &self.weights else {
            return item.base;
        };
        let (from, to) = (&self.hosts[item.host], &self.hosts[target]);
        let mut price = item.base;
        if to.bandwidth_mbps < from.bandwidth_mbps {
            price += duration_ms(item.sent, to.bandwidth_mbps)
                - duration_ms(item.sent, from.bandwidth_mbps);
        }
        if from.peer.site != to.peer.site {
            let rtt = self.rtt(item.host).max(self.rtt(target)).as_micros() as u64;
            price += u64::from(weights.leave_ms) * item.vms.len() as u64;
            price += item.sent * rtt / 1000 * u64::from(weights.gibibyte_rtt_ms) / 1024;
        }
        if let Goal::Consolidate { .. } = self.goal {
            let load = &self.loads[target];
            let idle = load.capacity[CPU].saturating_sub(load.mean);
            price += idle * u64::from(weights.idle_target_ms) / load.capacity[CPU].max(1);
        }
        if item.ruled {
            price += rules::soft_broken(self, item, target) * u64::from(weights.soft_rule_ms);
        }
        price
    }

    /// The price of what a touched host risks more than before; of all it risks when it was over.
    pub(super) fn risk_price(&self, host: usize) -> u64 {
        let load = &self.loads[host];
        if self.weights.is_none() || matches!(self.goal, Goal::Consolidate { .. }) {
            return 0;
        }
        let now = self.likelihood_price(host);
        if load.over_before > 0 {
            now
        } else {
            now.saturating_sub(load.risk_before)
        }
    }

    fn likelihood_price(&self, host: usize) -> u64 {
        self.likelihood_with(host, (0, 0))
    }

    /// The price of what a host risks with one more machine of this usual demand and variance.
    pub(super) fn likelihood_with(&self, host: usize, more: (u64, u64)) -> u64 {
        let Some(weights) = &self.weights else {
            return 0;
        };
        let (long, near) = self.likelihood_ppm(host, more);
        (u64::from(long) * u64::from(weights.risk_ms)
            + u64::from(near) * u64::from(weights.near_risk_ms))
            / 1000
    }

    /// How likely the host overloads in the long run and in the near future, in millionths.
    fn likelihood_ppm(&self, host: usize, (mean, variance): (u64, u64)) -> (u32, u32) {
        let load = &self.loads[host];
        let (long, capacity) = (load.mean + mean, load.capacity[CPU]);
        let near = u64::midpoint(long, load.used[CPU] + mean);
        let variance = load.variance + variance;
        (
            overload_ppm(capacity, long, variance),
            overload_ppm(capacity, near, variance / 2),
        )
    }

    /// The expected round trip to a host.
    pub(super) fn rtt(&self, host: usize) -> Duration {
        self.distance.get(host).copied().unwrap_or_default()
    }

    /// Whether a host that takes in consolidated machines stays within the risk allowed.
    pub(super) fn is_calm(&self, host: usize) -> bool {
        let Some(weights) = &self.weights else {
            return true;
        };
        let (long, near) = self.likelihood_ppm(host, (0, 0));
        long.max(near) <= u32::from(weights.consolidation_risk_permille) * 1000
    }

    /// Moves an item.
    pub(super) fn place(&mut self, step: Move) {
        let Self {
            items,
            loads,
            hosts,
            ..
        } = self;
        let item = &items[step.item];
        for (host, arrives) in [(item.host, false), (step.target, true)] {
            let load = &mut loads[host];
            load.carry(item, arrives);
            load.arrivals += u32::from(arrives);
            if item.ruled {
                load.company(&hosts[item.host], item, arrives);
            }
        }
    }

    /// Takes a move back.
    pub(super) fn undo(&mut self, step: Move) {
        let Self {
            items,
            loads,
            hosts,
            ..
        } = self;
        let item = &items[step.item];
        for (host, arrives) in [(item.host, true), (step.target, false)] {
            let load = &mut loads[host];
            load.carry(item, arrives);
            load.arrivals -= u32::from(!arrives);
            if item.ruled {
                load.company(&hosts[item.host], item, arrives);
            }
        }
    }

    /// The overload of all hosts together.
    pub(super) fn overload(&self) -> u64 {
        self.loads.iter().map(Load::over).sum()
    }
}

impl Load {
    /// Processor time asked for beyond what there is.
    pub(super) fn over(&self) -> u64 {
        self.used[CPU].saturating_sub(self.capacity[CPU])
    }

    /// Whether something has to leave: it is overloaded, or what came does not fit.
    pub(super) fn is_violated(&self) -> bool {
        let came = self.arrivals > 0;
        (self.over() > 0 && (self.gives || came))
            || (came
                && ((1..3).any(|kind| self.used[kind] > self.capacity[kind])
                    || self.conflicts > self.conflicts_before))
    }

    fn carry(&mut self, item: &Item, arrives: bool) {
        let change = |amount: &mut u64, by: u64| {
            *amount = if arrives { *amount + by } else { *amount - by };
        };
        for kind in 0..3 {
            change(&mut self.used[kind], item.needs[kind]);
        }
        change(&mut self.mean, item.mean);
        change(&mut self.variance, item.variance);
    }

    fn company(&mut self, source: &Host, item: &Item, arrives: bool) {
        for (group, policy) in item
            .vms
            .iter()
            .flat_map(|vm| rules::groups(&source.vms[*vm]))
        {
            if arrives {
                self.conflicts += rules::join(&mut self.groups, *group, *policy);
            } else {
                self.conflicts -= rules::part(&mut self.groups, *group, *policy);
            }
        }
    }
}

/// How long sending takes, in milliseconds: a mebibyte is 8.389 megabits.
pub(super) fn duration_ms(mebibytes: u64, bandwidth_mbps: u32) -> u64 {
    mebibytes * 8389 / u64::from(bandwidth_mbps.max(1))
}

/// The mean usual demand of the machines of each size of memory, by size.
fn typical_by_size(hosts: &[Host]) -> Vec<(MemoryMib, u64)> {
    let mut sums: Vec<(MemoryMib, u64, u64)> = Vec::new();
    for vm in hosts.iter().flat_map(|host| &host.vms) {
        let own = u64::from(vm.usual.0);
        match sums.binary_search_by_key(&vm.memory, |(size, ..)| *size) {
            Ok(at) => {
                sums[at].1 += own;
                sums[at].2 += 1;
            }
            Err(at) => sums.insert(at, (vm.memory, own, 1)),
        }
    }
    let means = sums.into_iter();
    means
        .map(|(size, sum, count)| (size, sum / count))
        .collect()
}
