//! What one input costs a node's brain: handlers in nanoseconds, the solver by group size.
//!
//! The release build of `luc` measures itself (`luc sim cost`); this keeps the figures. What the
//! gate compares are ratios of two figures of the same run.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Bench;
use super::figure::{Better, Figure};
use super::release;
use crate::workspace::Workspace;

/// How often everything is measured.
const RUNS: usize = 5;

/// Figures that are compared with another one of the same run: name, numerator, denominator.
const RATIOS: [(&str, &str, &str); 2] = [
    (
        "solver, 8 hosts, ours ÷ published",
        "solver, ours, 8 hosts",
        "solver, published, 8 hosts",
    ),
    (
        "solver, ours, 64 ÷ 8 hosts",
        "solver, ours, 64 hosts",
        "solver, ours, 8 hosts",
    ),
];

/// The measurement.
pub(super) struct BrainBench;

/// One line of `luc sim cost --json`.
#[derive(Deserialize)]
struct Cost {
    name: String,
    unit: String,
    median: f64,
}

impl Bench for BrainBench {
    fn name(&self) -> &'static str {
        "brain"
    }

    fn question(&self) -> &'static str {
        "What does one message, timer or plan cost a node?"
    }

    fn protocol(&self) -> String {
        format!(
            "release build, one thread; {RUNS} runs of `luc sim cost`: one site of 32 brains with \
             SWIM, 10 machines each, 600 virtual seconds; the wall clock stands around each call \
             of a handler; the solver is asked about 200 groups of each size, one host of each \
             overloaded; medians of each run"
        )
    }

    fn run(&self, workspace: &Workspace) -> Result<Vec<Figure>> {
        release::build(workspace)?;
        let mut rows: Vec<(String, String, Vec<f64>)> = Vec::new();
        for run in 1..=RUNS {
            println!("run        {run} of {RUNS}");
            let costs = measure(workspace)?;
            let of = |name: &str| costs.iter().find(|cost| cost.name == name);
            for (name, over, under) in RATIOS {
                let over = of(over).with_context(|| format!("no figure `{over}`"))?;
                let under = of(under).with_context(|| format!("no figure `{under}`"))?;
                keep(&mut rows, name, "ratio", over.median / under.median);
            }
            for cost in &costs {
                keep(&mut rows, &cost.name, &cost.unit, cost.median);
            }
        }
        let rows = rows.iter();
        Ok(rows
            .filter_map(|(name, unit, values)| Figure::of(name, unit, Better::Lower, values))
            .collect())
    }
}

fn keep(rows: &mut Vec<(String, String, Vec<f64>)>, name: &str, unit: &str, value: f64) {
    match rows.iter_mut().find(|(known, ..)| known == name) {
        Some((_, _, values)) => values.push(value),
        None => rows.push((name.to_owned(), unit.to_owned(), vec![value])),
    }
}

fn measure(workspace: &Workspace) -> Result<Vec<Cost>> {
    let output = Command::new(release::program(workspace))
        .args(["sim", "cost", "--json"])
        .output()
        .context("starting `luc sim cost`")?;
    ensure!(
        output.status.success(),
        "`luc sim cost` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("reading the answer of `luc sim cost`")
}
