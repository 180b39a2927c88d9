//! B1: violation, computation and reconfiguration as the cloud grows.

use crate::scenario::{Experiment, Overlay, Percent, Star, Trigger};

use super::job::{Job, Role};
use super::judge::{Rule, Side, Target};
use super::rows::{self, OURS, REACTIVE, REPLICA, Row};
use super::{Benchmark, Plot, Published, Scale, Table, measure};

/// The sizes that were published.
pub(super) const PUBLISHED: [u32; 4] = [128, 256, 512, 1024];

/// Sizes that nobody published.
const BEYOND: [u32; 3] = [2048, 4096, 8192];

/// The replica where migrations last as long as the published ones: without a page sent twice.
const CLEAN: &str = "relay, random, no page written on the way";

/// The published experiment with `nodes` nodes.
pub(super) fn experiment(nodes: u32, scale: Scale) -> Experiment {
    let mut experiment = Experiment {
        topology: rows::sites_of_32(nodes),
        ..Experiment::default()
    };
    if scale.quick {
        experiment.duration = luc_core::time::Duration::from_secs(400);
    }
    experiment
}

/// The published sizes, or one small one.
pub(super) fn sizes(scale: Scale) -> Vec<u32> {
    if scale.quick {
        vec![64]
    } else {
        PUBLISHED.to_vec()
    }
}

/// `values` for those of the columns that are published sizes.
pub(super) fn published(
    label: &'static str,
    source: &'static str,
    values: [f64; 4],
    columns: &[String],
) -> Published {
    let value = |column: &String| {
        let place = PUBLISHED.iter().position(|n| n.to_string() == *column)?;
        Some(values[place])
    };
    Published {
        label,
        source,
        values: columns.iter().map(value).collect(),
    }
}

/// The rows that run at every size, and those that run at the published ones only.
fn rows() -> (Vec<Row>, Vec<Row>) {
    let usual = Star::default().first_group;
    let everywhere = vec![
        rows::ours(),
        rows::replica(),
        rows::centralised(Trigger::Reactive),
    ];
    let mut small = vec![
        rows::star("star, random", usual, Overlay::Random, Role::Baseline),
        rows::star("star, ring", usual, Overlay::ChordHashed, Role::Baseline),
        rows::relay("relay, ring", 2, Overlay::ChordHashed, Role::Baseline),
        rows::relay("relay, spiral", 2, Overlay::Spiral, Role::Baseline),
        rows::centralised(Trigger::Periodic),
    ];
    for group in [2, 4, 8, 32] {
        small.push(rows::hierarchical(group, Trigger::Periodic));
        small.push(rows::hierarchical(group, Trigger::Reactive));
    }
    (everywhere, small)
}

pub(super) fn benchmark(scale: Scale) -> Benchmark {
    let few = sizes(scale);
    let mut all = few.clone();
    if !scale.quick {
        all.extend(BEYOND);
    }
    all.retain(|nodes| *nodes <= scale.nodes_max);
    let (everywhere, small) = rows();
    let mut jobs = Vec::new();
    for (rows, sizes) in [(&everywhere, &all), (&small, &few)] {
        for (row, nodes) in rows
            .iter()
            .flat_map(|row| sizes.iter().map(move |n| (row, *n)))
        {
            let experiment = row.applied(&experiment(nodes, scale), "B1");
            jobs.push(Job::run(
                &row.name,
                &nodes,
                row.role,
                experiment,
                scale.seeds,
            ));
        }
    }
    for nodes in &few {
        let mut experiment = rows::replica().applied(&experiment(*nodes, scale), "B1");
        experiment.vms.dirty = vec![Percent(0.0)];
        jobs.push(Job::run(
            CLEAN,
            nodes,
            Role::Baseline,
            experiment,
            scale.seeds,
        ));
    }
    let rows = everywhere.iter().chain(&small);
    let mut names: Vec<String> = rows.map(|row| row.name.clone()).collect();
    names.push(CLEAN.to_owned());
    let columns: Vec<String> = all.iter().map(u32::to_string).collect();
    Benchmark {
        id: "B1",
        title: "violation, computation, reconfiguration and migrations as the cloud grows",
        protocol: protocol(),
        jobs,
        tables: tables(&columns, &names),
        plots: plots(&columns),
        targets: targets(&columns, scale),
    }
}

