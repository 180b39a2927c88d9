//! How many tests passed, failed and were skipped, from what their runners print.
//!
//! Reads the `Summary` line of cargo-nextest and the `test result:` lines of libtest; skip records
//! come from the file described in [`super`].

use std::fmt;

/// The mark of a skip record.
const SKIP_MARK: &str = "luc-skip: ";

/// A program that runs tests, known by its closing lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runner {
    /// `cargo nextest`: one summary over all.
    Nextest,
    /// `cargo test`: one result for each program of tests.
    Libtest,
}

/// The count over several runs.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passed: usize,
    failed: usize,
    /// Tests that their runner left out (`#[ignore]`).
    ignored: usize,
    /// Reasons of tests that said they could not run.
    reasons: Vec<String>,
    closing_lines: Vec<String>,
}

impl Tally {
    /// Counts one run of a runner. A run that failed without naming a failed test counts as one: it
    /// did not build, or was killed.
    pub(super) fn note_run(&mut self, runner: Runner, lines: &[String], success: bool) {
        let before = self.failed;
        for line in lines {
            let Some(counts) = counts(runner, line) else {
                continue;
            };
            self.closing_lines.push(line.trim().to_owned());
            for (count, word) in counts {
                match word {
                    "passed" => self.passed += count,
                    "skipped" | "ignored" => self.ignored += count,
                    "failed" | "timed" | "exec" => self.failed += count,
                    _ => {}
                }
            }
        }
        if !success && self.failed == before {
            self.failed += 1;
        }
    }

    /// Takes the skip records: those tests passed for their runner, and did not for us.
    pub(super) fn note_skips(&mut self, log: &str) {
        let reasons = log
            .lines()
            .filter_map(|line| line.trim().strip_prefix(SKIP_MARK));
        self.reasons.extend(reasons.map(str::to_owned));
        self.reasons.sort();
        self.passed = self.passed.saturating_sub(self.reasons.len());
    }

    pub(super) fn failed(&self) -> usize {
        self.failed
    }

    /// The runners' own closing lines, without those of runs that held no test.
    pub(super) fn closing_lines(&self) -> impl Iterator<Item = &str> {
        self.closing_lines
            .iter()
            .map(String::as_str)
            .filter(|line| !line.contains(" 0 passed; 0 failed; 0 ignored"))
    }

    /// Why tests were skipped, one line each.
    pub(super) fn reasons(&self) -> impl Iterator<Item = String> {
        let ignored =
            (self.ignored > 0).then(|| format!("{} by #[ignore] or a filter", self.ignored));
        self.reasons.iter().cloned().chain(ignored)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.reasons.len() + self.ignored;
        write!(
            f,
            "{} passed, {} failed, {skipped} skipped",
            self.passed, self.failed
        )
    }
}

/// The numbers of a runner's closing line with the word after each; `None` for any other line, also
/// for a closing line of another runner (nextest shows what a failed test has printed).
fn counts(runner: Runner, line: &str) -> Option<Vec<(usize, &str)>> {
    let line = line.trim();
    let numbers = match runner {
        Runner::Nextest => line.strip_prefix("Summary [")?.split_once(" run: ")?.1,
        Runner::Libtest => line.strip_prefix("test result: ")?.split_once(". ")?.1,
    };
    let words: Vec<&str> = numbers
        .split([' ', ',', ';'])
        .filter(|word| !word.is_empty())
        .collect();
    let pairs = words
        .windows(2)
        .filter_map(|pair| Some((pair[0].parse().ok()?, pair[1])));
    Some(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    use Runner::{Libtest, Nextest};

    fn tally(runner: Runner, lines: &[&str], success: bool) -> Tally {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let mut tally = Tally::default();
        tally.note_run(runner, &lines, success);
        tally
    }

    #[test]
    fn the_summary_of_nextest_is_counted() {
        let lines = [
            "        PASS [   0.004s] luc-core id::tests::x",
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
            "     Summary [  12.011s] 12 tests run: 8 passed (1 slow, 2 flaky), 2 failed, \
             1 timed out, 1 exec failed, 3 skipped",
        ];
        assert_eq!(
            tally(Nextest, &lines, false).to_string(),
            "8 passed, 4 failed, 3 skipped"
        );
        let one = ["     Summary [   0.01s] 1 test run: 1 passed, 0 skipped"];
        assert_eq!(
            tally(Nextest, &one, true).to_string(),
            "1 passed, 0 failed, 0 skipped"
        );
        let stopped = ["     Summary [   0.01s] 2/9 tests run: 1 passed, 1 failed, 0 skipped"];
        assert_eq!(
            tally(Nextest, &stopped, false).to_string(),
            "1 passed, 1 failed, 0 skipped"
        );
    }

    #[test]
    fn the_results_of_libtest_are_added_up() {
        let lines = [
            "running 2 tests",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; in 0.00s",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
        ];
        let tally = tally(Libtest, &lines, false);
        assert_eq!(tally.to_string(), "3 passed, 1 failed, 1 skipped");
        assert_eq!(tally.closing_lines().count(), 2);
    }

    #[test]
    fn a_record_in_the_log_turns_a_pass_into_a_skip_with_its_reason() {
        let line = ["     Summary [   0.01s] 3 tests run: 3 passed, 0 skipped"];
        let log = "luc-skip: no QEMU on this machine\nunrelated\nluc-skip: no etcd\n";
        let mut tally = tally(Nextest, &line, true);
        tally.note_skips(log);
        assert_eq!(tally.to_string(), "1 passed, 0 failed, 2 skipped");
        let reasons: Vec<_> = tally.reasons().collect();
        assert_eq!(reasons, ["no QEMU on this machine", "no etcd"]);
    }

    #[test]
    fn a_failure_without_a_count_is_counted() {
        let built = ["error: could not compile `luc-api`"];
        assert_eq!(
            tally(Nextest, &built, false).to_string(),
            "0 passed, 1 failed, 0 skipped"
        );
        assert_eq!(
            tally(Libtest, &[], true).to_string(),
            "0 passed, 0 failed, 0 skipped"
        );
    }
}
