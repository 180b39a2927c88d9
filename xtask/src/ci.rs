//! Everything that a change must pass, in one command that needs nobody at the keyboard.
//!
//! Every step runs, also after one has failed, so that one run tells all. The last line is always
//! `N passed, N failed, N skipped` over all tests.
//!
//! A test that cannot run here (no QEMU, no etcd) appends one line `luc-skip: reason` to the file
//! that the environment variable `LUC_SKIP_LOG` names, and returns. To its runner it has passed;
//! here it counts as skipped, and its reason is printed. Without the variable it writes the line to
//! standard error.

mod tally;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::tidy;
use crate::workspace::Workspace;
use tally::{Runner, Tally};

/// The variable that names the file for skip records.
const SKIP_LOG: &str = "LUC_SKIP_LOG";

/// How a step went.
struct Outcome {
    name: &'static str,
    time: Duration,
    end: End,
}

enum End {
    Passed,
    Failed,
    NotRun(&'static str),
}

/// Runs all steps and says whether all passed.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let skip_log = workspace.target.join("xtask").join("skipped-tests.log");
    let directory = skip_log.parent().context("the skip log has a directory")?;
    fs::create_dir_all(directory)?;
    fs::write(&skip_log, "").context("emptying the skip log")?;
    let mut tally = Tally::default();

    let mut outcomes = vec![
        step("format", || {
            passes(workspace.cargo(&["fmt", "--all", "--check"]))
        }),
        step("lints", || {
            let arguments = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ];
            passes(workspace.cargo(&arguments))
        }),
        step("tidy", || tidy::run(workspace)),
        licences(workspace),
    ];
    let doctests = workspace.cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]);
    let (runner, programs) = runner(workspace);
    for (name, runner, mut command) in [
        ("tests", runner, programs),
        ("doctests", Runner::Libtest, doctests),
    ] {
        command.env(SKIP_LOG, &skip_log);
        let output = (std::io::stdout(), std::io::stderr());
        outcomes.push(step(name, || {
            tests(runner, &mut command, output, &mut tally)
        }));
    }
    tally.note_skips(&fs::read_to_string(&skip_log).context("reading the skip log")?);
    Ok(report(&outcomes, &tally))
}

/// The test runner at hand, and how it is called.
fn runner(workspace: &Workspace) -> (Runner, Command) {
    if succeeds_silently(workspace.cargo(&["nextest", "--version"])) {
        let arguments = [
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--no-tests",
            "pass",
        ];
        (Runner::Nextest, workspace.cargo(&arguments))
    } else {
        let arguments = ["test", "--workspace", "--all-targets", "--no-fail-fast"];
        (Runner::Libtest, workspace.cargo(&arguments))
    }
}

/// Prints the summary and says whether all is well.
fn report(outcomes: &[Outcome], tally: &Tally) -> bool {
    println!("\n── summary");
    for Outcome { name, time, end } in outcomes {
        let seconds = time.as_secs_f64();
        match end {
            End::Passed => println!("{name:<10} passed {seconds:8.1} s"),
            End::Failed => println!("{name:<10} FAILED {seconds:8.1} s"),
            End::NotRun(reason) => println!("{name:<10} not run: {reason}"),
        }
    }
    for line in tally.closing_lines() {
        println!("{line}");
    }
    for reason in tally.reasons() {
        println!("skipped: {reason}");
    }
    println!("{tally}");
    tally.failed() == 0
        && !outcomes
            .iter()
            .any(|outcome| matches!(outcome.end, End::Failed))
}

fn step(name: &'static str, run: impl FnOnce() -> Result<bool>) -> Outcome {
    println!("── {name}");
    let start = Instant::now();
    let end = match run() {
        Ok(true) => End::Passed,
        Ok(false) => End::Failed,
        Err(error) => {
            println!("error: {error:#}");
            End::Failed
        }
    };
    Outcome {
        name,
        time: start.elapsed(),
        end,
    }
}

/// Licences and advisories, where cargo-deny is installed.
fn licences(workspace: &Workspace) -> Outcome {
    if succeeds_silently(workspace.cargo(&["deny", "--version"])) {
        step("licences", || {
            passes(workspace.cargo(&["deny", "--all-features", "check"]))
        })
    } else {
        let end = End::NotRun("cargo-deny is not installed");
        Outcome {
            name: "licences",
            time: Duration::ZERO,
            end,
        }
    }
}

fn passes(mut command: Command) -> Result<bool> {
    let status = command.stdin(Stdio::null()).status();
    Ok(status
        .with_context(|| format!("running {command:?}"))?
        .success())
}

fn succeeds_silently(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a test runner, passes on what it prints, and counts.
fn tests(
    runner: Runner,
    command: &mut Command,
    (to_stdout, to_stderr): (impl Write, impl Write + Send + 'static),
    tally: &mut Tally,
) -> Result<bool> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {command:?}"))?;
    let stdout = child.stdout.take().context("the runner's output")?;
    let stderr = child.stderr.take().context("the runner's errors")?;
    let reader = std::thread::spawn(move || pass_on(stderr, to_stderr));
    let mut lines = pass_on(stdout, to_stdout);
    lines.extend(reader.join().unwrap_or_default());
    let success = child.wait()?.success();
    tally.note_run(runner, &lines, success);
    Ok(success)
}

/// Copies lines as they come, and keeps them.
fn pass_on(from: impl Read, mut to: impl Write) -> Vec<String> {
    let mut lines = Vec::new();
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        // A closed terminal is no reason to stop counting.
        let _ = writeln!(to, "{line}");
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn counted(runner: Runner, script: &str) -> String {
        let mut tally = Tally::default();
        let output = (std::io::sink(), std::io::sink());
        assert!(!tests(runner, &mut sh(script), output, &mut tally).unwrap());
        tally.to_string()
    }

    #[test]
    fn what_a_runner_says_on_either_stream_is_counted() {
        let result = "echo 'test result: ok. 2 passed; 0 failed; 1 ignored'; exit 1";
        assert_eq!(
            counted(Runner::Libtest, result),
            "2 passed, 1 failed, 1 skipped"
        );
        let summary = "echo ' Summary [ 0.1s] 5 tests run: 4 passed, 1 failed, 0 skipped' >&2";
        let script = format!("{summary}; exit 100");
        assert_eq!(
            counted(Runner::Nextest, &script),
            "4 passed, 1 failed, 0 skipped"
        );
    }

    #[test]
    fn a_runner_that_dies_without_a_word_is_a_failure() {
        assert_eq!(
            counted(Runner::Libtest, "kill -9 $$"),
            "0 passed, 1 failed, 0 skipped"
        );
    }

    #[test]
    fn a_failed_step_or_a_failed_test_fails_the_whole() {
        let outcome = |end| Outcome {
            name: "lints",
            time: Duration::ZERO,
            end,
        };
        let passed = Tally::default();
        assert!(report(
            &[outcome(End::Passed), outcome(End::NotRun("no tool"))],
            &passed
        ));
        assert!(!report(
            &[outcome(End::Passed), outcome(End::Failed)],
            &passed
        ));
        let mut failed = Tally::default();
        failed.note_run(Runner::Nextest, &[], false);
        assert!(!report(&[outcome(End::Passed)], &failed));
    }

    #[test]
    fn an_error_inside_a_step_fails_it() {
        assert!(matches!(
            step("x", || anyhow::bail!("no such program")).end,
            End::Failed
        ));
        assert!(matches!(step("x", || Ok(false)).end, End::Failed));
        assert!(matches!(step("x", || Ok(true)).end, End::Passed));
    }
}
