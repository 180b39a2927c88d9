//! Runs the jobs of a sweep and keeps their results, one JSON line each.
//!
//! ```text
//!  DIR/sweep.json     which table, how much of it, on which machine
//!  DIR/results.jsonl  one line per finished job and seed; appended, never rewritten
//!  DIR/report.html    written at the end, and by `luc sim report`
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use luc_sim::sweep::{Benchmark, Record, Scale, Work, measure, paper, perform};
use serde::{Deserialize, Serialize};

use super::args::{SweepArgs, SweepName};
use super::{machine, pool, report};
use crate::steps::say;

/// Finished jobs.
const RESULTS: &str = "results.jsonl";

/// What was asked for.
const ABOUT: &str = "sweep.json";

/// What a directory of results is about.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct About {
    /// Over how many seeds.
    pub(super) seeds: u32,
    /// With how many nodes at most.
    pub(super) nodes_max: u32,
    /// Whether it only shows that it works.
    pub(super) quick: bool,
    /// Which benchmarks; empty means all.
    pub(super) only: Vec<String>,
    /// Machine, program, command.
    pub(super) facts: Vec<(String, String)>,
}

impl About {
    /// What the directory is about.
    pub(super) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(ABOUT);
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "reading {}: is {} the directory of a sweep?",
                path.display(),
                dir.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
    }

    /// The benchmarks that it is about.
    pub(super) fn benchmarks(&self) -> anyhow::Result<Vec<Benchmark>> {
        let mut all = paper(Scale {
            seeds: self.seeds,
            nodes_max: self.nodes_max,
            quick: self.quick,
        });
        let known: Vec<&str> = all.iter().map(|benchmark| benchmark.id).collect();
        for name in &self.only {
            ensure!(
                known.iter().any(|id| id.eq_ignore_ascii_case(name)),
                "there is no benchmark {name:?} in this sweep; there are {}",
                known.join(", ")
            );
        }
        if !self.only.is_empty() {
            let wanted = |id: &str| self.only.iter().any(|name| id.eq_ignore_ascii_case(name));
            all.retain(|benchmark| wanted(benchmark.id));
        }
        Ok(all)
    }
}

/// All results in `dir`.
pub(super) fn results(dir: &Path) -> anyhow::Result<Vec<Record>> {
    let path = dir.join(RESULTS);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    Record::read_all(&text).with_context(|| {
        format!(
            "in {}: remove that line, or begin anew with --fresh",
            path.display()
        )
    })
}

/// One job under one seed.
struct Task {
    key: String,
    label: String,
    seed: u64,
    weight: f64,
    work: Work,
}

/// Runs what is not done yet, then writes the report.
pub(super) fn run(args: &SweepArgs, json: bool) -> anyhow::Result<()> {
    let SweepName::Paper = args.name;
    let dir = &args.dir;
    let mut about = About {
        seeds: args.seeds,
        nodes_max: args.max_nodes,
        quick: args.quick,
        only: args.only.clone(),
        facts: Vec::new(),
    };
    let benchmarks = about.benchmarks()?;
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    if args.fresh {
        forget(&dir.join(RESULTS))?;
    }
    about.facts = machine::facts(dir);
    let tasks = open_tasks(&benchmarks, &results(dir)?);
    fs::write(dir.join(ABOUT), serde_json::to_string_pretty(&about)?)
        .with_context(|| format!("writing to {}", dir.display()))?;
    let threads = args.jobs.map_or_else(machine::cores, usize::from);
    let failed = carry_out(tasks, threads, dir)?;
    report::write(dir, &dir.join("report.html"), args.csv, json)?;
    if failed > 0 {
        bail!("{failed} runs failed; their cells are empty in the report");
    }
    Ok(())
}

fn forget(results: &Path) -> anyhow::Result<()> {
    match fs::remove_file(results) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", results.display()))
        }
        _ => Ok(()),
    }
}

