//! B8: random faults over many seeds, and whether they hit what they must.

use crate::scenario::BrokenRule;

use super::job::{Job, Role, Work};
use super::judge::{Rule, Side, Target};
use super::{Benchmark, Scale, Table, measure};

const ROW: &str = "star, spiral (ours)";
const COLUMN: &str = "4–64 nodes";

/// Seeds that one job takes in one go.
const BATCH: u64 = 500;

/// Seeds in all.
const SEEDS: u32 = 10_000;

/// How often each kind of event must have been hit in all.
const HITS_LEAST: f64 = 100.0;

/// Within how many seeds a broken protocol must be caught.
const CAUGHT_BY: u64 = 1000;

/// The rules that are switched off to see whether the checkers notice.
const RULES: [(&str, BrokenRule); 3] = [
    ("ballot check off", BrokenRule::Ballot),
    ("lease check off", BrokenRule::Lease),
    ("absorb rule off", BrokenRule::Absorb),
];

pub(super) fn benchmark(scale: Scale) -> Benchmark {
    let (batch, batches) = if scale.quick {
        (10, 2)
    } else {
        (BATCH, SEEDS / BATCH as u32)
    };
    let job = Job {
        row: ROW.to_owned(),
        column: COLUMN.to_owned(),
        role: Role::Ours,
        work: Work::Check { seeds: batch },
        seeds: batches,
    };
    let mut jobs = vec![job];
    jobs.extend(RULES.map(|(row, rule)| Job {
        row: row.to_owned(),
        column: COLUMN.to_owned(),
        role: Role::Baseline,
        work: Work::Caught {
            rule,
            seeds: CAUGHT_BY,
        },
        seeds: 1,
    }));
    let table = |title: &str, measure| Table {
        title: title.to_owned(),
        measure,
        factor: f64::from(batches),
        digits: 0,
        columns: vec![COLUMN.to_owned()],
        rows: vec![ROW.to_owned()],
        published: Vec::new(),
        ratios: Vec::new(),
    };
    let mut tables = vec![
        table("seeds that kept every invariant", measure::CHECK_PASSED),
        table("seeds that broke one", measure::CHECK_FAILED),
    ];
    let hits = measure::CHECK_HITS.iter();
    tables.extend(hits.map(|(hit, name)| table(&format!("hits: {name}"), hit)));
    let also = measure::CHECK_ALSO.iter();
    tables.extend(also.map(|(count, name)| table(name, count)));
    tables.push(Table {
        title: "seeds until a checker notices that a rule is switched off".to_owned(),
        measure: measure::CHECK_CAUGHT,
        factor: 1.0,
        digits: 0,
        columns: vec![COLUMN.to_owned()],
        rows: RULES.map(|(row, _)| row.to_owned()).to_vec(),
        published: Vec::new(),
        ratios: Vec::new(),
    });
    Benchmark {
        id: "B8",
        title: "deadlocks, crashes and splits: random faults, every invariant after every step",
        protocol: protocol(batch, batches),
        jobs,
        tables,
        plots: Vec::new(),
        targets: targets(),
    }
}

fn targets() -> Vec<Target> {
    let row = ROW.to_owned();
    let columns = vec![COLUMN.to_owned()];
    let bound = |text: &str, measure, side, limit| Target {
        text: text.to_owned(),
        rule: Rule::Bound {
            row: row.clone(),
            columns: columns.clone(),
            measure,
            side,
            limit,
        },
    };
    let mut targets = vec![bound(
        "every invariant holds in every seed",
        measure::CHECK_FAILED,
        Side::AtMost,
        0.0,
    )];
    let totals = |text: &str, prefix| Target {
        text: text.to_owned(),
        rule: Rule::Totals {
            row: row.clone(),
            column: COLUMN.to_owned(),
            prefix,
            limit: HITS_LEAST,
        },
    };
    targets.push(totals(
        "≥ 100 hits each of absorb or merge, takeover, cap reached, lease expired in flight",
        measure::CHECK_HITS_PREFIX,
    ));
    targets.push(totals(
        "≥ 100 hits of every (state, message) pair",
        measure::CHECK_PAIRS_PREFIX,
    ));
    targets.extend(RULES.map(|(row, _)| Target {
        text: format!("a protocol with the {row} is caught within {CAUGHT_BY} seeds"),
        rule: Rule::Bound {
            row: row.to_owned(),
            columns: columns.clone(),
            measure: measure::CHECK_CAUGHT,
            side: Side::AtMost,
            limit: CAUGHT_BY as f64,
        },
    }));
    targets
}

fn protocol(batch: u64, batches: u32) -> Vec<String> {
    vec![
        format!(
            "{batches} × {batch} seeds of 4–64 nodes and at least 120 simulated seconds, each with \
             at least three kinds of fault (loss, delay, reorder, duplicate, pause, slow, crash, \
             split, clock skew). Most seeds run our protocol as it repairs; 12 % let hosts sleep \
             and wake; 10 % run the published protocol, with the invariants that hold for it, and \
             count for none of the required hits. `luc sim check` runs the same and replays any \
             seed."
        ),
        "Published (ISPA'13): 4–12 nodes, all free within 5–8 s; those scenarios are named tests \
         of luc-dvms."
            .to_owned(),
    ]
}
