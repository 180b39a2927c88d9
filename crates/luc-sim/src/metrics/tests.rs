//! Figures of small hand-written logs against hand-computed ones.

use luc_core::time::Instant;
use luc_dvms::Reason;
use luc_dvms::event::{Cause, PartitionEnd};

use super::Metrics;
use crate::index::{NodeIndex, VmIndex};
use crate::log::{Entry, FORMAT, Header, Partition, Record, VERSION};
use crate::power::PowerModel;
use crate::world::HostState;

fn metrics() -> Metrics {
    Metrics::new(Header {
        format: FORMAT,
        version: VERSION,
        algorithm: "test".into(),
        seed: 0,
        sites: vec![2, 1],
        vms: 6,
        capacity: vec![700; 3],
        duration_ms: 7_200_000,
        trace: String::new(),
        solver_ns_per_step: 1_000,
        sample_ms: 1_000,
        cool_down_ms: 60_000,
        power: PowerModel::default(),
    })
}

fn feed(metrics: &mut Metrics, at_s: f64, entry: Entry) {
    let at = Instant::from_nanos((at_s * 1e9) as u64);
    metrics.observe(&Record { at, entry });
}

const PARTITION: Partition = Partition {
    counter: 3,
    leader: NodeIndex(0),
};

fn moved(target: u32, moved: bool) -> [Entry; 2] {
    let (vm, source, target) = (VmIndex(1), NodeIndex(0), NodeIndex(target));
    [
        Entry::MigrationBegan {
            vm,
            source,
            target,
            partition: PARTITION,
            reason: Reason::Consolidation,
            nearer_sites: 0,
        },
        Entry::MigrationEnded {
            vm,
            source,
            target,
            partition: PARTITION,
            moved,
            sent_mib: 512,
            took_ms: 9_000,
            downtime_us: 20_000,
        },
    ]
}

#[test]
fn violations_are_counted_with_those_that_never_end() {
    let mut metrics = metrics();
    let host = NodeIndex(1);
    feed(&mut metrics, 10.0, Entry::ViolationBegan { host });
    feed(&mut metrics, 14.0, Entry::ViolationEnded { host });
    feed(&mut metrics, 90.0, Entry::ViolationBegan { host });
    feed(&mut metrics, 100.0, Entry::Finished);
    let violations = metrics.summary().violations;
    assert_eq!((violations.count, violations.open), (2, 1));
    assert!((violations.seconds.mean - 7.0).abs() < 1e-6);
    assert!((violations.seconds_per_host - 14.0 / 3.0).abs() < 1e-6);
}

#[test]
fn migrations_are_counted_by_site_and_by_what_they_sent() {
    let mut metrics = metrics();
    for (target, ends_well) in [(1, true), (1, true), (2, true), (2, false)] {
        for (second, entry) in (1u32..).zip(moved(target, ends_well)) {
            feed(&mut metrics, f64::from(second), entry);
        }
    }
    let moves = metrics.summary().moves;
    assert_eq!((moves.begun, moves.moved, moves.failed), (4, 3, 1));
    assert!((moves.intra_site - 2.0 / 3.0).abs() < 1e-6);
    assert!((moves.sent_gib - 2.0).abs() < 1e-6);
    assert_eq!(moves.between_sites.len(), 2);
}

#[test]
fn a_partition_is_followed_from_its_beginning_to_its_end() {
    let mut metrics = metrics();
    let partition = PARTITION;
    let cause = Cause::Overload;
    feed(&mut metrics, 1.0, Entry::Began { partition, cause });
    let members = vec![NodeIndex(0), NodeIndex(1), NodeIndex(2)];
    feed(&mut metrics, 1.005, Entry::Grew { partition, members });
    let computed = |steps| Entry::Computed {
        partition,
        hosts: 2,
        steps,
        solved: true,
    };
    feed(&mut metrics, 1.01, computed(500));
    feed(&mut metrics, 1.02, computed(1_500));
    let planned = Entry::Planned {
        partition,
        steps: 1,
        memory_mib: 1_024,
    };
    feed(&mut metrics, 1.025, planned);
    let ended = Entry::Ended {
        partition,
        end: PartitionEnd::Solved,
        members: vec![NodeIndex(0), NodeIndex(1)],
    };
    feed(&mut metrics, 9.025, ended);
    let partitions = metrics.summary().partitions;
    assert_eq!((partitions.began, partitions.solved), (1, 1));
    assert!((partitions.size.mean - 3.0).abs() < 1e-6);
    assert!((partitions.sites.mean - 2.0).abs() < 1e-6);
    assert!((partitions.to_plan_ms.mean - 25.0).abs() < 1e-3);
    assert!((partitions.computation_ms.mean - 2.0).abs() < 1e-6);
    assert!((partitions.reconfiguration_s.mean - 8.0).abs() < 1e-6);
}

#[test]
fn energy_is_summed_by_the_hour_and_sleep_saves_it() {
    let mut metrics = metrics();
    let host = NodeIndex(0);
    feed(&mut metrics, 0.0, Entry::Demand { host, cpu: 700 });
    let asleep = HostState::Asleep;
    let sleeper = NodeIndex(2);
    feed(
        &mut metrics,
        1_800.0,
        Entry::Power {
            host: sleeper,
            state: asleep,
        },
    );
    feed(&mut metrics, 7_200.0, Entry::Finished);
    let summary = metrics.summary();
    // Full, idle, and half an hour idle before one and a half hours off.
    let wanted = 2.0 * 0.240 + 2.0 * 0.090 + 0.5 * 0.090 + 1.5 * 0.010;
    assert!(
        (summary.energy_kwh - wanted).abs() < 1e-9,
        "{}",
        summary.energy_kwh
    );
    assert_eq!(summary.hours.len(), 2);
    assert!((summary.hours[0].powered_s - (2.0 * 3_600.0 + 1_800.0)).abs() < 1e-6);
    assert!((summary.hours[1].powered_s - 2.0 * 3_600.0).abs() < 1e-6);
    assert_eq!(summary.sleeps, 1);
}
