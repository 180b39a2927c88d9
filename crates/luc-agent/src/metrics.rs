//! Counts of what the agent did, for `/metrics` and for tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::driver::Step;

/// Counters of one agent.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    done: [AtomicU64; Step::ALL.len()],
    failed: [AtomicU64; Step::ALL.len()],
    faults: AtomicU64,
    reports: AtomicU64,
    report_failures: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSnapshot {
    /// Steps carried out, by their name.
    pub steps_done: BTreeMap<&'static str, u64>,
    /// Steps that failed, whether tried again or not, by their name.
    pub steps_failed: BTreeMap<&'static str, u64>,
    /// Wishes that could not be fulfilled.
    pub faults: u64,
    /// Reports the controller has taken.
    pub reports_taken: u64,
    /// Batches of reports it did not take.
    pub report_failures: u64,
}

impl Metrics {
    pub(crate) fn step_done(&self, step: Step) {
        self.done[step as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn step_failed(&self, step: Step) {
        self.failed[step as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn reports_taken(&self, count: usize) {
        self.reports.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn report_failed(&self) {
        self.report_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> MetricsSnapshot {
        let by_name = |counters: &[AtomicU64]| {
            Step::ALL
                .iter()
                .map(|&step| (step.name(), counters[step as usize].load(Ordering::Relaxed)))
                .collect()
        };
        MetricsSnapshot {
            steps_done: by_name(&self.done),
            steps_failed: by_name(&self.failed),
            faults: self.faults.load(Ordering::Relaxed),
            reports_taken: self.reports.load(Ordering::Relaxed),
            report_failures: self.report_failures.load(Ordering::Relaxed),
        }
    }
}
