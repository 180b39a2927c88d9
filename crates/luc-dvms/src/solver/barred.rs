//! Which hosts had room for a machine and were no choice for it, and by which rule.
//!
//! It is told to people and decides nothing: it is looked up when the search is over, for the
//! machines that a plan might have moved, from the configuration that the search started from.
//! Called by [`super::solve`].

use luc_core::PeerId;
use serde::{Deserialize, Serialize};

use super::Goal;
use super::model::{Amounts, CPU, Model};
use super::rules;
use crate::host::{GroupPolicy, Host, Label, Vm, VmId};
use crate::plan::Plan;

/// So many are told at the most, those of machines that the plan moves before the others.
pub const BARRED_MAX: usize = 64;

/// A host with room that was no choice for a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Barred {
    /// The machine.
    pub vm: VmId,
    /// The host.
    pub host: PeerId,
    /// By which rule.
    pub bar: Bar,
}

/// A rule that keeps a machine from a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Bar {
    /// Its group keeps it apart from a machine that is there.
    Apart {
        /// That machine.
        mate: VmId,
        /// Whether the group only prefers it so: then the plan found another host as good.
        soft: bool,
    },
    /// Its group keeps it with a machine that is elsewhere.
    Together {
        /// That machine.
        mate: VmId,
        /// Whether the group only prefers it so: then the plan found another host as good.
        soft: bool,
    },
    /// A request asked that it is not where a machine is that is there.
    HintApart {
        /// That machine.
        mate: VmId,
    },
    /// A request asked that it is where a machine is that is elsewhere.
    HintTogether {
        /// That machine.
        mate: VmId,
    },
    /// It may run on other hosts only.
    Hosts,
    /// Its data may be at other sites only.
    Sites,
    /// The host has not got a label that it asks for.
    Label(Label),
}

/// What rules kept the machines from that `plan` moves or might have moved. The `model` is as it
/// was before any move.
pub(super) fn barred(model: &Model<'_>, plan: &Plan) -> Vec<Barred> {
    let mut found = Vec::new();
    for (source, load) in model.loads.iter().enumerate() {
        let unloads = load.over_before > 0 || model.goal != Goal::Relieve;
        if load.gives && unloads {
            found.extend(barred_from(model, source, plan));
        }
    }
    found.sort_by_key(|barred| target_of(plan, barred.vm).is_none());
    found.truncate(BARRED_MAX);
    found
}

/// The same for the machines of one host.
fn barred_from(model: &Model<'_>, source: usize, plan: &Plan) -> Vec<Barred> {
    let machines = &model.hosts[source].vms;
    let mut found = Vec::new();
    for (index, vm) in machines.iter().enumerate() {
        if vm.rules.is_none() || !may_move(model.goal, vm) {
            continue;
        }
        let needs = needs_of(machines, &rules::unit(machines, index));
        for (target, load) in model.loads.iter().enumerate() {
            let room = (0..3).all(|kind| load.used[kind] + needs[kind] <= load.capacity[kind]);
            if target == source || !load.receives || !room {
                continue;
            }
            let chosen = target_of(plan, vm.id);
            let host = &model.hosts[target];
            if chosen == Some(host.peer) {
                continue;
            }
            let bar = hard(model, (source, vm), host);
            if let Some(bar) = bar.or_else(|| soft(model, vm, host, chosen?)) {
                let (vm, host) = (vm.id, host.peer);
                found.push(Barred { vm, host, bar });
            }
        }
    }
    found
}

/// Whether nothing but a rule keeps a machine where it is.
fn may_move(goal: Goal, vm: &Vm) -> bool {
    match goal {
        Goal::Evacuate { .. } => true,
        Goal::Consolidate { .. } => vm.cool_down.is_zero(),
        Goal::Relieve => vm.cool_down.is_zero() && vm.demand.0 > 0,
    }
}

fn needs_of(machines: &[Vm], unit: &[usize]) -> Amounts {
    let mut needs: Amounts = [0; 3];
    for index in unit {
        let vm = &machines[*index];
        needs[CPU] += u64::from(vm.demand.0);
        needs[1] += vm.memory.get();
        needs[2] += vm.disk.get();
    }
    needs
}

/// The last host that `plan` brings a machine to.
fn target_of(plan: &Plan, vm: VmId) -> Option<PeerId> {
    let mut steps = plan.steps.iter().rev();
    steps.find(|step| step.vm == vm).map(|step| step.target)
}

/// The rule that forbids `vm` of host `source` to run on `target`.
fn hard(model: &Model<'_>, (source, vm): (usize, &Vm), target: &Host) -> Option<Bar> {
    let rules = vm.rules.as_deref()?;
    let soft = false;
    let parted = rules
        .groups
        .iter()
        .find_map(|(group, policy)| match policy {
            GroupPolicy::AntiAffinity => {
                let mate = rules::member(target, *group)?.id;
                Some(if group.is_hint() {
                    Bar::HintApart { mate }
                } else {
                    Bar::Apart { mate, soft }
                })
            }
            GroupPolicy::Affinity => {
                let hosts = model.hosts.iter().enumerate();
                let mut others = hosts.filter(|(host, _)| *host != source);
                let mate = others.find_map(|(_, host)| rules::member(host, *group))?.id;
                Some(if group.is_hint() {
                    Bar::HintTogether { mate }
                } else {
                    Bar::Together { mate, soft }
                })
            }
            GroupPolicy::SoftAffinity | GroupPolicy::SoftAntiAffinity => None,
        });
    if parted.is_some() {
        return parted;
    }
    if !rules.hosts.is_empty() && !rules.hosts.contains(&target.peer) {
        return Some(Bar::Hosts);
    }
    if !rules.sites.is_empty() && !rules.sites.contains(&target.peer.site) {
        return Some(Bar::Sites);
    }
    let mut labels = rules.labels.iter();
    let lacking = labels.find(|label| !target.labels.contains(label));
    lacking.map(|label| Bar::Label(*label))
}

/// The rule for which `chosen` was better for `vm` than `target`.
fn soft(model: &Model<'_>, vm: &Vm, target: &Host, chosen: PeerId) -> Option<Bar> {
    let chosen = model.hosts.iter().find(|host| host.peer == chosen)?;
    rules::groups(vm).find_map(|(group, policy)| {
        let (here, there) = (rules::member(target, *group), rules::member(chosen, *group));
        let soft = true;
        match (policy, here, there) {
            (GroupPolicy::SoftAntiAffinity, Some(mate), None) => Some(Bar::Apart {
                mate: mate.id,
                soft,
            }),
            (GroupPolicy::SoftAffinity, None, Some(mate)) => Some(Bar::Together {
                mate: mate.id,
                soft,
            }),
            _ => None,
        }
    })
}
