//! Small cases with known answers, each constraint on its own, and a judge that knows no shortcut.

mod brute;
mod constraints;
mod golden;
mod properties;
mod reasons;
mod timing;

use std::sync::Arc;

use luc_core::time::Duration;
use luc_core::units::MemoryMib;
use luc_core::{PeerId, SitePrefix, Uuid};

use super::{Goal, Problem, Solution, Style, Weights, solve};
use crate::host::{Cpu, Host, Resources, Rules, Vm, VmId};

/// Enough for every small case to be searched to its end.
const AMPLE: u64 = 2_000_000;

fn site(number: u8) -> SitePrefix {
    SitePrefix::from_bytes([0, 0, 0, 0, 0, number])
}

fn peer(number: u64) -> PeerId {
    PeerId::new(site(1), number)
}

fn vm_id(number: u128) -> VmId {
    VmId(Uuid::from_bytes(number.to_be_bytes()))
}

/// A machine of 1 GiB that asks for `demand` now and for 60 usually.
fn vm(number: u128, demand: u32) -> Vm {
    Vm {
        id: vm_id(number),
        demand: Cpu(demand),
        usual: Cpu(60),
        memory: MemoryMib(1024),
        disk: MemoryMib(0),
        dirty_permille: 0,
        cool_down: Duration::ZERO,
        rules: None,
    }
}

/// A host of the published model: 7 usable cores, 32 GiB, 1 Gbps.
fn host(number: u64, vms: Vec<Vm>) -> Host {
    Host {
        peer: peer(number),
        capacity: Resources {
            cpu: Cpu(700),
            memory: MemoryMib(32 * 1024),
            disk: MemoryMib(100 * 1024),
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

/// A host with machines of these demands, numbered from a hundred times the host's number.
fn loaded(number: u64, demands: &[u32]) -> Host {
    let first = u128::from(number) * 100;
    let vms = demands
        .iter()
        .zip(first..)
        .map(|(demand, id)| vm(id, *demand));
    host(number, vms.collect())
}

fn ours() -> Style {
    Style::Ours {
        weights: Weights::default(),
    }
}

fn ask(hosts: &[Host], goal: Goal, style: Style) -> Solution {
    let problem = Problem {
        hosts,
        distance: &[],
        goal,
        style,
    };
    let solution = solve(&problem, AMPLE);
    assert_eq!(solution.plan.check(hosts), Ok(()));
    solution
}

fn relieve(hosts: &[Host]) -> Solution {
    ask(hosts, Goal::Relieve, ours())
}

/// The moves as (machine, target) numbers.
fn moves(solution: &Solution) -> Vec<(u128, u64)> {
    let steps = solution.plan.steps.iter();
    steps
        .map(|step| (u128::from_be_bytes(*step.vm.0.as_bytes()), step.target.node))
        .collect()
}

fn with_rules(mut vm: Vm, rules: Rules) -> Vm {
    vm.rules = Some(Arc::new(rules));
    vm
}