fn protocol() -> Vec<String> {
    [
        "n nodes in sites of 32 (0.2 ms inside, 10 ms between sites), 8 cores of which 7 usable, \
         32 GB, 1 Gbps; 10 VMs of 1 GB on each; N(60, 20) clipped to [0, 100 %] in steps of 10, \
         one change per VM per 300 s, VMs start idle; 1800 s; samples every second. The load and \
         migration model of VMPlaceS. The same trace for every algorithm of a seed.",
        "Mean ± σ over the seeds. Everything is simulated; computation is the solver's search \
         steps × a calibrated constant. Nodes know each other by a shared directory, as VMPlaceS \
         assumes; B10 runs the full brain. Sizes beyond 1024: ours, the replica and the reactive \
         centralised baseline only.",
        "The replica's violations last longer than the published 9.6 s, because its machines write \
         to their memory while they move (VMPlaceS's eight classes, 10 to 80 %), and the published \
         solver does not care which it takes. Published reconfigurations took as long as 1 GiB \
         does that is sent once at the 90 % of the link that VMPlaceS grants: 9.5 s, or 8.6 s at \
         all of it. One row runs the replica with machines that write nothing on the way.",
        "Published DVMS samples every second while the published baselines act every 30 s, so a \
         part of the published gap is polling: hence the reactive baselines.",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn violations(columns: &[String]) -> Vec<Published> {
    vec![
        published("DVMS", "EP15", [9.55, 9.58, 9.57, 9.61], columns),
        published("centralised", "EP15", [21.3, 40.1, 55.6, 81.6], columns),
        published("hierarchical", "EP15", [21.1, 21.5, 24.5, 29.0], columns),
    ]
}

fn migrations(columns: &[String]) -> Vec<Published> {
    vec![
        published("DVMS", "T19", [93.0, 194.0, 344.0, 842.0], columns),
        published("centralised", "T19", [103.0, 135.0, 163.0, 266.0], columns),
        published("hierarchical", "T19", [70.0, 164.0, 267.0, 651.0], columns),
    ]
}

fn tables(columns: &[String], rows: &[String]) -> Vec<Table> {
    let table = |title: &str, measure, factor, digits, published| Table {
        title: title.to_owned(),
        measure,
        factor,
        digits,
        columns: columns.to_vec(),
        rows: rows.to_vec(),
        published,
        ratios: vec![
            (OURS.to_owned(), REPLICA.to_owned()),
            (OURS.to_owned(), REACTIVE.to_owned()),
        ],
    };
    vec![
        table(
            "mean violation, s",
            measure::VIOLATION_MEAN,
            1.0,
            2,
            violations(columns),
        ),
        table(
            "migrations",
            measure::MIGRATIONS,
            1.0,
            0,
            migrations(columns),
        ),
        table(
            "migrations per violation",
            measure::MIGRATIONS_PER_VIOLATION,
            1.0,
            2,
            Vec::new(),
        ),
        table("migrated, GiB", measure::MIGRATED_GIB, 1.0, 0, Vec::new()),
        table(
            "mean computation per event, ms (simulated; published: DVMS 290–140 ms, \
             centralised 3 800–26 400 ms, EP15)",
            measure::COMPUTATION_MEAN,
            1e3,
            3,
            Vec::new(),
        ),
        table(
            "mean reconfiguration, s",
            measure::RECONFIGURATION_MEAN,
            1.0,
            2,
            Vec::new(),
        ),
        table("violations", measure::VIOLATIONS, 1.0, 0, Vec::new()),
        table(
            "events without a solution",
            measure::UNSOLVED,
            1.0,
            0,
            Vec::new(),
        ),
    ]
}

fn plots(columns: &[String]) -> Vec<Plot> {
    let plot = |title: &str, measure, rows: &[&str], published| Plot::Against {
        title: title.to_owned(),
        across: "nodes".to_owned(),
        measure,
        factor: 1.0,
        rows: rows.iter().map(|row| (*row).to_owned()).collect(),
        published,
    };
    let main = [
        OURS,
        REPLICA,
        REACTIVE,
        "centralised, 30 s",
        "hierarchical, groups of 32, 30 s",
        "hierarchical, groups of 8, reactive",
    ];
    let overlays = [
        OURS,
        REPLICA,
        REACTIVE,
        "star, random",
        "star, ring",
        "relay, ring",
    ];
    let mut only_dvms = violations(columns);
    only_dvms.truncate(1);
    vec![
        plot(
            "mean violation, s",
            measure::VIOLATION_MEAN,
            &main,
            violations(columns),
        ),
        plot(
            "mean violation of what reacts at once, s",
            measure::VIOLATION_MEAN,
            &overlays,
            only_dvms,
        ),
        plot(
            "migrations",
            measure::MIGRATIONS,
            &main,
            migrations(columns),
        ),
        plot(
            "migrations per violation",
            measure::MIGRATIONS_PER_VIOLATION,
            &main,
            Vec::new(),
        ),
        Plot::Curve {
            title: "partition sizes at the greatest published size, % of partitions".to_owned(),
            across: "nodes in the partition".to_owned(),
            curve: measure::CURVE_PARTITIONS,
            rows: [OURS, REPLICA, "star, random"].map(str::to_owned).to_vec(),
            column: columns
                .iter()
                .rfind(|column| PUBLISHED.iter().any(|size| size.to_string() == **column))
                .or(columns.last())
                .cloned()
                .unwrap_or_default(),
        },
    ]
}

fn targets(columns: &[String], scale: Scale) -> Vec<Target> {
    let row = OURS.to_owned();
    let columns = columns.to_vec();
    let few: Vec<String> = sizes(scale).iter().map(u32::to_string).collect();
    let bound = |text: &str, measure, limit| Target {
        text: text.to_owned(),
        rule: Rule::Bound {
            row: row.clone(),
            columns: columns.clone(),
            measure,
            side: Side::AtMost,
            limit,
        },
    };
    let ratio = |text: &str, by: &str, columns: &[String], measure, limit| Target {
        text: text.to_owned(),
        rule: Rule::Ratio {
            row: row.clone(),
            by: by.to_owned(),
            columns: columns.to_vec(),
            measure,
            side: Side::AtMost,
            limit,
        },
    };
    vec![
        bound(
            "mean violation ≤ 9.6 s at every size",
            measure::VIOLATION_MEAN,
            9.6,
        ),
        ratio(
            "mean violation ≤ 1.05 × reactive centralised",
            REACTIVE,
            &columns,
            measure::VIOLATION_MEAN,
            1.05,
        ),
        ratio(
            "migrations ≤ 0.70 × replica",
            REPLICA,
            &few,
            measure::MIGRATIONS,
            0.70,
        ),
        bound(
            "migrations ≤ 1.05 per violation",
            measure::MIGRATIONS_PER_VIOLATION,
            1.05,
        ),
        bound(
            "computation ≤ 5 ms per event",
            measure::COMPUTATION_MEAN,
            0.005,
        ),
        Target {
            text: "mean violation flat (± 10 %) to 8 192 nodes".to_owned(),
            rule: Rule::Flat {
                row: row.clone(),
                columns: columns.clone(),
                measure: measure::VIOLATION_MEAN,
                limit: 0.10,
            },
        },
    ]
}
