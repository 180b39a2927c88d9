//! The paper sweep's tables are whole: every row and column runs, every experiment can be run.

use std::collections::BTreeSet;

use super::judge::Rule;
use super::*;

fn scales() -> [Scale; 2] {
    let quick = Scale {
        seeds: 1,
        quick: true,
        ..Scale::default()
    };
    [Scale::default(), quick]
}

#[test]
fn every_experiment_of_the_sweep_can_be_run() {
    for benchmark in scales().into_iter().flat_map(paper) {
        for job in &benchmark.jobs {
            if let Work::Run(experiment) = job.seeded(1) {
                experiment.check().expect("the experiment is possible");
            }
        }
    }
}

#[test]
fn tables_plots_and_targets_speak_of_cells_that_run() {
    for benchmark in scales().into_iter().flat_map(paper) {
        let cells: BTreeSet<(&str, &str)> = benchmark
            .jobs
            .iter()
            .map(|job| (job.row.as_str(), job.column.as_str()))
            .collect();
        for table in &benchmark.tables {
            for published in &table.published {
                assert_eq!(
                    published.values.len(),
                    table.columns.len(),
                    "{}",
                    table.title
                );
            }
            let shown = table
                .rows
                .iter()
                .flat_map(|row| table.columns.iter().map(move |column| (row, column)))
                .filter(|(row, column)| cells.contains(&(row.as_str(), column.as_str())));
            assert!(
                shown.count() > 0,
                "{} {} is empty",
                benchmark.id,
                table.title
            );
        }
        for target in &benchmark.targets {
            for (row, column) in target_cells(&target.rule) {
                assert!(
                    cells.contains(&(row.as_str(), column.as_str())),
                    "{}: {} speaks of {row} at {column}, which does not run",
                    benchmark.id,
                    target.text
                );
            }
        }
    }
}

fn target_cells(rule: &Rule) -> Vec<(String, String)> {
    if let Rule::Totals { row, column, .. } = rule {
        return vec![(row.clone(), column.clone())];
    }
    let (rows, columns) = match rule {
        Rule::Totals { .. } => (Vec::new(), &Vec::new()),
        Rule::Bound { row, columns, .. }
        | Rule::Share { row, columns, .. }
        | Rule::Least { row, columns, .. }
        | Rule::Flat { row, columns, .. } => (vec![row.clone()], columns),
        Rule::Ratio {
            row, by, columns, ..
        } => (vec![row.clone(), by.clone()], columns),
        Rule::Saves {
            row, from, columns, ..
        } => (vec![row.clone(), from.clone()], columns),
    };
    let all = rows.iter().flat_map(|row| {
        let row = row.clone();
        columns
            .iter()
            .map(move |column| (row.clone(), column.clone()))
    });
    all.collect()
}

/// A benchmark of one row and one column per value of `measured`, with one target.
fn judged(measured: &[Option<f64>], rule: impl Fn(Vec<String>) -> Rule) -> Judgement {
    let columns: Vec<String> = (0..measured.len()).map(|index| index.to_string()).collect();
    let mut jobs = Vec::new();
    let mut records = Vec::new();
    for (column, value) in columns.iter().zip(measured) {
        let mut experiment = crate::scenario::Experiment::default();
        experiment.topology.nodes_per_site = 1 + jobs.len() as u32;
        let job = Job::run("a", column, Role::Ours, experiment, 1);
        if let Some(value) = value {
            records.push(Record {
                key: job.key(),
                seed: 1,
                measures: [("m".to_owned(), *value)].into(),
                ..Record::default()
            });
        }
        jobs.push(job);
    }
    let benchmark = Benchmark {
        id: "T",
        title: "test",
        protocol: Vec::new(),
        jobs,
        tables: Vec::new(),
        plots: Vec::new(),
        targets: Vec::new(),
    };
    let target = Target {
        text: "aim".to_owned(),
        rule: rule(columns),
    };
    target.judge(&Results::of(&benchmark, &records))
}

fn at_most(limit: f64) -> impl Fn(Vec<String>) -> Rule {
    move |columns| Rule::Bound {
        row: "a".to_owned(),
        columns,
        measure: "m",
        side: judge::Side::AtMost,
        limit,
    }
}

#[test]
fn a_target_is_met_only_if_every_column_meets_it() {
    let met = judged(&[Some(9.0), Some(9.6)], at_most(9.6));
    assert_eq!(met.verdict, Verdict::Met);
    let missed = judged(&[Some(9.0), Some(10.6)], at_most(9.6));
    assert_eq!(missed.verdict, Verdict::Missed);
    assert_eq!(
        missed.detail,
        "worst 10.6 at 1 (≤ 9.600); off by 1.000 (+10.4 %)"
    );
}

#[test]
fn a_target_with_a_missing_column_is_never_met() {
    let unknown = judged(&[Some(9.0), None], at_most(9.6));
    assert_eq!(unknown.verdict, Verdict::Unknown);
    assert_eq!(judged(&[None], at_most(9.6)).detail, "not measured");
    let missed = judged(&[Some(10.0), None], at_most(9.6));
    assert_eq!(missed.verdict, Verdict::Missed, "one miss is enough");
}

#[test]
fn totals_are_summed_over_seeds_and_judged_by_the_least() {
    let job = Job::run(
        "a",
        "b",
        Role::Ours,
        crate::scenario::Experiment::default(),
        2,
    );
    let record = |seed, often: f64, seldom: f64| Record {
        key: job.key(),
        seed,
        measures: [
            ("p: often".to_owned(), often),
            ("p: seldom".to_owned(), seldom),
        ]
        .into(),
        ..Record::default()
    };
    let records = [record(1, 90.0, 40.0), record(2, 20.0, 59.0)];
    let benchmark = Benchmark {
        id: "T",
        title: "test",
        protocol: Vec::new(),
        jobs: vec![job],
        tables: Vec::new(),
        plots: Vec::new(),
        targets: Vec::new(),
    };
    let judged = |limit| {
        let rule = Rule::Totals {
            row: "a".to_owned(),
            column: "b".to_owned(),
            prefix: "p: ",
            limit,
        };
        let text = "aim".to_owned();
        Target { text, rule }.judge(&Results::of(&benchmark, &records))
    };
    assert_eq!(judged(99.0).verdict, Verdict::Met);
    let missed = judged(100.0);
    assert_eq!(missed.verdict, Verdict::Missed);
    assert!(
        missed.detail.starts_with("worst 99.0 at seldom"),
        "{}",
        missed.detail
    );
}

#[test]
fn flatness_is_judged_around_the_mean() {
    let flat = |limit| {
        move |columns| Rule::Flat {
            row: "a".to_owned(),
            columns,
            measure: "m",
            limit,
        }
    };
    let values = [Some(9.0), Some(10.0), Some(11.0)];
    assert_eq!(judged(&values, flat(0.1001)).verdict, Verdict::Met);
    assert_eq!(judged(&values, flat(0.09)).verdict, Verdict::Missed);
}
