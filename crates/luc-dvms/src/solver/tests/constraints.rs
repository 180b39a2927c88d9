//! Each constraint on its own: the plan that is best without it is not the one given with it.

use super::*;
use crate::host::{GroupId, GroupPolicy, Label};

/// Host 1 has 100 too much; host 2 is the best target, host 3 (fuller) the second best.
fn hosts() -> Vec<Host> {
    vec![
        loaded(1, &[200, 200, 200, 200]),
        loaded(2, &[100]),
        loaded(3, &[100, 100, 100]),
    ]
}

/// Asserts that host 2 would be taken, and that it is not after `change`.
fn second_best(change: impl Fn(&mut Vec<Host>)) {
    let mut hosts = hosts();
    assert_eq!(relieve(&hosts).plan.steps[0].target, peer(2));
    change(&mut hosts);
    let solution = relieve(&hosts);
    assert!(solution.solved);
    assert_eq!(moves(&solution).len(), 1);
    assert_eq!(solution.plan.steps[0].target, peer(3));
}

fn all_ruled(hosts: &mut [Host], rules: &Rules) {
    for vm in &mut hosts[0].vms {
        *vm = with_rules(vm.clone(), rules.clone());
    }
}

fn group(policy: GroupPolicy) -> Rules {
    Rules {
        groups: vec![(GroupId(Uuid::from_bytes([7; 16])), policy)],
        ..Rules::default()
    }
}

#[test]
fn a_sleeping_host_is_no_target() {
    second_best(|hosts| hosts[1].asleep = true);
}

#[test]
fn a_host_under_maintenance_is_no_target() {
    second_best(|hosts| hosts[1].maintenance = true);
}

#[test]
fn a_host_with_a_migration_in_flight_is_no_target() {
    second_best(|hosts| hosts[1].migrations = 1);
}

#[test]
fn a_host_without_memory_is_no_target() {
    second_best(|hosts| hosts[1].capacity.memory = MemoryMib(2047));
}

#[test]
fn a_host_whose_memory_is_claimed_is_no_target() {
    second_best(|hosts| hosts[1].incoming.memory = MemoryMib(31 * 1024));
}

#[test]
fn a_host_without_disk_is_no_target_of_a_block_migration() {
    second_best(|hosts| {
        for vm in &mut hosts[0].vms {
            vm.disk = MemoryMib(5000);
        }
        hosts[1].capacity.disk = MemoryMib(4999);
    });
}

#[test]
fn a_host_is_never_lifted_above_its_processor() {
    second_best(|hosts| hosts[1].capacity.cpu = Cpu(299));
}

#[test]
fn a_pin_is_honoured() {
    second_best(|hosts| {
        let rules = Rules {
            hosts: vec![peer(1), peer(3)],
            ..Rules::default()
        };
        all_ruled(hosts, &rules);
    });
}

#[test]
fn a_label_is_honoured() {
    second_best(|hosts| {
        let rules = Rules {
            labels: vec![Label(5)],
            ..Rules::default()
        };
        all_ruled(hosts, &rules);
        hosts[2].labels = vec![Label(4), Label(5)];
        hosts[1].labels = vec![Label(4)];
    });
}

#[test]
fn residency_is_honoured() {
    second_best(|hosts| {
        let rules = Rules {
            sites: vec![site(1)],
            ..Rules::default()
        };
        all_ruled(hosts, &rules);
        hosts[1].peer.site = site(2);
    });
    // Without the rule, the better host of the other site is still dearer; with room nowhere else
    // the rule alone decides.
    let mut hosts = hosts();
    hosts.truncate(2);
    hosts[1].peer.site = site(2);
    assert!(relieve(&hosts).solved);
    let rules = Rules {
        sites: vec![site(1)],
        ..Rules::default()
    };
    all_ruled(&mut hosts, &rules);
    assert!(!relieve(&hosts).solved);
}

