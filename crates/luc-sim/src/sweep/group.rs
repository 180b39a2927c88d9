//! B2 and B3: the first group's size, and reactive against periodic.

use crate::scenario::{Overlay, Trigger};

use super::job::{Job, Role};
use super::rows::{self, REPLICA, Row};
use super::{Benchmark, Published, Scale, Table, b1, measure};

fn jobs(rows: &[Row], name: &str, scale: Scale) -> (Vec<Job>, Vec<String>, Vec<String>) {
    let sizes = b1::sizes(scale);
    let mut jobs = Vec::new();
    for (row, nodes) in rows
        .iter()
        .flat_map(|row| sizes.iter().map(move |n| (row, *n)))
    {
        let experiment = row.applied(&b1::experiment(nodes, scale), name);
        jobs.push(Job::run(
            &row.name,
            &nodes,
            row.role,
            experiment,
            scale.seeds,
        ));
    }
    let columns = sizes.iter().map(u32::to_string).collect();
    (
        jobs,
        columns,
        rows.iter().map(|row| row.name.clone()).collect(),
    )
}

/// B2: does it matter how many nodes the first group has?
pub(super) fn first_group(scale: Scale) -> Benchmark {
    let rows = [
        rows::replica(),
        rows::relay(
            "relay, random, first group of 4",
            4,
            Overlay::Random,
            Role::Baseline,
        ),
        rows::star(
            "star, spiral, first group of 2",
            2,
            Overlay::Spiral,
            Role::Baseline,
        ),
        rows::ours(),
        rows::star(
            "star, spiral, first group of 8",
            8,
            Overlay::Spiral,
            Role::Baseline,
        ),
    ];
    let (jobs, columns, rows) = jobs(&rows, "B2", scale);
    let last = |label, value| {
        let mut values = vec![None; columns.len().saturating_sub(1)];
        values.push((!scale.quick).then_some(value));
        Published {
            label,
            source: "T19",
            values,
        }
    };
    let table = |title: &str, measure, digits, published| Table {
        title: title.to_owned(),
        measure,
        factor: 1.0,
        digits,
        columns: columns.clone(),
        rows: rows.clone(),
        published,
        ratios: vec![(rows[1].clone(), REPLICA.to_owned())],
    };
    let tables = vec![
        table("mean violation, s", measure::VIOLATION_MEAN, 2, Vec::new()),
        table(
            "migrations",
            measure::MIGRATIONS,
            0,
            vec![
                last("DVMS, first group of 2", 842.0),
                last("DVMS, first group of 4 or more", 802.0),
            ],
        ),
    ];
    Benchmark {
        id: "B2",
        title: "a first group of 2, or of 4 and more",
        protocol: vec![
            "B1 with other sizes of the first group. Published: no change of violation, \
             migrations at 1024 nodes from 842 to 802. Shown; no target."
                .to_owned(),
        ],
        jobs,
        tables,
        plots: Vec::new(),
        targets: Vec::new(),
    }
}

/// B3: how much of the gap is polling?
pub(super) fn trigger(scale: Scale) -> Benchmark {
    let rows = [
        rows::hierarchical(8, Trigger::Periodic),
        rows::hierarchical(8, Trigger::Reactive),
        rows::centralised(Trigger::Periodic),
        rows::centralised(Trigger::Reactive),
        rows::replica(),
        rows::ours(),
        rows::star(
            "star, spiral, first group of 8",
            8,
            Overlay::Spiral,
            Role::Baseline,
        ),
    ];
    let (jobs, columns, rows) = jobs(&rows, "B3", scale);
    let pair = |periodic: usize, reactive: usize| (rows[reactive].clone(), rows[periodic].clone());
    let tables = vec![Table {
        title: "mean violation, s".to_owned(),
        measure: measure::VIOLATION_MEAN,
        factor: 1.0,
        digits: 2,
        columns,
        rows: rows.clone(),
        published: Vec::new(),
        ratios: vec![pair(0, 1), pair(2, 3)],
    }];
    Benchmark {
        id: "B3",
        title: "reactive or periodic, equal groups",
        protocol: vec![
            "B1 with groups of 8 that act every 30 s or on each overload, and the centralised \
             baseline likewise."
                .to_owned(),
            "Published (three sizes, growing): 20.9 → 10.2 s, 23.3 → 10.0 s, 23.6 → 10.6 s from \
             periodic to reactive. Shown; no target."
                .to_owned(),
        ],
        jobs,
        tables,
        plots: Vec::new(),
        targets: Vec::new(),
    }
}
