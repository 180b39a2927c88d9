//! B10: the full brain at the size of a whole cloud.

use luc_core::time::Duration;

use crate::scenario::{Experiment, Membership, Start};

use super::job::{Job, Role};
use super::judge::{Rule, Side, Target};
use super::rows::{self, OURS};
use super::{Benchmark, Plot, Published, Scale, Table, measure};

/// The run that is timed: B1's length.
const TIMED: &str = "8192 nodes, 1800 s";

/// Nodes of the runs that are compared for flatness.
const FLAT: [u32; 4] = [1024, 8192, 32_768, 100_000];

/// Their length: a hundred thousand brains would take hours for 1800 s.
const FLAT_SECONDS: u64 = 60;

fn timed(scale: Scale) -> Experiment {
    Experiment {
        name: format!("B10: {TIMED}"),
        membership: Membership::Swim,
        duration: Duration::from_secs(if scale.quick { 60 } else { 1800 }),
        topology: rows::sites_of_32(if scale.quick { 64 } else { 8192 }),
        ..Experiment::default()
    }
}

/// The demand is drawn at the start, so that a short run has as many overloads as a long one.
fn flat(nodes: u32, scale: Scale) -> Experiment {
    let mut experiment = timed(scale);
    experiment.name = format!("B10: {nodes} nodes, {FLAT_SECONDS} s");
    experiment.duration = Duration::from_secs(FLAT_SECONDS);
    experiment.topology = rows::sites_of_32(nodes);
    experiment.load.start = Start::Drawn;
    experiment
}

fn sizes(scale: Scale) -> Vec<u32> {
    let all = if scale.quick { &[64, 128][..] } else { &FLAT };
    let fit = all
        .iter()
        .copied()
        .filter(|nodes| *nodes <= scale.nodes_max);
    fit.collect()
}

pub(super) fn benchmark(scale: Scale) -> Benchmark {
    let sizes = sizes(scale);
    let mut jobs = vec![Job::run(OURS, TIMED, Role::Ours, timed(scale), scale.seeds)];
    for nodes in &sizes {
        let seeds = if *nodes > 10_000 { 1 } else { scale.seeds };
        jobs.push(Job::run(
            OURS,
            nodes,
            Role::Ours,
            flat(*nodes, scale),
            seeds,
        ));
    }
    let numbers: Vec<String> = sizes.iter().map(u32::to_string).collect();
    let mut columns = vec![TIMED.to_owned()];
    columns.extend(numbers.iter().cloned());
    let plot = |title: &str, measure| Plot::Against {
        title: title.to_owned(),
        across: "nodes".to_owned(),
        measure,
        factor: 1.0,
        rows: vec![OURS.to_owned()],
        published: Vec::new(),
    };
    Benchmark {
        id: "B10",
        title: "scale of the scheduler: the full brain",
        protocol: protocol(),
        jobs,
        tables: tables(&columns),
        plots: vec![
            plot("messages per node and second", measure::MESSAGES),
            plot("partition size, p99", measure::PARTITION_P99),
            Plot::Curve {
                title: "partition sizes, % of partitions".to_owned(),
                across: "nodes in the partition".to_owned(),
                curve: measure::CURVE_PARTITIONS,
                rows: vec![OURS.to_owned()],
                column: TIMED.to_owned(),
            },
        ],
        targets: targets(&numbers, scale),
    }
}

fn protocol() -> Vec<String> {
    vec![
        "Full brain: SWIM in two pools and Vivaldi at product periods, 32 nodes per site, 10 VMs \
         per node, load of B1. Timed: 8 192 nodes / 81 920 VMs for 1800 s."
            .to_owned(),
        format!(
            "Flatness: {FLAT_SECONDS} s with drawn demand at the start, 1 024 to 100 000 nodes \
             (1 000 000 VMs); above 10 000 nodes one seed. Wall time and memory are measured on \
             this machine while two runs share it; memory is the peak of the process up to then."
        ),
        "Published (VMPlaceS): DVMS with 80 000 VMs just under 2 days, Snooze about 7 days, \
         Entropy not attempted."
            .to_owned(),
    ]
}

fn tables(columns: &[String]) -> Vec<Table> {
    let table = |title: &str, measure, digits, published| Table {
        title: title.to_owned(),
        measure,
        factor: 1.0,
        digits,
        columns: columns.to_vec(),
        rows: vec![OURS.to_owned()],
        published,
        ratios: Vec::new(),
    };
    let mut days = vec![None; columns.len()];
    days[0] = Some(2.0 * 86_400.0);
    let published = Published {
        label: "DVMS, 80 000 VMs (just under)",
        source: "VMPlaceS",
        values: days,
    };
    vec![
        table("wall time, s (measured)", measure::WALL, 1, vec![published]),
        table(
            "memory, peak, GiB (measured)",
            measure::MEMORY,
            2,
            Vec::new(),
        ),
        table(
            "messages per node and second",
            measure::MESSAGES,
            3,
            Vec::new(),
        ),
        table("partition size, p50", measure::PARTITION_P50, 1, Vec::new()),
        table("partition size, p99", measure::PARTITION_P99, 1, Vec::new()),
        table("mean violation, s", measure::VIOLATION_MEAN, 2, Vec::new()),
        table(
            "migrations per violation",
            measure::MIGRATIONS_PER_VIOLATION,
            2,
            Vec::new(),
        ),
    ]
}

fn targets(numbers: &[String], scale: Scale) -> Vec<Target> {
    let row = OURS.to_owned();
    let bound = |text: &str, column: String, measure, limit| Target {
        text: text.to_owned(),
        rule: Rule::Bound {
            row: row.clone(),
            columns: vec![column],
            measure,
            side: Side::AtMost,
            limit,
        },
    };
    let flat = |text: &str, measure| Target {
        text: text.to_owned(),
        rule: Rule::Flat {
            row: row.clone(),
            columns: numbers.to_vec(),
            measure,
            limit: 0.10,
        },
    };
    let largest = if scale.quick { 128 } else { 100_000 };
    vec![
        bound(
            "8 192 nodes / 81 920 VMs in < 10 min wall on 2 cores",
            TIMED.to_owned(),
            measure::WALL,
            600.0,
        ),
        bound(
            "100 000 nodes / 1 M VMs within 24 GiB",
            largest.to_string(),
            measure::MEMORY,
            24.0,
        ),
        flat(
            "messages per node·s within 10 % from 1 024 to 100 000",
            measure::MESSAGES,
        ),
        flat(
            "partition size p50 within 10 % from 1 024 to 100 000",
            measure::PARTITION_P50,
        ),
        flat(
            "partition size p99 within 10 % from 1 024 to 100 000",
            measure::PARTITION_P99,
        ),
    ]
}
