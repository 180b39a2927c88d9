//! Long work, told step by step: what is being done, how long it took, a summary at the end.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

/// One finished step.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub took: Duration,
}

/// The steps of one piece of work. Progress goes to standard error, results to standard output.
#[derive(Debug)]
pub struct Steps {
    done: Vec<Step>,
    started: Instant,
}

impl Steps {
    /// Nothing done yet.
    pub fn new() -> Self {
        Self {
            done: Vec::new(),
            started: Instant::now(),
        }
    }

    /// Carries out `work` under the name `name`, with a spinner on a terminal.
    pub async fn run<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let spinner = spinner(name);
        let started = Instant::now();
        let outcome = work.await;
        let took = started.elapsed();
        spinner.finish_and_clear();
        let mark = if outcome.is_ok() { "ok  " } else { "FAIL" };
        say(&format!("  {mark} {:>8}  {name}", shown(took)));
        self.done.push(Step {
            name: name.to_owned(),
            took,
        });
        outcome
    }

    /// How long everything took so far.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The finished steps as JSON: name and seconds.
    pub fn to_json(&self) -> Value {
        let steps: Vec<Value> = self
            .done
            .iter()
            .map(|step| json!({"step": step.name, "seconds": step.took.as_secs_f64()}))
            .collect();
        json!(steps)
    }

    /// The finished steps as a table.
    pub fn table(&self) -> String {
        let rows = self
            .done
            .iter()
            .map(|step| format!("  {:>8}  {}\n", shown(step.took), step.name));
        let total = format!("  {:>8}  in all\n", shown(self.elapsed()));
        rows.chain([total]).collect()
    }
}

impl Default for Steps {
    fn default() -> Self {
        Self::new()
    }
}

/// A line for the person who watches: standard error, so that results can be piped.
pub fn say(line: &str) {
    use std::io::Write as _;
    // A closed standard error is no reason to stop the work.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether a result could not be written.
static LOST: AtomicBool = AtomicBool::new(false);

/// A line of results: standard output.
pub fn print(text: &str) {
    if let Err(error) = written(&mut std::io::stdout(), text)
        && !LOST.swap(true, Ordering::Relaxed)
    {
        say(&format!("luc: writing the results: {error}"));
    }
}

/// Whether every result was written that somebody wanted to read.
pub fn all_printed() -> bool {
    !LOST.load(Ordering::Relaxed)
}

/// Writes a line. A closed pipe ends the reader's interest, not the work.
fn written(to: &mut impl std::io::Write, text: &str) -> std::io::Result<()> {
    let written = writeln!(to, "{text}").and_then(|()| to.flush());
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn spinner(name: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(name.to_owned());
    if let Ok(style) = ProgressStyle::with_template("  {spinner}    {elapsed:>5}  {msg}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// A duration as people read it.
pub fn shown(duration: Duration) -> String {
    let secs = duration.as_secs_f64();
    if secs < 1.0 {
        format!("{:.0} ms", secs * 1e3)
    } else {
        format!("{secs:.1} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_step_is_in_the_summary_too() {
        let mut steps = Steps::new();
        assert_eq!(steps.run("good", async { Ok(7) }).await.unwrap(), 7);
        let failed: anyhow::Result<()> = steps.run("bad", async { anyhow::bail!("no") }).await;
        assert!(failed.is_err());
        let table = steps.table();
        assert!(table.contains("good") && table.contains("bad"), "{table}");
        assert_eq!(steps.to_json().as_array().map(Vec::len), Some(2));
    }
}
