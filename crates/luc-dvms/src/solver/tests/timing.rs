//! How long the solver takes, printed by group size; the bound is wide, machines are shared.

use std::time::Instant;

use luc_core::entropy::{Entropy, SplitMix64};

use super::*;

/// A group at the load of the published experiment: machines of 60 ± 20, the first host overloaded.
fn group(hosts: u64, seed: u64) -> Vec<Host> {
    let mut entropy = SplitMix64::new(seed);
    let mut draw = |low: u64, high: u64| low + entropy.next_u64() % (high - low + 1);
    let mut group: Vec<Host> = (1..=hosts)
        .map(|number| {
            let machines = draw(9, 11);
            let demands: Vec<u32> = (0..machines).map(|_| draw(3, 9) as u32 * 10).collect();
            let mut host = loaded(number, &demands);
            for vm in &mut host.vms {
                vm.dirty_permille = draw(0, 8) as u16 * 100;
            }
            host
        })
        .collect();
    let first = group[0].demand().0;
    group[0].vms[0].demand = Cpu((group[0].vms[0].demand.0 + 710)
        .saturating_sub(first)
        .max(10));
    group
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "it measures the real time of pure code"
)]
fn groups_are_solved_in_less_than_five_milliseconds() {
    for hosts in [2, 4, 8, 16, 64] {
        let groups: Vec<_> = (0..20).map(|seed| group(hosts, seed)).collect();
        let mut steps = 0;
        let mut exact = 0;
        let mut times = Vec::new();
        for hosts in &groups {
            let problem = Problem {
                hosts,
                distance: &[],
                goal: Goal::Relieve,
                style: ours(),
            };
            let start = Instant::now();
            let solution = solve(&problem, 20_000);
            times.push(start.elapsed());
            steps += solution.steps;
            exact += u32::from(solution.exact);
        }
        times.sort_unstable();
        println!(
            "{hosts:3} hosts: median {:?}, worst {:?}, {} steps on average, {exact} of 20 exact",
            times[10],
            times[19],
            steps / 20,
        );
        assert!(
            times[10] < Duration::from_millis(50),
            "{hosts} hosts took {:?}",
            times[10]
        );
    }
}

/// 8 192 hosts of ten machines, every twentieth overloaded.
fn cloud() -> Vec<Host> {
    let mut entropy = SplitMix64::new(1);
    let mut cloud: Vec<Host> = (1..=8192)
        .map(|number| {
            let demands: Vec<u32> = (0..10)
                .map(|_| 30 + (entropy.next_u64() % 7) as u32 * 10)
                .collect();
            loaded(number, &demands)
        })
        .collect();
    for host in cloud.iter_mut().step_by(20) {
        let rest = host.demand().0 - host.vms[0].demand.0;
        host.vms[0].demand = Cpu(710_u32.saturating_sub(rest).max(10));
    }
    cloud
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "it measures the real time of pure code"
)]
fn a_cloud_of_8192_hosts_is_relieved_in_less_than_a_second() {
    let hosts = cloud();
    for style in [ours(), Style::Published] {
        let problem = Problem {
            hosts: &hosts,
            distance: &[],
            goal: Goal::Relieve,
            style,
        };
        let start = Instant::now();
        let solution = solve(&problem, 1_000_000);
        let elapsed = start.elapsed();
        println!(
            "{} moves in {elapsed:?}, {} steps",
            solution.plan.steps.len(),
            solution.steps
        );
        assert!(solution.solved);
        let over = hosts.iter().filter(|host| host.is_overloaded()).count();
        let moves = solution.plan.steps.len();
        assert!(
            (over..=over + over / 10).contains(&moves),
            "{moves} moves for {over} hosts"
        );
        assert!(elapsed < Duration::from_secs(10), "took {elapsed:?}");
    }
}