/// What is not done yet, longest first so that no core waits for the last one.
fn open_tasks(benchmarks: &[Benchmark], done: &[Record]) -> Vec<Task> {
    let mut known: BTreeSet<(String, u64)> = done
        .iter()
        .map(|record| (record.key.clone(), record.seed))
        .collect();
    let mut tasks = Vec::new();
    for benchmark in benchmarks {
        for job in &benchmark.jobs {
            let key = job.key();
            for seed in 1..=u64::from(job.seeds) {
                if known.insert((key.clone(), seed)) {
                    tasks.push(Task {
                        key: key.clone(),
                        label: format!("{} {} at {}", benchmark.id, job.row, job.column),
                        seed,
                        weight: job.weight(),
                        work: job.seeded(seed),
                    });
                }
            }
        }
    }
    tasks.sort_by(|left, right| right.weight.total_cmp(&left.weight));
    tasks
}

/// Runs `tasks` and appends their results; how many failed.
fn carry_out(tasks: Vec<Task>, threads: usize, dir: &Path) -> anyhow::Result<usize> {
    let seconds: f64 = tasks.iter().map(|task| task.weight).sum();
    if tasks.is_empty() {
        say("Nothing to run: everything is done already.");
        return Ok(0);
    }
    say(&format!(
        "{} runs on {threads} threads, about {:.0} min.",
        tasks.len(),
        (seconds / threads as f64 / 60.0).ceil()
    ));
    let path = dir.join(RESULTS);
    let mut file = open_for_append(&path)?;
    let mut progress = pool::Progress::new(seconds, threads);
    let mut failed = 0;
    pool::each(tasks, threads, perform_one, |(task, result)| {
        let name = format!("{}, seed {}", task.label, task.seed);
        match result {
            Ok(record) => {
                let mut line = serde_json::to_vec(&record)?;
                line.push(b'\n');
                file.write_all(&line)
                    .with_context(|| format!("writing {}", path.display()))?;
            }
            Err(error) => {
                failed += 1;
                progress.tell(&format!("  FAIL  {name}: {error:#}"));
            }
        }
        progress.advance(task.weight, &name);
        Ok(())
    })?;
    Ok(failed)
}

/// The file of results, after an unfinished last line of an earlier sweep has been ended.
fn open_for_append(path: &Path) -> anyhow::Result<File> {
    let text = fs::read(path).unwrap_or_default();
    let whole = text
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let open = || -> std::io::Result<File> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        if whole < text.len() {
            file.set_len(whole as u64)?;
        }
        Ok(file)
    };
    open().with_context(|| format!("opening {}", path.display()))
}

fn perform_one(task: Task) -> (Task, anyhow::Result<Record>) {
    machine::forget_peak();
    let started = Instant::now();
    let result = perform(&task.work, task.seed);
    let wall = started.elapsed().as_secs_f64();
    let record = result.map_err(anyhow::Error::from).map(|mut record| {
        record.key.clone_from(&task.key);
        record.label.clone_from(&task.label);
        record.seed = task.seed;
        record.measures.insert(measure::WALL.to_owned(), wall);
        if let Some(peak) = machine::peak_gib() {
            record.measures.insert(measure::MEMORY.to_owned(), peak);
        }
        record
    });
    (task, record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick(only: &[&str]) -> About {
        About {
            seeds: 2,
            nodes_max: 100_000,
            quick: true,
            only: only.iter().map(|name| (*name).to_owned()).collect(),
            facts: Vec::new(),
        }
    }

    #[test]
    fn equal_work_of_two_benchmarks_is_run_once_and_finished_work_not_again() {
        let benchmarks = quick(&["B1", "b2"]).benchmarks().expect("they exist");
        assert_eq!(benchmarks.len(), 2);
        let tasks = open_tasks(&benchmarks, &[]);
        let jobs: usize = benchmarks
            .iter()
            .map(|benchmark| benchmark.jobs.len())
            .sum();
        assert!(tasks.len() < 2 * jobs, "B2 shares runs with B1");
        let done: Vec<Record> = tasks
            .iter()
            .skip(1)
            .map(|task| Record {
                key: task.key.clone(),
                seed: task.seed,
                ..Record::default()
            })
            .collect();
        assert_eq!(open_tasks(&benchmarks, &done).len(), 1);
    }

    #[test]
    fn an_unknown_benchmark_is_refused_with_the_known_ones() {
        let error = quick(&["B99"]).benchmarks().expect_err("there is none");
        let text = error.to_string();
        assert!(text.contains("B99") && text.contains("B1, B2"), "{text}");
    }
}
