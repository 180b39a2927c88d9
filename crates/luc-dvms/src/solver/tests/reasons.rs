//! What people are told about rules: which kept a machine from a host that had room, and which
//! made one move.

use super::*;
use crate::host::{GroupId, GroupPolicy, Label};
use crate::plan::{Reason, StepId};
use crate::solver::{BARRED_MAX, Bar, Barred};

fn group(policy: GroupPolicy) -> Rules {
    Rules {
        groups: vec![(GroupId(Uuid::from_bytes([7; 16])), policy)],
        ..Rules::default()
    }
}

fn only(hosts: &[u64]) -> Rules {
    Rules {
        hosts: hosts.iter().map(|number| peer(*number)).collect(),
        ..Rules::default()
    }
}

/// Host 1 has too much, of which only machine 100 may leave; it is under `rules`.
fn hosts(rules: Rules) -> Vec<Host> {
    let mut hosts = vec![
        loaded(1, &[200, 600]),
        loaded(2, &[100]),
        loaded(3, &[100, 100, 100]),
    ];
    hosts[0].vms[0] = with_rules(vm(100, 200), rules);
    hosts[0].vms[1].cool_down = Duration::from_secs(1);
    hosts
}

fn bar(host: u64, bar: Bar) -> Barred {
    Barred {
        vm: vm_id(100),
        host: peer(host),
        bar,
    }
}

#[test]
fn without_rules_nothing_is_told() {
    assert_eq!(relieve(&hosts(Rules::default())).barred, []);
}

#[test]
fn the_sibling_that_keeps_a_machine_from_a_host_is_named() {
    let mut hosts = hosts(group(GroupPolicy::AntiAffinity));
    hosts[1].vms[0] = with_rules(vm(200, 100), group(GroupPolicy::AntiAffinity));
    let solution = relieve(&hosts);
    assert_eq!(moves(&solution), [(100, 3)]);
    let mate = vm_id(200);
    assert_eq!(solution.barred, [bar(2, Bar::Apart { mate, soft: false })]);
}

#[test]
fn a_sibling_is_no_reason_where_there_is_no_room() {
    let mut hosts = hosts(group(GroupPolicy::AntiAffinity));
    hosts[1].vms[0] = with_rules(vm(200, 100), group(GroupPolicy::AntiAffinity));
    hosts[1].capacity.cpu = Cpu(299);
    assert_eq!(relieve(&hosts).barred, []);
}

#[test]
fn pins_residency_and_labels_are_told_even_if_nothing_can_be_moved() {
    let mut pinned = hosts(only(&[1]));
    let told = |hosts: &[Host]| {
        let solution = relieve(hosts);
        assert!(solution.plan.steps.is_empty());
        solution.barred
    };
    assert_eq!(told(&pinned), [bar(2, Bar::Hosts), bar(3, Bar::Hosts)]);
    let bound = Rules {
        sites: vec![site(2)],
        ..Rules::default()
    };
    pinned[0].vms[0] = with_rules(vm(100, 200), bound);
    assert_eq!(told(&pinned), [bar(2, Bar::Sites), bar(3, Bar::Sites)]);
    let label = Rules {
        labels: vec![Label(5)],
        ..Rules::default()
    };
    pinned[0].vms[0] = with_rules(vm(100, 200), label);
    let lacks = Bar::Label(Label(5));
    assert_eq!(told(&pinned), [bar(2, lacks), bar(3, lacks)]);
}

#[test]
fn the_mate_that_a_split_affinity_group_stays_with_is_named() {
    let mut hosts = hosts(group(GroupPolicy::Affinity));
    hosts[2].vms[1] = with_rules(vm(301, 100), group(GroupPolicy::Affinity));
    let solution = relieve(&hosts);
    assert!(solution.plan.steps.is_empty());
    let stays = Bar::Together {
        mate: vm_id(301),
        soft: false,
    };
    assert_eq!(solution.barred, [bar(2, stays), bar(3, stays)]);
}

