//! The page is well-formed, escaped, and shows what was measured and what was not.

use crate::scenario::Experiment;
use crate::sweep::{Job, Point, Published, Role, Rule, Scale, Side, Table, Target, Work, paper};

use super::*;

const NAME: &str = "<b>&\"rows\"</b>";

fn benchmark() -> Benchmark {
    let job = |column: &str, nodes| Job {
        row: NAME.to_owned(),
        column: column.to_owned(),
        role: Role::Ours,
        work: Work::Run(Box::new(Experiment {
            seed: nodes,
            duration: luc_core::time::Duration::from_secs(nodes),
            ..Experiment::default()
        })),
        seeds: 2,
    };
    Benchmark {
        id: "B0",
        title: "a <test>",
        protocol: vec!["as & how".to_owned()],
        jobs: vec![job("128", 128), job("256", 256)],
        tables: vec![Table {
            title: "mean, s".to_owned(),
            measure: "m",
            factor: 1.0,
            digits: 2,
            columns: vec!["128".to_owned(), "256".to_owned()],
            rows: vec![NAME.to_owned()],
            published: vec![Published {
                label: "DVMS",
                source: "EP15",
                values: vec![Some(9.55), None],
            }],
            ratios: vec![(NAME.to_owned(), NAME.to_owned())],
        }],
        plots: vec![
            crate::sweep::Plot::Against {
                title: "mean, s".to_owned(),
                across: "nodes".to_owned(),
                measure: "m",
                factor: 1.0,
                rows: vec![NAME.to_owned()],
                published: Vec::new(),
            },
            crate::sweep::Plot::Map {
                title: "map".to_owned(),
                row: NAME.to_owned(),
                column: "128".to_owned(),
                sites: vec!["here".to_owned(), "there".to_owned()],
            },
        ],
        targets: vec![Target {
            text: "mean ≤ 9".to_owned(),
            rule: Rule::Bound {
                row: NAME.to_owned(),
                columns: vec!["128".to_owned()],
                measure: "m",
                side: Side::AtMost,
                limit: 9.0,
            },
        }],
    }
}

fn record(job: &Job, seed: u64, value: f64) -> Record {
    Record {
        key: job.key(),
        seed,
        measures: [("m".to_owned(), value)].into(),
        points: (0..6)
            .map(|node| Point {
                site: node / 3,
                vector: vec![f64::from(node), f64::from(node * node), 1.0],
            })
            .collect(),
        ..Record::default()
    }
}

fn page(benchmarks: &[Benchmark], records: &[Record]) -> String {
    let facts = [("command".to_owned(), "luc sim <x>".to_owned())];
    let page = Page {
        benchmarks,
        records,
        quick: true,
        facts: &facts,
    };
    page.render()
}

/// Every element is closed, in order. Void elements and the doctype are known.
fn assert_well_formed(html: &str) {
    let mut open = Vec::new();
    for tag in html.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag ends");
        let name: String = tag.chars().take_while(|c| !c.is_whitespace()).collect();
        if name.starts_with('!') || name == "meta" || tag.ends_with('/') {
            continue;
        }
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed), "near <{tag}>"),
            None => open.push(name),
        }
    }
    assert_eq!(open, Vec::<String>::new());
}

#[test]
fn a_page_shows_means_deviations_ratios_and_missed_targets() {
    let benchmarks = [benchmark()];
    let job = &benchmarks[0].jobs[0];
    let html = page(&benchmarks, &[record(job, 1, 9.0), record(job, 2, 11.0)]);
    assert_well_formed(&html);
    assert!(html.contains(">10.00<span class=\"dev\"> ± 1.41"), "{html}");
    assert!(html.contains("published: DVMS (EP15)"));
    assert!(
        html.contains("<td>1.000</td>"),
        "the ratio of a row with itself"
    );
    assert!(html.contains("A quick sweep"));
    assert!(html.contains("missed"));
    assert!(html.contains("off by 1.000 (+11.1 %)"));
    assert!(html.contains("here") && html.contains("there"));
}

#[test]
fn nothing_from_outside_becomes_markup() {
    let benchmarks = [benchmark()];
    let job = &benchmarks[0].jobs[0];
    let html = page(&benchmarks, &[record(job, 1, 9.0)]);
    assert!(!html.contains("<b>") && html.contains("&lt;b&gt;"));
    assert!(html.contains("luc sim &lt;x&gt;") && html.contains("a &lt;test&gt;"));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let benchmarks = [benchmark()];
    let html = page(&benchmarks, &[]);
    for word in ["http", "src=", "@import", "url(", "<script", "<link"] {
        assert!(!html.contains(word), "{word}");
    }
}

#[test]
fn the_whole_paper_sweep_without_any_result_is_a_page_of_unmeasured_targets() {
    let benchmarks = paper(Scale::default());
    let html = page(&benchmarks, &[]);
    assert_well_formed(&html);
    assert!(html.contains("not measured") && !html.contains(">met<"));
}

#[test]
fn values_with_commas_are_quoted() {
    let mut benchmarks = [benchmark()];
    benchmarks[0].jobs[0].row = "a, \"b\"".to_owned();
    let records = [record(&benchmarks[0].jobs[0], 1, 0.5)];
    let page = Page {
        benchmarks: &benchmarks,
        records: &records,
        quick: false,
        facts: &[],
    };
    let csv = page.csv();
    assert_eq!(
        csv,
        "benchmark,row,column,seed,measure,value\nB0,\"a, \"\"b\"\"\",128,1,m,0.5\n"
    );
}
