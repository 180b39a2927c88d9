//! One pass: the machine whose move removes most goes to the first host with room.

use std::collections::BTreeMap;

use luc_core::PeerId;

use super::{Goal, Problem, Solution};
use crate::host::{Cpu, GroupId, GroupPolicy, Host, Resources, Vm};
use crate::plan::{Plan, Reason, Step, StepId};

/// What a host carries while the plan grows: nothing that leaves is given back.
struct Load {
    used: Resources,
    groups: BTreeMap<GroupId, u16>,
}

impl Load {
    fn of(host: &Host) -> Self {
        let mut load = Self {
            used: host.incoming,
            groups: BTreeMap::new(),
        };
        for vm in &host.vms {
            load.add(vm);
        }
        load
    }

    fn add(&mut self, vm: &Vm) {
        self.used.cpu = self.used.cpu.plus(vm.demand);
        self.used.memory = self.used.memory.plus(vm.memory);
        self.used.disk = self.used.disk.plus(vm.disk);
        for (group, _) in vm.rules.iter().flat_map(|rules| &rules.groups) {
            *self.groups.entry(*group).or_default() += 1;
        }
    }

    fn takes(&self, host: &Host, vm: &Vm) -> bool {
        self.used.cpu.plus(vm.demand) <= host.capacity.cpu
            && self.used.memory.plus(vm.memory) <= host.capacity.memory
            && self.used.disk.plus(vm.disk) <= host.capacity.disk
            && vm.rules.as_ref().is_none_or(|rules| {
                (rules.hosts.is_empty() || rules.hosts.contains(&host.peer))
                    && (rules.sites.is_empty() || rules.sites.contains(&host.peer.site))
                    && rules.labels.iter().all(|label| host.labels.contains(label))
                    && rules.groups.iter().all(|(group, policy)| {
                        *policy != GroupPolicy::AntiAffinity || !self.groups.contains_key(group)
                    })
            })
    }

    fn lets_go(&self, vm: &Vm) -> bool {
        vm.rules
            .iter()
            .flat_map(|rules| &rules.groups)
            .all(|(group, policy)| {
                *policy != GroupPolicy::Affinity || self.groups.get(group).is_none_or(|n| *n <= 1)
            })
    }
}

/// Solves in one pass.
pub(super) fn solve(problem: &Problem<'_>, budget: u64) -> Solution {
    let mut loads: Vec<Load> = problem.hosts.iter().map(Load::of).collect();
    let mut solution = Solution {
        plan: Plan::default(),
        solved: true,
        exact: false,
        steps: 0,
        relieved: Cpu(0),
    };
    for index in 0..problem.hosts.len() {
        relieve(problem, index, &mut loads, budget, &mut solution);
    }
    if matches!(problem.goal, Goal::Consolidate { .. }) && !solution.solved {
        solution.plan = Plan::default();
    }
    solution
}

fn emptied(goal: Goal, peer: PeerId) -> Option<Reason> {
    match goal {
        Goal::Consolidate { host } if host == peer => Some(Reason::Consolidation),
        Goal::Evacuate { host } if host == peer => Some(Reason::Maintenance),
        _ => None,
    }
}

fn relieve(
    problem: &Problem<'_>,
    index: usize,
    loads: &mut [Load],
    budget: u64,
    solution: &mut Solution,
) {
    let host = &problem.hosts[index];
    let empty = emptied(problem.goal, host.peer);
    let wanted = match (problem.goal, empty) {
        (Goal::Relieve, _) => host.demand().minus(host.capacity.cpu),
        (_, Some(_)) => Cpu(u32::MAX),
        (_, None) => return,
    };
    let mut order: Vec<&Vm> = host.vms.iter().collect();
    order.sort_by_key(|vm| (vm.demand < wanted, vm.dirty_permille, vm.id));
    let mut left = wanted;
    let mut stay = host.vms.len();
    for vm in order {
        let free = vm.cool_down.is_zero() || empty == Some(Reason::Maintenance);
        if left == Cpu(0) || host.migrations > 0 || !free || !loads[index].lets_go(vm) {
            continue;
        }
        let target = (0..problem.hosts.len()).find(|other| {
            solution.steps += 1;
            let target = &problem.hosts[*other];
            *other != index
                && solution.steps <= budget
                && emptied(problem.goal, target.peer).is_none()
                && !target.maintenance
                && !target.asleep
                && target.migrations == 0
                && loads[*other].takes(target, vm)
        });
        let Some(target) = target else { continue };
        loads[target].add(vm);
        let gain = vm.demand.0.min(left.0);
        left = left.minus(vm.demand);
        stay -= 1;
        solution.relieved = solution.relieved.plus(Cpu(gain));
        solution.plan.steps.push(Step {
            id: StepId(solution.plan.steps.len() as u16),
            vm: vm.id,
            memory: vm.memory,
            source: host.peer,
            target: problem.hosts[target].peer,
            after: Vec::new(),
            reason: empty.unwrap_or(Reason::Overload {
                demand: host.demand(),
                capacity: host.capacity.cpu,
            }),
        });
    }
    solution.solved &= if empty.is_some() {
        stay == 0
    } else {
        left == Cpu(0)
    };
}
