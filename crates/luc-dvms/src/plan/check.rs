//! Whether a plan can be carried out, step by step, in every order its pre-conditions allow.
//!
//! An independent re-simulation: it shares no code with the solver that made the plan, so that it
//! can judge it. It assumes the worst of all steps whose order is open: those of lower number that
//! end at a host have started, and none that leaves it has ended but those waited for.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::PeerId;
use thiserror::Error;

use super::{Plan, Reason, Step, StepId};
use crate::host::{GroupPolicy, Host, Rules, Vm, VmId};

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Ids do not count from zero in order.
    #[error("step {0:?} stands at place {1}")]
    Numbering(StepId, usize),
    /// A step waits for itself or a later one.
    #[error("step {0:?} waits for {1:?}, which does not come before it")]
    Cycle(StepId, StepId),
    /// A host is not among those the plan was made for.
    #[error("step {0:?} names the unknown host {1}")]
    UnknownHost(StepId, PeerId),
    /// The machine is not where the step says when it starts.
    #[error("step {0:?}: {1} is not certain to run at the source")]
    NotAtSource(StepId, VmId),
    /// The step goes nowhere, or says another memory than the machine has.
    #[error("step {0:?} misstates the move of {1}")]
    Misstated(StepId, VmId),
    /// The target sleeps or takes nothing in.
    #[error("step {0:?}: {1} takes nothing in")]
    ClosedTarget(StepId, PeerId),
    /// The machine has just been moved.
    #[error("step {0:?}: {1} is in its cool-down")]
    CoolDown(StepId, VmId),
    /// A machine moves more than once, and not by a stop on its way.
    #[error("step {0:?} moves {1} again")]
    MovedTwice(StepId, VmId),
    /// The target could hold more processor time than it has while the steps run.
    #[error("step {0:?} can lift the processor of {1} to {2} of {3}")]
    Cpu(StepId, PeerId, u64, u64),
    /// The same of memory.
    #[error("step {0:?} can lift the memory of {1} to {2} of {3}")]
    Memory(StepId, PeerId, u64, u64),
    /// The same of disk.
    #[error("step {0:?} can lift the disk of {1} to {2} of {3}")]
    Disk(StepId, PeerId, u64, u64),
    /// A label, a pin or residency forbids the target.
    #[error("step {0:?}: rules of {1} forbid the target")]
    Rule(StepId, VmId),
    /// A mate of an anti-affinity group can be at the target.
    #[error("step {0:?}: {1} can meet a machine it must not share a host with")]
    AntiAffinity(StepId, VmId),
    /// The plan splits an affinity group.
    #[error("{0} is parted from its affinity group")]
    Affinity(VmId),
}

impl Plan {
    /// Re-simulates the plan from the state in which `hosts` are.
    pub fn check(&self, hosts: &[Host]) -> Result<(), PlanError> {
        let mut replay = Replay::new(hosts, &self.steps);
        for (place, step) in self.steps.iter().enumerate() {
            if usize::from(step.id.0) != place {
                return Err(PlanError::Numbering(step.id, place));
            }
            replay.order(step)?;
            replay.identity(step)?;
            replay.permission(step)?;
            replay.room(step)?;
            replay.company(step)?;
        }
        replay.affinity()
    }
}

struct Replay<'a> {
    hosts: BTreeMap<PeerId, &'a Host>,
    vms: BTreeMap<VmId, (&'a Vm, PeerId)>,
    steps: &'a [Step],
    /// All steps that each step waits for, at any remove.
    before: Vec<BTreeSet<usize>>,
}

impl<'a> Replay<'a> {
    fn new(hosts: &'a [Host], steps: &'a [Step]) -> Self {
        let concerned: BTreeSet<PeerId> = steps
            .iter()
            .flat_map(|step| [step.source, step.target])
            .collect();
        let hosts: BTreeMap<PeerId, &Host> = hosts
            .iter()
            .filter(|host| concerned.contains(&host.peer))
            .map(|host| (host.peer, host))
            .collect();
        let vms = hosts
            .values()
            .flat_map(|host| host.vms.iter().map(|vm| (vm.id, (vm, host.peer))))
            .collect();
        Self {
            hosts,
            vms,
            steps,
            before: Vec::with_capacity(steps.len()),
        }
    }

    fn order(&mut self, step: &Step) -> Result<(), PlanError> {
        let mut before = BTreeSet::new();
        for id in &step.after {
            let earlier = usize::from(id.0);
            let Some(known) = self.before.get(earlier) else {
                return Err(PlanError::Cycle(step.id, *id));
            };
            before.extend(known.iter().copied());
            before.insert(earlier);
        }
        self.before.push(before);
        Ok(())
    }

