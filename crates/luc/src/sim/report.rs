//! Writes the page of a sweep's results and says which targets are met.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use luc_sim::report::Page;
use luc_sim::sweep::{Judgement, Verdict};
use serde_json::json;

use super::args::ReportArgs;
use super::sweep::{About, results};
use crate::steps::{print, say};

/// Writes the report of the directory that is asked for.
pub(super) fn run(args: &ReportArgs, json: bool) -> anyhow::Result<()> {
    let fallback = args.dir.join("report.html");
    let output = args.output.as_ref().unwrap_or(&fallback);
    write(&args.dir, output, args.csv, json)
}

/// Writes the report of `dir` to `output` and prints targets, or all measures.
pub(super) fn write(dir: &Path, output: &Path, csv: bool, json: bool) -> anyhow::Result<()> {
    let about = About::read(dir)?;
    let benchmarks = about.benchmarks()?;
    let records = results(dir)?;
    let page = Page {
        benchmarks: &benchmarks,
        records: &records,
        quick: about.quick,
        facts: &about.facts,
    };
    fs::write(output, page.render()).with_context(|| format!("writing {}", output.display()))?;
    if about.quick {
        say("A quick sweep: its figures are not those of the benchmarks.");
    }
    let judged = page.judgements();
    if csv {
        print(page.csv().trim_end());
    } else if json {
        print(&serde_json::to_string_pretty(&as_json(&judged, output))?);
    } else {
        print(&as_text(&judged));
    }
    say(&format!("The report is in {}.", output.display()));
    Ok(())
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Missed => "missed",
        Verdict::Unknown => "unknown",
    }
}

fn as_json(judged: &[(&'static str, Judgement)], output: &Path) -> serde_json::Value {
    let targets: Vec<_> = judged
        .iter()
        .map(|(id, judgement)| {
            json!({
                "benchmark": id,
                "target": judgement.text,
                "verdict": word(judgement.verdict),
                "detail": judgement.detail,
            })
        })
        .collect();
    json!({"report": output.display().to_string(), "targets": targets})
}

fn as_text(judged: &[(&'static str, Judgement)]) -> String {
    let lines = judged.iter().map(|(id, judgement)| {
        let word = word(judgement.verdict);
        format!("{id:<4} {word:<8} {}: {}", judgement.text, judgement.detail)
    });
    lines.collect::<Vec<_>>().join("\n")
}