#[test]
fn the_machine_that_a_hint_named_is_named() {
    let hint = |policy: GroupPolicy, mate: u128| Rules {
        groups: vec![(GroupId::of_hint(vm_id(100), vm_id(mate), policy), policy)],
        ..Rules::default()
    };
    let mut apart = hosts(hint(GroupPolicy::AntiAffinity, 200));
    apart[1].vms[0] = with_rules(vm(200, 100), hint(GroupPolicy::AntiAffinity, 200));
    let solution = relieve(&apart);
    assert_eq!(moves(&solution), [(100, 3)]);
    let mate = vm_id(200);
    assert_eq!(solution.barred, [bar(2, Bar::HintApart { mate })]);

    let mut parted = hosts(hint(GroupPolicy::Affinity, 301));
    parted[2].vms[1] = with_rules(vm(301, 100), hint(GroupPolicy::Affinity, 301));
    let solution = relieve(&parted);
    assert!(solution.plan.steps.is_empty());
    let stays = Bar::HintTogether { mate: vm_id(301) };
    assert_eq!(solution.barred, [bar(2, stays), bar(3, stays)]);
}

#[test]
fn a_soft_rule_is_told_where_it_decided() {
    let mut hosts = hosts(group(GroupPolicy::SoftAntiAffinity));
    hosts[1].vms[0] = with_rules(vm(200, 100), group(GroupPolicy::SoftAntiAffinity));
    let solution = relieve(&hosts);
    assert_eq!(moves(&solution), [(100, 3)]);
    let (mate, soft) = (vm_id(200), true);
    assert_eq!(solution.barred, [bar(2, Bar::Apart { mate, soft })]);
    // Where there is room nowhere else the machine goes there, and nothing is barred.
    hosts[2].capacity.cpu = Cpu(300);
    let solution = relieve(&hosts);
    assert_eq!(moves(&solution), [(100, 2)]);
    assert_eq!(solution.barred, []);
}

#[test]
fn machines_that_move_are_told_of_before_those_that_stay_and_not_too_many() {
    let mut hosts = vec![loaded(1, &[100; 9])];
    for vm in &mut hosts[0].vms {
        *vm = with_rules(vm.clone(), only(&[1]));
    }
    hosts[0].vms[8] = with_rules(vm(108, 200), only(&[1, 9]));
    hosts.extend((2..12).map(|number| loaded(number, &[100])));
    let solution = relieve(&hosts);
    assert_eq!(moves(&solution), [(108, 9)]);
    assert_eq!(solution.barred.len(), BARRED_MAX);
    let (first, rest) = solution.barred.split_at(9);
    assert!(first.iter().all(|barred| barred.vm == vm_id(108)));
    assert!(rest.iter().all(|barred| barred.vm != vm_id(108)));
}

/// Machine 100 can only go to host 2, where its sibling 200 is; that one may go to host 3.
fn siblings() -> Vec<Host> {
    let apart = group(GroupPolicy::AntiAffinity);
    let mut hosts = hosts(Rules {
        hosts: vec![peer(1), peer(2)],
        ..apart.clone()
    });
    hosts[1].vms[0] = with_rules(vm(200, 100), apart);
    hosts
}

#[test]
fn a_machine_that_leaves_only_for_its_sibling_moves_because_of_the_rule() {
    let hosts = siblings();
    let solution = relieve(&hosts);
    assert!(solution.solved && solution.exact);
    assert_eq!(moves(&solution), [(200, 3), (100, 2)]);
    let steps = &solution.plan.steps;
    assert_eq!(steps[0].reason, Reason::Rule);
    assert_eq!(steps[1].after, [StepId(0)]);
    assert!(matches!(steps[1].reason, Reason::Overload { .. }));
}

#[test]
fn a_sibling_that_would_have_to_leave_anyway_makes_way() {
    let mut hosts = siblings();
    hosts[1].capacity.cpu = Cpu(250);
    let solution = relieve(&hosts);
    assert_eq!(moves(&solution), [(200, 3), (100, 2)]);
    let reason = solution.plan.steps[0].reason;
    assert_eq!(reason, Reason::MakesWay { step: StepId(1) });
}

#[test]
fn a_rule_that_is_broken_already_moves_nobody() {
    let apart = group(GroupPolicy::AntiAffinity);
    let mut hosts = vec![loaded(1, &[200, 300]), loaded(2, &[100]), loaded(3, &[])];
    for vm in &mut hosts[0].vms {
        *vm = with_rules(vm.clone(), apart.clone());
    }
    hosts[1].vms[0] = with_rules(vm(200, 100), only(&[3]));
    let solution = relieve(&hosts);
    assert!(solution.solved && solution.plan.steps.is_empty());
}
