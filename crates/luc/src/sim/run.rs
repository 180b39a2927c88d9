//! Runs one scenario, or writes its trace.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use luc_sim::Trace;
use luc_sim::log::{Lines, NoSink, Sink};
use luc_sim::scenario::{Experiment, Outcome};
use luc_sim::sweep::measures;
use luc_sim::trace::Reader;
use serde_json::json;

use super::args::{RunArgs, TraceArgs};
use crate::steps::{print, shown};

/// The scenario in `path`, with another seed if one is given.
fn scenario(path: &Path, seed: Option<u64>) -> anyhow::Result<Experiment> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut experiment = Experiment::parse(&path.display().to_string(), &text)?;
    experiment.seed = seed.unwrap_or(experiment.seed);
    Ok(experiment)
}

/// Writes the trace of a scenario.
pub(super) fn trace(args: &TraceArgs) -> anyhow::Result<()> {
    let trace = scenario(&args.scenario, args.seed)?.trace()?;
    let write = |out: &mut dyn std::io::Write| -> std::io::Result<()> {
        for line in trace.lines() {
            writeln!(out, "{line}")?;
        }
        out.flush()
    };
    let Some(path) = &args.output else {
        return match write(&mut BufWriter::new(std::io::stdout().lock())) {
            // A closed pipe ends the reader's interest, not the work.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.context("writing the trace"),
        };
    };
    let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
    write(&mut BufWriter::new(file)).with_context(|| format!("writing {}", path.display()))
}

/// The trace in `path`.
fn read_trace(path: &Path) -> anyhow::Result<Trace> {
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut reader = Reader::new();
    for line in BufReader::new(file).lines() {
        let line = line.with_context(|| format!("reading {}", path.display()))?;
        reader
            .line(&line)
            .map_err(|error| anyhow!("{}: {error}", path.display()))?;
    }
    reader
        .finish()
        .map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// A file that takes a log. A write that fails is told at the end.
pub(super) struct LogFile {
    out: Arc<std::sync::Mutex<Written>>,
}

struct Written {
    file: BufWriter<File>,
    failed: Option<std::io::Error>,
}

impl LogFile {
    /// Makes the file.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
        let written = Written {
            file: BufWriter::new(file),
            failed: None,
        };
        Ok(Self {
            out: Arc::new(std::sync::Mutex::new(written)),
        })
    }

    /// Where the simulation writes its log.
    pub(super) fn sink(&self) -> Box<dyn Sink> {
        let out = Arc::clone(&self.out);
        Box::new(Lines::new(move |line: &str| {
            let mut out = out
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let file = &mut out.file;
            let wrote = file
                .write_all(line.as_bytes())
                .and_then(|()| file.write_all(b"\n"));
            if let (Err(error), None) = (wrote, &out.failed) {
                out.failed = Some(error);
            }
        }))
    }

    /// Ends the file; says whether everything is in it.
    pub(super) fn finish(&self, path: &Path) -> anyhow::Result<()> {
        let mut out = self
            .out
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let flushed = out.file.flush();
        out.failed
            .take()
            .map_or(flushed, Err)
            .with_context(|| format!("writing {}", path.display()))
    }
}

/// Runs a scenario and prints its figures.
pub(super) fn run(args: &RunArgs, json: bool) -> anyhow::Result<()> {
    let experiment = scenario(&args.scenario, args.seed)?;
    let trace = args
        .trace
        .as_deref()
        .map(read_trace)
        .transpose()?
        .map(Arc::new);
    let log = args.event_log.as_deref().map(LogFile::create).transpose()?;
    let sink = log
        .as_ref()
        .map_or_else(|| Box::new(NoSink) as Box<dyn Sink>, LogFile::sink);
    let started = Instant::now();
    let outcome = experiment.run(trace, sink)?;
    let wall = started.elapsed();
    if let (Some(log), Some(path)) = (&log, &args.event_log) {
        log.finish(path)?;
    }
    if json {
        let summary = serde_json::to_value(&outcome.summary)?;
        let text = json!({
            "scenario": experiment.name,
            "seed": experiment.seed,
            "wall_s": wall.as_secs_f64(),
            "events": outcome.steps,
            "measures": BTreeMap::from_iter(measures(&outcome)),
            "summary": summary,
        });
        print(&serde_json::to_string_pretty(&text)?);
    } else if args.csv {
        print("measure,value");
        for (name, value) in measures(&outcome) {
            print(&format!("{name},{value}"));
        }
    } else {
        print(&text(&experiment, &outcome, wall));
    }
    Ok(())
}

/// The figures for people.
fn text(experiment: &Experiment, outcome: &Outcome, wall: Duration) -> String {
    let summary = &outcome.summary;
    let mut lines = vec![format!(
        "{}, seed {}: {} nodes, {} machines, {:.0} s simulated in {} ({} events)",
        experiment.name,
        experiment.seed,
        summary.nodes,
        summary.vms,
        summary.duration_s,
        shown(wall),
        outcome.steps
    )];
    let named = measures(outcome).into_iter();
    lines.extend(named.map(|(name, value)| format!("  {name:<28} {}", figure(value))));
    lines.join("\n")
}

/// A number with about four digits that say something.
fn figure(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 1000.0 || value.fract() == 0.0 => format!("{value:.0}"),
        magnitude if magnitude >= 1.0 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}
