//! Where machines may run: groups, labels, pins and residency.
//!
//! Hard rules decide what is allowed; soft ones only cost. The machines of an affinity group that
//! share a host move as one; a group that is split over hosts already is left as it is.

use super::model::{Item, Model};
use crate::host::{GroupId, GroupPolicy, Host, Vm};

/// The groups of a machine.
pub(super) fn groups(vm: &Vm) -> impl Iterator<Item = &(GroupId, GroupPolicy)> {
    vm.rules.iter().flat_map(|rules| &rules.groups)
}

/// The groups whose members must share a host with this machine.
pub(super) fn affine(vm: &Vm) -> impl Iterator<Item = GroupId> {
    groups(vm)
        .filter(|(_, policy)| *policy == GroupPolicy::Affinity)
        .map(|(group, _)| *group)
}

/// A machine of `host` that belongs to `group`.
pub(super) fn member(host: &Host, group: GroupId) -> Option<&Vm> {
    let mut machines = host.vms.iter();
    machines.find(|vm| groups(vm).any(|(other, _)| *other == group))
}

/// Whether members must not share a host.
pub(super) fn is_hard_anti(policy: GroupPolicy) -> bool {
    policy == GroupPolicy::AntiAffinity
}

/// How many members of `group` are counted in `present`.
pub(super) fn count(present: &[(GroupId, u16)], group: GroupId) -> u16 {
    present
        .iter()
        .find(|(other, _)| *other == group)
        .map_or(0, |(_, members)| *members)
}

/// Counts one member more; returns how many forbidden pairs that adds.
pub(super) fn join(present: &mut Vec<(GroupId, u16)>, group: GroupId, policy: GroupPolicy) -> u32 {
    let before = if let Some(entry) = present.iter_mut().find(|(other, _)| *other == group) {
        entry.1 += 1;
        entry.1 - 1
    } else {
        present.push((group, 1));
        0
    };
    if is_hard_anti(policy) {
        u32::from(before)
    } else {
        0
    }
}

/// Counts one member less; returns how many forbidden pairs that removes.
pub(super) fn part(present: &mut [(GroupId, u16)], group: GroupId, policy: GroupPolicy) -> u32 {
    let Some(entry) = present.iter_mut().find(|(other, _)| *other == group) else {
        return 0;
    };
    entry.1 = entry.1.saturating_sub(1);
    if is_hard_anti(policy) {
        u32::from(entry.1)
    } else {
        0
    }
}

/// The machines that move together with the one at `index`, itself among them, in order.
pub(super) fn unit(machines: &[Vm], index: usize) -> Vec<usize> {
    let mut unit = vec![index];
    let mut next = 0;
    while let Some(member) = unit.get(next).copied() {
        for group in affine(&machines[member]) {
            for (mate, vm) in machines.iter().enumerate() {
                if !unit.contains(&mate) && affine(vm).any(|other| other == group) {
                    unit.push(mate);
                }
            }
        }
        next += 1;
    }
    unit.sort_unstable();
    unit
}

/// Whether pins, residency and labels let all machines of `item` run on `target`.
pub(super) fn allow(hosts: &[Host], item: &Item, target: usize) -> bool {
    let machines = &hosts[item.host].vms;
    item.vms
        .iter()
        .all(|vm| allow_vm(&machines[*vm], &hosts[target]))
}

/// Whether pins, residency and labels let `vm` run on `target`.
pub(crate) fn allow_vm(vm: &Vm, target: &Host) -> bool {
    vm.rules.as_ref().is_none_or(|rules| {
        (rules.hosts.is_empty() || rules.hosts.contains(&target.peer))
            && (rules.sites.is_empty() || rules.sites.contains(&target.peer.site))
            && rules
                .labels
                .iter()
                .all(|label| target.labels.contains(label))
    })
}

/// How many soft rules a move breaks, judged by where everyone was at the start.
pub(super) fn soft_broken(model: &Model<'_>, item: &Item, target: usize) -> u64 {
    let mates = |host: usize, group: GroupId| {
        let vms = model.hosts[host].vms.iter().enumerate();
        vms.filter(|(index, _)| host != item.host || !item.vms.contains(index))
            .filter(|(_, vm)| groups(vm).any(|(other, _)| *other == group))
            .count() as u64
    };
    let machines = &model.hosts[item.host].vms;
    item.vms
        .iter()
        .flat_map(|vm| groups(&machines[*vm]))
        .map(|(group, policy)| match policy {
            GroupPolicy::SoftAffinity => {
                let (here, there) = (mates(item.host, *group), mates(target, *group));
                let alone = model.members(*group) <= 1;
                u64::from(!alone && (there == 0 || there < here))
            }
            GroupPolicy::SoftAntiAffinity => mates(target, *group),
            GroupPolicy::Affinity | GroupPolicy::AntiAffinity => 0,
        })
        .sum()
}