    /// The steps before `step` in the plan that are certain to have ended when it starts.
    fn ended(&self, step: &Step) -> impl Iterator<Item = &'a Step> {
        self.before[usize::from(step.id.0)]
            .iter()
            .map(|index| &self.steps[*index])
    }

    /// The steps before `step` in the plan, whether or not they have started.
    fn earlier(&self, step: &Step) -> impl Iterator<Item = &'a Step> + use<'a> {
        self.steps[..usize::from(step.id.0)].iter()
    }

    fn identity(&self, step: &Step) -> Result<(), PlanError> {
        let Some((vm, home)) = self.vms.get(&step.vm) else {
            return Err(PlanError::NotAtSource(step.id, step.vm));
        };
        if step.source == step.target || step.memory != vm.memory {
            return Err(PlanError::Misstated(step.id, step.vm));
        }
        let mut at = *home;
        for other in self.earlier(step).filter(|other| other.vm == step.vm) {
            // The machines of one unit stop together: each names the first step onward.
            let onward = matches!(other.reason, Reason::Bypass { step: next } if next <= step.id);
            if !onward {
                return Err(PlanError::MovedTwice(step.id, step.vm));
            }
            if !self.ended(step).any(|ended| ended.id == other.id) {
                return Err(PlanError::NotAtSource(step.id, step.vm));
            }
            at = other.target;
        }
        if at == step.source {
            Ok(())
        } else {
            Err(PlanError::NotAtSource(step.id, step.vm))
        }
    }

    fn target(&self, step: &Step) -> Result<&'a Host, PlanError> {
        let found = self.hosts.get(&step.target).copied();
        found.ok_or(PlanError::UnknownHost(step.id, step.target))
    }

    fn permission(&self, step: &Step) -> Result<(), PlanError> {
        let target = self.target(step)?;
        if target.maintenance || target.asleep {
            return Err(PlanError::ClosedTarget(step.id, step.target));
        }
        let (vm, _) = self.vms[&step.vm];
        if !vm.cool_down.is_zero() && step.reason != Reason::Maintenance {
            return Err(PlanError::CoolDown(step.id, step.vm));
        }
        match &vm.rules {
            Some(rules) if !permits(rules, target) => Err(PlanError::Rule(step.id, step.vm)),
            _ => Ok(()),
        }
    }

    fn room(&self, step: &Step) -> Result<(), PlanError> {
        let target = self.target(step)?;
        let arriving = self
            .earlier(step)
            .filter(|other| other.target == step.target);
        let here = arriving
            .chain([step])
            .map(|other| amounts(self.vms[&other.vm].0));
        let left = self.ended(step).filter(|other| other.source == step.target);
        let gone = left.map(|other| amounts(self.vms[&other.vm].0));
        let mut used = [
            u64::from(target.incoming.cpu.0),
            target.incoming.memory.get(),
            target.incoming.disk.get(),
        ];
        for part in target.vms.iter().map(amounts).chain(here) {
            used = std::array::from_fn(|kind| used[kind] + part[kind]);
        }
        for part in gone {
            used = std::array::from_fn(|kind| used[kind] - part[kind]);
        }
        let has = target.capacity;
        let (id, peer) = (step.id, step.target);
        if used[0] > u64::from(has.cpu.0) {
            return Err(PlanError::Cpu(id, peer, used[0], u64::from(has.cpu.0)));
        }
        if used[1] > has.memory.get() {
            return Err(PlanError::Memory(id, peer, used[1], has.memory.get()));
        }
        if used[2] > has.disk.get() {
            return Err(PlanError::Disk(id, peer, used[2], has.disk.get()));
        }
        Ok(())
    }

    /// No machine of an anti-affinity group can be at the target, or on its way there.
    fn company(&self, step: &Step) -> Result<(), PlanError> {
        let (vm, _) = self.vms[&step.vm];
        let target = self.target(step)?;
        let apart = |other: &Vm| {
            groups(vm)
                .filter(|(_, policy)| *policy == GroupPolicy::AntiAffinity)
                .any(|(group, _)| groups(other).any(|(theirs, _)| theirs == group))
        };
        let left: BTreeSet<VmId> = self
            .ended(step)
            .filter(|other| other.source == step.target)
            .map(|other| other.vm)
            .collect();
        let arriving = self
            .earlier(step)
            .filter(|other| other.target == step.target);
        let mates = target
            .vms
            .iter()
            .chain(arriving.map(|other| self.vms[&other.vm].0));
        for mate in mates {
            if mate.id != vm.id && apart(mate) && !left.contains(&mate.id) {
                return Err(PlanError::AntiAffinity(step.id, step.vm));
            }
        }
        Ok(())
    }

    /// Machines of an affinity group that shared a host share one at the end.
    fn affinity(&self) -> Result<(), PlanError> {
        let mut end: BTreeMap<VmId, PeerId> = self
            .vms
            .iter()
            .map(|(id, (_, home))| (*id, *home))
            .collect();
        for step in self.steps {
            end.insert(step.vm, step.target);
        }
        let moved: BTreeSet<VmId> = self.steps.iter().map(|step| step.vm).collect();
        for id in moved {
            let (vm, home) = self.vms[&id];
            let affine = groups(vm).filter(|(_, policy)| *policy == GroupPolicy::Affinity);
            for (group, _) in affine {
                let parted = self.hosts[&home].vms.iter().any(|mate| {
                    groups(mate).any(|(theirs, _)| theirs == group) && end[&mate.id] != end[&id]
                });
                if parted {
                    return Err(PlanError::Affinity(id));
                }
            }
        }
        Ok(())
    }
}

fn amounts(vm: &Vm) -> [u64; 3] {
    [u64::from(vm.demand.0), vm.memory.get(), vm.disk.get()]
}

fn groups(vm: &Vm) -> impl Iterator<Item = &(crate::host::GroupId, GroupPolicy)> {
    vm.rules.iter().flat_map(|rules| &rules.groups)
}

fn permits(rules: &Rules, target: &Host) -> bool {
    let pinned = rules.hosts.is_empty() || rules.hosts.contains(&target.peer);
    let resident = rules.sites.is_empty() || rules.sites.contains(&target.peer.site);
    pinned
        && resident
        && rules
            .labels
            .iter()
            .all(|label| target.labels.contains(label))
}

#[cfg(test)]
mod tests;
