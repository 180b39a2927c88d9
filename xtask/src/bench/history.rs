//! What was measured before, and whether a new run is worse.
//!
//! `bench/history.jsonl` is committed: one JSON object a line, appended only.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::figure::{self, Figure};
use super::machine::Machine;
use crate::workspace::Workspace;

/// A ratio may be this much worse than before.
const WORSENING_MAX: f64 = 1.15;
/// A run is compared with the median of this many earlier ones.
const COMPARED: usize = 5;
/// The file, from the root.
pub(super) const FILE: &str = "bench/history.jsonl";

/// One line of the history.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// The measurement.
    bench: String,
    /// The commit that was measured, with `+` if files had been changed since; empty without git.
    commit: String,
    /// When, in seconds since 1970.
    unix_seconds: u64,
    /// Where.
    machine: Machine,
    /// What.
    figures: Vec<Figure>,
}

impl Record {
    /// A record of a measurement that has just ended.
    pub(super) fn now(
        workspace: &Workspace,
        bench: &str,
        machine: Machine,
        figures: Vec<Figure>,
    ) -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let commit = commit(workspace);
        Self {
            bench: bench.to_owned(),
            commit,
            unix_seconds: since.as_secs(),
            machine,
            figures,
        }
    }
}

/// The history of a workspace.
pub(super) struct History {
    path: PathBuf,
}

impl History {
    pub(super) fn of(workspace: &Workspace) -> Self {
        Self {
            path: workspace.root.join(FILE),
        }
    }

    /// All records, oldest first.
    pub(super) fn read(&self) -> Result<Vec<Record>> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&self.path).with_context(|| format!("reading {FILE}"))?;
        let records = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        records
            .map(|(index, line)| {
                serde_json::from_str(line).with_context(|| format!("{FILE}, line {}", index + 1))
            })
            .collect()
    }

    /// Adds a record at the end.
    pub(super) fn append(&self, record: &Record) -> Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .with_context(|| format!("opening {FILE}"))?;
        writeln!(file, "{}", serde_json::to_string(record)?)?;
        Ok(())
    }
}

/// The ratios that are worse than they were, in words.
pub(super) fn regressions(earlier: &[Record], bench: &str, figures: &[Figure]) -> Vec<String> {
    let mut worse = Vec::new();
    for figure in figures.iter().filter(|figure| figure.is_ratio()) {
        let mut before: Vec<f64> = earlier
            .iter()
            .rev()
            .filter(|record| record.bench == bench)
            .filter_map(|record| {
                record
                    .figures
                    .iter()
                    .find(|known| known.name == figure.name)
            })
            .take(COMPARED)
            .map(|known| known.median)
            .collect();
        if before.is_empty() {
            continue;
        }
        before.sort_by(f64::total_cmp);
        let usual = figure::median(&before);
        let worsening = figure.worsening(usual);
        // A figure that is not a number is no improvement.
        if worsening > WORSENING_MAX || worsening.is_nan() {
            let percent = (worsening - 1.0) * 100.0;
            let Figure { name, median, .. } = figure;
            worse.push(format!(
                "{name}: {median:.3}, was {usual:.3}: {percent:.0} % worse"
            ));
        }
    }
    worse
}

fn commit(workspace: &Workspace) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&workspace.root)
            .output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changed.is_some_and(|lines| !lines.is_empty()) {
        "+"
    } else {
        ""
    };
    format!("{commit}{mark}")
}

#[cfg(test)]
mod tests {
    use super::super::figure::Better;
    use super::*;

    fn figure(unit: &str, better: Better, value: f64) -> Figure {
        Figure::of("x", unit, better, &[value]).unwrap()
    }

    fn record(bench: &str, value: f64) -> Record {
        Record {
            bench: bench.to_owned(),
            commit: "0123456789ab".to_owned(),
            unix_seconds: 0,
            machine: Machine::default(),
            figures: vec![figure("ratio", Better::Lower, value)],
        }
    }

    #[test]
    fn a_ratio_that_is_more_than_fifteen_percent_worse_is_a_regression() {
        let earlier: Vec<_> = [1.0, 1.0, 9.0].map(|value| record("api", value)).into();
        let worse =
            |unit, better, value| regressions(&earlier, "api", &[figure(unit, better, value)]);
        assert!(worse("ratio", Better::Lower, 1.14).is_empty());
        assert_eq!(
            worse("ratio", Better::Lower, 1.2),
            ["x: 1.200, was 1.000: 20 % worse"]
        );
        assert_eq!(
            worse("ratio", Better::Higher, 0.5),
            ["x: 0.500, was 1.000: 100 % worse"]
        );
        assert_eq!(worse("ratio", Better::Lower, f64::NAN).len(), 1);
        assert!(worse("s", Better::Lower, 50.0).is_empty());
    }

    #[test]
    fn only_the_last_five_runs_of_the_same_measurement_count() {
        let mut earlier: Vec<_> = (0..10).map(|_| record("api", 1.0)).collect();
        earlier.extend((0..5).map(|_| record("api", 4.0)));
        earlier.extend((0..5).map(|_| record("site", 1.0)));
        let new = [figure("ratio", Better::Lower, 4.1)];
        assert!(regressions(&earlier, "api", &new).is_empty());
        assert_eq!(regressions(&earlier, "site", &new).len(), 1);
        assert!(regressions(&earlier, "first", &new).is_empty());
    }

    #[test]
    fn what_is_appended_is_read_back_and_a_broken_line_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let history = History {
            path: directory.path().join("bench/history.jsonl"),
        };
        assert!(history.read().unwrap().is_empty());
        history.append(&record("api", 1.5)).unwrap();
        history.append(&record("api", 2.5)).unwrap();
        let medians: Vec<_> = history
            .read()
            .unwrap()
            .iter()
            .map(|record| record.figures[0].median)
            .collect();
        assert_eq!(medians, [1.5, 2.5]);
        fs::write(&history.path, "{}\n").unwrap();
        assert!(history.read().unwrap_err().to_string().contains("line 1"));
    }
}