#[test]
fn anti_affinity_keeps_machines_apart() {
    second_best(|hosts| {
        hosts[0].vms.truncate(1);
        hosts[0].capacity.cpu = Cpu(150);
        all_ruled(hosts, &group(GroupPolicy::AntiAffinity));
        hosts[1].vms[0] = with_rules(vm(200, 100), group(GroupPolicy::AntiAffinity));
    });
}

#[test]
fn soft_anti_affinity_decides_between_equals_only() {
    let soft = group(GroupPolicy::SoftAntiAffinity);
    let mut hosts = vec![loaded(1, &[400, 400]), loaded(2, &[100]), loaded(3, &[100])];
    assert_eq!(relieve(&hosts).plan.steps[0].target, peer(2));
    all_ruled(&mut hosts, &soft);
    hosts[1].vms[0] = with_rules(vm(200, 100), soft);
    assert_eq!(relieve(&hosts).plan.steps[0].target, peer(3));
    hosts[2].capacity.cpu = Cpu(300);
    let solution = relieve(&hosts);
    assert!(solution.solved);
    assert_eq!(solution.plan.steps[0].target, peer(2));
}

#[test]
fn soft_affinity_decides_between_equals_only() {
    let soft = group(GroupPolicy::SoftAffinity);
    let mut hosts = vec![loaded(1, &[400, 400]), loaded(2, &[100]), loaded(3, &[100])];
    hosts[0].vms[0] = with_rules(vm(100, 400), soft.clone());
    hosts[2].vms[0] = with_rules(vm(300, 100), soft.clone());
    hosts[0].vms[1].dirty_permille = 300;
    // 100 is quicker to move, and joins its mate.
    assert_eq!(moves(&relieve(&hosts)), [(100, 3)]);
    hosts[2].capacity.cpu = Cpu(300);
    assert_eq!(moves(&relieve(&hosts)), [(100, 2)]);
}

#[test]
fn the_machines_of_an_affinity_group_move_together() {
    let mut hosts = vec![loaded(1, &[150, 150, 450]), loaded(2, &[100])];
    hosts[0].vms[2].cool_down = Duration::from_secs(1);
    assert_eq!(moves(&relieve(&hosts)).len(), 1);
    for vm in &mut hosts[0].vms[..2] {
        *vm = with_rules(vm.clone(), group(GroupPolicy::Affinity));
    }
    let solution = relieve(&hosts);
    assert!(solution.solved);
    assert_eq!(moves(&solution), [(100, 2), (101, 2)]);
    hosts[1].capacity.cpu = Cpu(399);
    assert!(
        relieve(&hosts).plan.steps.is_empty(),
        "they do not fit together"
    );
}

#[test]
fn an_affinity_group_that_is_split_already_is_left_alone() {
    let mut hosts = vec![loaded(1, &[400, 400]), loaded(2, &[100]), loaded(3, &[100])];
    for (host, vm) in [(0, 0), (1, 0)] {
        let machine = hosts[host].vms[vm].clone();
        hosts[host].vms[vm] = with_rules(machine, group(GroupPolicy::Affinity));
    }
    assert_eq!(relieve(&hosts).plan.steps[0].vm, vm_id(101));
}

#[test]
fn a_machine_in_its_cool_down_stays() {
    let mut hosts = hosts();
    assert_eq!(relieve(&hosts).plan.steps[0].vm, vm_id(100));
    hosts[0].vms[0].cool_down = Duration::from_secs(1);
    assert_eq!(relieve(&hosts).plan.steps[0].vm, vm_id(101));
}

#[test]
fn an_overloaded_host_with_a_migration_in_flight_is_left_alone() {
    let mut hosts = hosts();
    hosts[0].migrations = 1;
    let solution = relieve(&hosts);
    assert!(!solution.solved);
    assert!(solution.plan.steps.is_empty());
}

#[test]
fn an_overloaded_host_takes_nothing_in() {
    let mut hosts = vec![loaded(1, &[200; 4]), loaded(2, &[200; 4])];
    hosts[0].capacity.memory = MemoryMib(4096);
    let solution = relieve(&hosts);
    assert!(!solution.solved);
    assert!(solution.plan.steps.is_empty());
}
