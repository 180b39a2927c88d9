//! Durations of live migrations against hand-computed ones.

use luc_core::time::{Duration, Instant};
use luc_dvms::command::MigrationId;
use luc_dvms::{Ballot, Reason, StepId};

use super::{Burden, Due, Migration, Migrations, Over};
use crate::index::{NodeIndex, SiteIndex, VmIndex};

fn migration(number: u16, source: u32, target: u32) -> Migration {
    Migration {
        id: MigrationId {
            ballot: Ballot {
                counter: 1,
                leader: NodeIndex(source).peer(SiteIndex(0)),
            },
            step: StepId(number),
        },
        vm: VmIndex(u32::from(number)),
        source: NodeIndex(source),
        target: NodeIndex(target),
        reason: Reason::Consolidation,
    }
}

const fn burden(dirty_mbps: f64) -> Burden {
    Burden {
        memory_mib: 1_024,
        disk_mib: 0,
        dirty_mbps,
    }
}

/// Runs all migrations to their ends: the second at which each ended.
fn run(flows: &mut Migrations, mut due: Vec<Due>) -> Vec<(f64, Over)> {
    let mut ended = Vec::new();
    while let Some(first) = (0..due.len()).min_by_key(|place| due[*place].at) {
        let next = due.remove(first);
        if let Some(over) = flows.round_over(next.notice, next.at, &mut due) {
            ended.push((next.at.as_secs_f64(), over));
        }
    }
    ended
}

#[test]
fn one_gibibyte_over_a_gigabit_takes_8_6_seconds_when_idle() {
    let mut flows = Migrations::new([1_000, 1_000].into_iter());
    let mut due = Vec::new();
    flows.begin(migration(0, 0, 1), burden(0.0), Instant::ORIGIN, &mut due);
    let ended = run(&mut flows, due);
    assert!((ended[0].0 - 8.589_934).abs() < 1e-3, "{}", ended[0].0);
    assert!((ended[0].1.sent_mib - 1_024.0).abs() < 1e-6);
    assert_eq!(ended[0].1.downtime, Duration::ZERO);
    assert!(flows.is_empty());
}

#[test]
fn a_machine_that_writes_at_half_speed_takes_twice_as_long() {
    let mut flows = Migrations::new([1_000, 1_000].into_iter());
    let mut due = Vec::new();
    flows.begin(migration(0, 0, 1), burden(500.0), Instant::ORIGIN, &mut due);
    let ended = run(&mut flows, due);
    // The rounds are a geometric series: 8.59 s × (1 + 1/2 + 1/4 …) down to 30 ms.
    assert!((17.1..17.2).contains(&ended[0].0), "{}", ended[0].0);
    assert!(ended[0].1.downtime <= Duration::from_millis(30));
    assert!(!ended[0].1.downtime.is_zero());
}

#[test]
fn a_machine_that_writes_faster_than_the_link_is_stopped_in_the_end() {
    let mut flows = Migrations::new([1_000, 1_000].into_iter());
    let mut due = Vec::new();
    flows.begin(
        migration(0, 0, 1),
        burden(1_500.0),
        Instant::ORIGIN,
        &mut due,
    );
    let ended = run(&mut flows, due);
    assert!(ended[0].1.downtime > Duration::from_secs(7));
    assert!(ended[0].0 < 8.6 + 30.0 * 0.9 * 8.6);
}

#[test]
fn migrations_of_one_host_share_its_link() {
    let mut flows = Migrations::new([1_000; 4].into_iter());
    let mut due = Vec::new();
    flows.begin(migration(0, 0, 1), burden(0.0), Instant::ORIGIN, &mut due);
    flows.begin(migration(1, 0, 2), burden(0.0), Instant::ORIGIN, &mut due);
    flows.begin(migration(2, 3, 2), burden(0.0), Instant::ORIGIN, &mut due);
    let ended = run(&mut flows, due);
    // All three run at half speed, because each has an end that carries two.
    for (at, over) in &ended {
        assert!((at - 2.0 * 8.589_934).abs() < 1e-3, "{at} {over:?}");
    }
}

#[test]
fn when_one_is_aborted_the_other_runs_at_full_speed() {
    let mut flows = Migrations::new([1_000; 3].into_iter());
    let mut due = Vec::new();
    flows.begin(migration(0, 0, 1), burden(0.0), Instant::ORIGIN, &mut due);
    flows.begin(migration(1, 0, 2), burden(0.0), Instant::ORIGIN, &mut due);
    let now = Instant::from_nanos(2_000_000_000);
    let aborted = flows.abort(|one| one.target == NodeIndex(1), now, &mut due);
    assert_eq!(aborted.len(), 1);
    assert!((aborted[0].sent_mib - 119.2).abs() < 0.1, "{aborted:?}");
    let ended = run(&mut flows, due);
    assert_eq!(ended.len(), 1);
    assert!(
        (ended[0].0 - (8.589_934 + 1.0)).abs() < 1e-3,
        "{}",
        ended[0].0
    );
}
