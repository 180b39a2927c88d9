//! Independent work spread over threads, results handed back as they come.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::steps::say;

/// How often a line of progress is written where there is no terminal.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Carries out `work` on every task, on `threads` threads, in order; hands each result to `done`
/// on the calling thread. Stops early if `done` fails.
pub(super) fn each<T: Send, R: Send>(
    tasks: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> R + Sync,
    mut done: impl FnMut(R) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let queue = Mutex::new(VecDeque::from(tasks));
    let next = || {
        queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    };
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let sender = sender.clone();
            let (work, next) = (&work, &next);
            scope.spawn(move || {
                while let Some(task) = next() {
                    if sender.send(work(task)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut outcome = Ok(());
        while let Ok(result) = receiver.recv() {
            outcome = done(result);
            if outcome.is_err() {
                queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                break;
            }
        }
        outcome
    })
}

/// Progress in units of expected time: a bar on a terminal, a line a minute elsewhere.
pub(super) struct Progress {
    bar: ProgressBar,
    started: Instant,
    told: Instant,
    total: f64,
    done: f64,
    threads: f64,
}

impl Progress {
    /// Of work that is expected to take `seconds` on one thread.
    pub(super) fn new(seconds: f64, threads: usize) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(1000)
        } else {
            ProgressBar::hidden()
        };
        let template = "  {bar:30} {percent:>3} %  {elapsed} gone, {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        let progress = Self {
            bar,
            started: Instant::now(),
            told: Instant::now(),
            total: seconds.max(1e-9),
            done: 0.0,
            threads: threads as f64,
        };
        progress.show("");
        progress
    }

    /// Work that was expected to take `seconds` is done.
    pub(super) fn advance(&mut self, seconds: f64, what: &str) {
        self.done += seconds;
        self.show(what);
        if self.bar.is_hidden() && self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            let share = self.done / self.total * 100.0;
            say(&format!("  {share:3.0} %, {}", self.left()));
        }
    }

    /// Writes a line that stays.
    pub(super) fn tell(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    fn show(&self, what: &str) {
        let share = (self.done / self.total).clamp(0.0, 1.0);
        self.bar.set_position((share * 1000.0) as u64);
        self.bar.set_message(format!("{}  {what}", self.left()));
    }

    /// How long it still takes: by what is done, or before that by what was expected.
    fn left(&self) -> String {
        let elapsed = self.started.elapsed().as_secs_f64();
        let pace = if self.done > self.total * 0.01 {
            elapsed / self.done
        } else {
            1.0 / self.threads
        };
        let seconds = ((self.total - self.done) * pace).max(0.0);
        if seconds < 90.0 {
            format!("about {seconds:.0} s left")
        } else {
            format!("about {:.0} min left", seconds / 60.0)
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_once() {
        let mut all = Vec::new();
        let squares = each(
            (0..100).collect(),
            3,
            |n: u32| n * n,
            |square| {
                all.push(square);
                Ok(())
            },
        );
        squares.expect("nothing fails");
        all.sort_unstable();
        assert_eq!(all, (0..100).map(|n| n * n).collect::<Vec<_>>());
    }

    #[test]
    fn a_failure_to_keep_a_result_ends_the_work() {
        let outcome = each(
            (0..1000).collect(),
            2,
            |n: u32| n,
            |_| anyhow::bail!("full"),
        );
        assert_eq!(outcome.expect_err("it fails").to_string(), "full");
    }
}
