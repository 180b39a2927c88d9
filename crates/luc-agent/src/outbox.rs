//! Reports on their way to the controller: the latest of each server, in batches, until taken.
//!
//! A report replaces an older one of the same server that has not left yet, so a controller that
//! was away gets the present state and not a history. One batch is under way at a time, which keeps
//! the reports of a server in order. What is only on the way waits a moment for what comes next, so
//! that a short piece of work costs the controller one commit; what is done goes at once.
//! Who calls it: workers post, the agent runs [`Outbox::deliver`].

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use luc_core::id::ServerId;
use luc_core::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::backoff::Backoff;
use crate::controller::{Controller, ControllerError};
use crate::metrics::Metrics;
use crate::observed::{Observed, Phase};

/// The most reports in one batch: enough to fill one commit of the controller's store, few enough
/// that one batch never delays the next by much.
const BATCH_MAX: usize = 256;

/// How long a report of work that goes on waits for the next one.
const PROGRESS: Duration = Duration::from_millis(50);

/// Reports that have not been taken yet.
pub(crate) struct Outbox {
    state: Mutex<State>,
    posted: Notify,
}

struct State {
    sequence: u64,
    /// The last report of each server, delivered or not.
    last: BTreeMap<ServerId, Observed>,
    /// Reports that must go out.
    pending: BTreeMap<ServerId, Observed>,
    /// How many reports are with the controller but not yet taken.
    under_way: usize,
    /// When what is pending must go.
    due: Option<Instant>,
}

impl State {
    /// What is pending goes at `at`, if not earlier.
    fn goes(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

impl Outbox {
    /// An empty outbox that numbers its reports from `first_sequence` on.
    pub(crate) fn new(first_sequence: u64) -> Self {
        Self {
            state: Mutex::new(State {
                sequence: first_sequence,
                last: BTreeMap::new(),
                pending: BTreeMap::new(),
                under_way: 0,
                due: None,
            }),
            posted: Notify::new(),
        }
    }

    /// Hands in a report; one that says nothing new is dropped.
    pub(crate) fn post(&self, mut report: Observed) {
        let mut state = self.lock();
        if state
            .last
            .get(&report.id)
            .is_some_and(|last| last.says_the_same_as(&report))
        {
            return;
        }
        state.sequence += 1;
        report.sequence = state.sequence;
        state.last.insert(report.id.clone(), report.clone());
        state.goes(match report.phase {
            Phase::Working(_) | Phase::Retrying(_) => Instant::now() + PROGRESS,
            _ => Instant::now(),
        });
        state.pending.insert(report.id.clone(), report);
        drop(state);
        self.posted.notify_one();
    }

    /// Sends the last report of every server again: a new subscription may be with a controller
    /// that never heard them.
    pub(crate) fn post_all_again(&self) {
        let mut state = self.lock();
        state.pending = state.last.clone();
        state.goes(Instant::now());
        drop(state);
        self.posted.notify_one();
    }

    /// Forgets a server that neither side knows any more; what is pending still goes out.
    pub(crate) fn forget(&self, id: &ServerId) {
        self.lock().last.remove(id);
    }

    /// Whether everything has been taken.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.pending.is_empty() && state.under_way == 0
    }

    /// Delivers for ever.
    pub(crate) async fn deliver(
        &self,
        controller: &dyn Controller,
        backoff: Backoff,
        metrics: &Metrics,
    ) {
        let mut failures = 0;
        loop {
            self.something_is_due().await;
            let batch = self.take_batch();
            if batch.is_empty() {
                continue;
            }
            match controller.report(batch.clone()).await {
                Ok(()) => {
                    failures = 0;
                    metrics.reports_taken(batch.len());
                    self.lock().under_way = 0;
                }
                Err(error @ ControllerError::Unavailable { .. }) => {
                    failures += 1;
                    metrics.report_failed();
                    if failures == 1 {
                        tracing::warn!(%error, "reports wait for the controller");
                    }
                    self.put_back(batch);
                    tokio::time::sleep(backoff.after(failures)).await;
                }
                Err(error @ ControllerError::Refused { .. }) => {
                    metrics.report_failed();
                    tracing::error!(%error, reports = batch.len(), "reports refused and dropped");
                    self.lock().under_way = 0;
                }
            }
        }
    }

    async fn something_is_due(&self) {
        loop {
            let due = self.lock().due;
            match due {
                None => self.posted.notified().await,
                Some(due) if due <= Instant::now() => return,
                // Something that is due earlier may be posted.
                Some(due) => drop(timeout_at(due, self.posted.notified()).await),
            }
        }
    }

    fn take_batch(&self) -> Vec<Observed> {
        let mut state = self.lock();
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX
            && let Some((_, report)) = state.pending.pop_first()
        {
            batch.push(report);
        }
        state.under_way = batch.len();
        if state.pending.is_empty() {
            state.due = None;
        }
        batch
    }

    fn put_back(&self, batch: Vec<Observed>) {
        let mut state = self.lock();
        state.under_way = 0;
        state.goes(Instant::now());
        for report in batch {
            // What was posted meanwhile is newer.
            state.pending.entry(report.id.clone()).or_insert(report);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
