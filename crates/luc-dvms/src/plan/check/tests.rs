//! Each thing that can be wrong with a plan is found: a checker that cannot fail proves nothing.

use std::sync::Arc;

use luc_core::time::Duration;
use luc_core::units::MemoryMib;
use luc_core::{PeerId, SitePrefix, Uuid};

use super::*;
use crate::host::{Cpu, GroupId, Label, Resources};

fn peer(number: u64) -> PeerId {
    PeerId::new(SitePrefix::from_bytes([1; 6]), number)
}

fn id(number: u8) -> VmId {
    VmId(Uuid::from_bytes([number; 16]))
}

fn vm(number: u8, demand: u32) -> Vm {
    Vm {
        id: id(number),
        demand: Cpu(demand),
        usual: Cpu(demand),
        memory: MemoryMib(1024),
        disk: MemoryMib(10),
        dirty_permille: 0,
        cool_down: Duration::ZERO,
        rules: None,
    }
}

fn host(number: u64, vms: Vec<Vm>) -> Host {
    Host {
        peer: peer(number),
        capacity: Resources {
            cpu: Cpu(100),
            memory: MemoryMib(4096),
            disk: MemoryMib(40),
        },
        vms,
        incoming: Resources::default(),
        migrations: 0,
        bandwidth_mbps: 1000,
        maintenance: false,
        vigil: false,
        asleep: false,
        labels: Vec::new(),
    }
}

/// Two machines on host 1, one on host 2, none on host 3.
fn hosts() -> Vec<Host> {
    let crowded = vec![vm(1, 60), vm(2, 60)];
    vec![host(1, crowded), host(2, vec![vm(3, 50)]), host(3, vec![])]
}

fn step(number: u16, machine: u8, source: u64, target: u64, after: &[u16]) -> Step {
    Step {
        id: StepId(number),
        vm: id(machine),
        memory: MemoryMib(1024),
        source: peer(source),
        target: peer(target),
        after: after.iter().map(|id| StepId(*id)).collect(),
        reason: Reason::Overload {
            demand: Cpu(120),
            capacity: Cpu(100),
        },
    }
}

fn check(hosts: &[Host], steps: Vec<Step>) -> Result<(), PlanError> {
    Plan { steps }.check(hosts)
}

fn ruled(mut vm: Vm, rules: Rules) -> Vm {
    vm.rules = Some(Arc::new(rules));
    vm
}

fn group(policy: GroupPolicy) -> Rules {
    Rules {
        groups: vec![(GroupId(Uuid::from_bytes([9; 16])), policy)],
        ..Rules::default()
    }
}

#[test]
fn a_move_to_a_host_with_room_is_in_order() {
    assert_eq!(check(&hosts(), vec![step(0, 1, 1, 3, &[])]), Ok(()));
}

#[test]
fn a_step_may_use_what_a_step_it_waits_for_gives_back() {
    let steps = vec![step(0, 3, 2, 3, &[]), step(1, 1, 1, 2, &[0])];
    assert_eq!(check(&hosts(), steps), Ok(()));
}

#[test]
fn a_step_may_not_use_what_a_step_it_does_not_wait_for_gives_back() {
    let steps = vec![step(0, 3, 2, 3, &[]), step(1, 1, 1, 2, &[])];
    let error = PlanError::Cpu(StepId(1), peer(2), 110, 100);
    assert_eq!(check(&hosts(), steps), Err(error));
}

#[test]
fn an_exchange_of_two_that_wait_for_nobody_is_found() {
    let steps = vec![step(0, 1, 1, 2, &[]), step(1, 3, 2, 1, &[])];
    assert!(matches!(
        check(&hosts(), steps),
        Err(PlanError::Cpu(StepId(0), ..))
    ));
}

#[test]
fn two_steps_share_the_room_of_their_target() {
    let steps = vec![step(0, 1, 1, 3, &[]), step(1, 2, 1, 3, &[])];
    let error = PlanError::Cpu(StepId(1), peer(3), 120, 100);
    assert_eq!(check(&hosts(), steps), Err(error));
}

#[test]
fn memory_and_disk_count_on_both_ends_with_what_is_claimed() {
    let mut tight = hosts();
    tight[2].incoming.memory = MemoryMib(3073);
    let error = PlanError::Memory(StepId(0), peer(3), 4097, 4096);
    assert_eq!(check(&tight, vec![step(0, 1, 1, 3, &[])]), Err(error));
    let mut tight = hosts();
    tight[2].incoming.disk = MemoryMib(31);
    let error = PlanError::Disk(StepId(0), peer(3), 41, 40);
    assert_eq!(check(&tight, vec![step(0, 1, 1, 3, &[])]), Err(error));
}

#[test]
fn a_step_that_waits_for_itself_or_a_later_one_is_a_cycle() {
    let error = PlanError::Cycle(StepId(0), StepId(0));
    assert_eq!(check(&hosts(), vec![step(0, 1, 1, 3, &[0])]), Err(error));
}

#[test]
fn ids_count_from_zero() {
    let error = PlanError::Numbering(StepId(1), 0);
    assert_eq!(check(&hosts(), vec![step(1, 1, 1, 3, &[])]), Err(error));
}

#[test]
fn a_host_outside_the_group_is_unknown() {
    let error = PlanError::UnknownHost(StepId(0), peer(4));
    assert_eq!(check(&hosts(), vec![step(0, 1, 1, 4, &[])]), Err(error));
}

#[test]
fn a_machine_moves_only_from_where_it_is() {
    let error = PlanError::NotAtSource(StepId(0), id(1));
    assert_eq!(
        check(&hosts(), vec![step(0, 1, 2, 3, &[])]),
        Err(error.clone())
    );
    let mut misstated = step(0, 1, 1, 3, &[]);
    misstated.memory = MemoryMib(1);
    let error = PlanError::Misstated(StepId(0), id(1));
    assert_eq!(check(&hosts(), vec![misstated]), Err(error));
}

#[test]
fn a_machine_moves_once_or_by_a_stop_that_is_waited_for() {
    let again = vec![step(0, 3, 2, 3, &[]), step(1, 3, 3, 2, &[0])];
    let error = PlanError::MovedTwice(StepId(1), id(3));
    assert_eq!(check(&hosts(), again.clone()), Err(error));
    let mut stop = again;
    stop[0].reason = Reason::Bypass { step: StepId(1) };
    stop[1].target = peer(1);
    let mut roomy = hosts();
    roomy[0].capacity.cpu = Cpu(300);
    assert_eq!(check(&roomy, stop.clone()), Ok(()));
    stop[1].after.clear();
    let error = PlanError::NotAtSource(StepId(1), id(3));
    assert_eq!(check(&roomy, stop), Err(error));
}

#[test]
fn a_host_that_sleeps_or_is_under_maintenance_is_closed() {
    let closed = Err(PlanError::ClosedTarget(StepId(0), peer(3)));
    let mut asleep = hosts();
    asleep[2].asleep = true;
    assert_eq!(check(&asleep, vec![step(0, 1, 1, 3, &[])]), closed);
    let mut serviced = hosts();
    serviced[2].maintenance = true;
    assert_eq!(check(&serviced, vec![step(0, 1, 1, 3, &[])]), closed);
}

#[test]
fn a_cool_down_holds_but_for_maintenance() {
    let mut hot = hosts();
    hot[0].vms[0].cool_down = Duration::from_secs(1);
    let mut step = step(0, 1, 1, 3, &[]);
    let error = PlanError::CoolDown(StepId(0), id(1));
    assert_eq!(check(&hot, vec![step.clone()]), Err(error));
    step.reason = Reason::Maintenance;
    assert_eq!(check(&hot, vec![step]), Ok(()));
}

#[test]
fn labels_pins_and_residency_hold() {
    let elsewhere = SitePrefix::from_bytes([2; 6]);
    for rules in [
        Rules {
            labels: vec![Label(1)],
            ..Rules::default()
        },
        Rules {
            hosts: vec![peer(2)],
            ..Rules::default()
        },
        Rules {
            sites: vec![elsewhere],
            ..Rules::default()
        },
    ] {
        let mut bound = hosts();
        bound[0].vms[0] = ruled(vm(1, 60), rules);
        let error = PlanError::Rule(StepId(0), id(1));
        assert_eq!(check(&bound, vec![step(0, 1, 1, 3, &[])]), Err(error));
    }
}

#[test]
fn machines_that_must_be_apart_never_meet() {
    let mut apart = hosts();
    apart[0].vms[0] = ruled(vm(1, 40), group(GroupPolicy::AntiAffinity));
    apart[1].vms[0] = ruled(vm(3, 50), group(GroupPolicy::AntiAffinity));
    let error = PlanError::AntiAffinity(StepId(0), id(1));
    assert_eq!(check(&apart, vec![step(0, 1, 1, 2, &[])]), Err(error));
    let way = vec![step(0, 3, 2, 3, &[]), step(1, 1, 1, 2, &[0])];
    assert_eq!(check(&apart, way), Ok(()));
    let both = vec![step(0, 3, 2, 3, &[]), step(1, 1, 1, 3, &[])];
    let error = PlanError::AntiAffinity(StepId(1), id(1));
    assert_eq!(check(&apart, both), Err(error));
}

#[test]
fn machines_that_belong_together_stay_together() {
    let mut together = hosts();
    for vm in &mut together[0].vms {
        *vm = ruled(vm.clone(), group(GroupPolicy::Affinity));
        vm.demand = Cpu(50);
    }
    let error = PlanError::Affinity(id(1));
    assert_eq!(check(&together, vec![step(0, 1, 1, 3, &[])]), Err(error));
    let both = vec![step(0, 1, 1, 3, &[]), step(1, 2, 1, 3, &[])];
    assert_eq!(check(&together, both), Ok(()));
}
