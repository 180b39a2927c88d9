//! What the engine says, and what follows for those who wait.
//!
//! One `on_…` per thing that can happen; each leaves the ledger as its rules say. Called by the
//! driver only.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Ledger, Phase, Verdict, apply};
use crate::change::Commit;
use crate::group::{EncodeFailure, changes, minds};
use crate::key::EngineKey;
use crate::revision::{Revision, Stamp};
use crate::snapshot::Snapshot;
use crate::table::{State, Write};

impl Ledger {
    /// The engine has committed the group in flight. `in_order` if the watch has delivered
    /// everything before it.
    pub(crate) fn on_committed(&mut self, revision: Revision, in_order: bool) {
        if let Some(flight) = &mut self.flight {
            flight.committed = Some(revision);
            self.settle(in_order);
        }
    }

    /// Completes the flight if the view is where its commit belongs.
    fn settle(&mut self, in_order: bool) {
        let Some(revision) = self.flight.as_ref().and_then(|flight| flight.committed) else {
            return;
        };
        let seen = revision <= self.durable.revision();
        if !(seen || in_order || revision == self.durable.revision().next()) {
            return;
        }
        let Some(flight) = self.flight.take() else {
            return;
        };
        for member in &flight.group.members {
            member.stamp.fill(revision);
        }
        if !seen {
            let state = if Arc::ptr_eq(&flight.group.base, &self.durable) {
                flight.after
            } else {
                let mut state = self.durable.state.clone();
                let writes = flight
                    .group
                    .members
                    .iter()
                    .flat_map(|member| &member.writes);
                writes.for_each(|write| apply(&mut state, write, self.shared));
                state
            };
            self.publish(
                state,
                Commit {
                    revision,
                    changes: flight.group.changes(),
                },
            );
        }
        for waiter in flight.waiters {
            self.outbox.send(waiter, Verdict::Committed(revision));
        }
        self.reopen_if_caught_up();
    }

    fn publish(&mut self, state: State, commit: Commit) {
        self.show(state, commit.revision);
        self.log.push(commit);
    }

    fn show(&mut self, state: State, revision: Revision) {
        self.durable = Arc::new(Snapshot { state, revision });
        self.published.store(Arc::clone(&self.durable));
        for (_, waiter) in self
            .arrivals
            .extract_if(.., |(wanted, _)| *wanted <= revision)
        {
            self.outbox.send(waiter, Verdict::Committed(revision));
        }
    }

    /// Another controller has committed `writes`, which changed `keys`.
    pub(crate) fn on_foreign(
        &mut self,
        revision: Revision,
        writes: &[Write],
        keys: &BTreeSet<EngineKey>,
    ) {
        let mut state = self.durable.state.clone();
        for write in writes {
            apply(&mut state, write, false);
        }
        // Another controller says itself which fences it moved and which claims it wrote; one that
        // removed a record and made it again in the same commit has written a claim that is kept.
        for key in keys {
            state.restamp(key, Stamp::at(revision));
        }
        self.publish(
            state,
            Commit {
                revision,
                changes: changes(writes.iter()),
            },
        );
        self.rebase(keys);
        self.settle(false);
        self.reopen_if_caught_up();
    }

    /// Puts what is speculative on top of the new durable view, as far as it still holds.
    fn rebase(&mut self, keys: &BTreeSet<EngineKey>) {
        if !matches!(self.phase, Phase::Open) {
            return;
        }
        if self
            .flight
            .as_ref()
            .is_some_and(|flight| flight.group.minds(keys))
        {
            // The engine will refuse it, but only its answer may be acted on.
            self.retry_queue();
            self.phase = Phase::CatchingUp(None);
            return;
        }
        let holds = self
            .queue
            .iter()
            .take_while(|pending| !minds(&pending.member.reads, keys));
        let holds = holds.count();
        for pending in self.queue.drain(holds..) {
            self.outbox
                .send(pending.waiter, Verdict::Retry { refused: false });
        }
        let mut head = self.durable.state.clone();
        let flight = self.flight.iter().flat_map(|flight| &flight.group.members);
        let members = flight.chain(self.queue.iter().map(|pending| &pending.member));
        for write in members.flat_map(|member| &member.writes) {
            apply(&mut head, write, self.shared);
        }
        self.head = head;
    }

    /// The engine has refused the group in flight; it has changes up to `revision` at least.
    pub(crate) fn on_conflict(&mut self, revision: Revision) {
        self.drop_flight(&Verdict::Retry { refused: true });
        self.retry_queue();
        self.enter(Phase::CatchingUp(Some(revision)));
        self.reopen_if_caught_up();
    }

    /// The group in flight was not committed and never will be.
    pub(crate) fn on_unavailable(&mut self, reason: &str) {
        self.drop_flight(&Verdict::Unavailable(reason.to_owned()));
        self.retry_queue();
        self.enter(Phase::CatchingUp(None));
        self.reopen_if_caught_up();
    }

    /// The group in flight could not be written down; nothing was sent to the engine.
    pub(crate) fn on_unwritable(&mut self, failure: &EncodeFailure) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        for (number, waiter) in flight.waiters.into_iter().enumerate() {
            let verdict = if number == failure.member {
                let (kind, id) = (failure.kind, Arc::clone(&failure.id));
                Verdict::Unwritable {
                    kind,
                    id,
                    reason: failure.source.to_string(),
                }
            } else {
                Verdict::Retry { refused: false }
            };
            self.outbox.send(waiter, verdict);
        }
        self.retry_queue();
        self.enter(Phase::CatchingUp(None));
        self.reopen_if_caught_up();
    }

    /// The engine stays silent about the flight: tell those who wait, and refuse new work.
    pub(crate) fn on_stalled(&mut self) {
        let Some(flight) = &mut self.flight else {
            return;
        };
        let operation = flight.operation.clone();
        for waiter in flight.waiters.drain(..) {
            self.outbox
                .send(waiter, Verdict::Unknown(operation.clone()));
        }
        let reason = format!("the engine has not yet told the outcome of operation {operation}");
        let waiters = self.queue.drain(..).map(|pending| pending.waiter);
        for waiter in waiters.chain(self.waiting.drain(..)) {
            self.outbox
                .send(waiter, Verdict::Unavailable(reason.clone()));
        }
        self.enter(Phase::Stalled(operation));
    }

    /// The whole state was loaded anew at `revision`.
    pub(crate) fn on_reload(&mut self, state: State, revision: Revision) {
        if revision > self.durable.revision() {
            self.show(state, revision);
            self.log.reset(revision);
        }
        self.retry_queue();
        if matches!(self.phase, Phase::Open) {
            self.phase = Phase::CatchingUp(None);
        }
        self.settle(false);
        self.reopen_if_caught_up();
    }

    /// Stops everything. What is in flight stays unknown to those who wait for it.
    pub(crate) fn abandon(&mut self, reason: &str) {
        if let Some(flight) = self.flight.take() {
            for waiter in flight.waiters {
                self.outbox
                    .send(waiter, Verdict::Unknown(flight.operation.clone()));
            }
        }
        let queued = self.queue.drain(..).map(|pending| pending.waiter);
        let arriving = self.arrivals.drain(..).map(|(_, waiter)| waiter);
        for waiter in queued.chain(self.waiting.drain(..)).chain(arriving) {
            self.outbox.send(waiter, Verdict::Closed(reason.to_owned()));
        }
        self.enter(Phase::Closed(reason.to_owned()));
        self.log.close();
    }

    /// Changes the phase, unless the store is closed for good.
    fn enter(&mut self, phase: Phase) {
        if !matches!(self.phase, Phase::Closed(_)) {
            self.phase = phase;
        }
    }

    fn drop_flight(&mut self, verdict: &Verdict) {
        if let Some(flight) = self.flight.take() {
            for waiter in flight.waiters {
                self.outbox.send(waiter, verdict.clone());
            }
        }
    }

    fn retry_queue(&mut self) {
        for pending in self.queue.drain(..) {
            self.outbox
                .send(pending.waiter, Verdict::Retry { refused: false });
        }
    }

    fn reopen_if_caught_up(&mut self) {
        let caught_up = match &self.phase {
            Phase::CatchingUp(Some(revision)) => self.durable.revision() >= *revision,
            Phase::CatchingUp(None) | Phase::Stalled(_) => self.flight.is_none(),
            Phase::Open | Phase::Closed(_) => false,
        };
        if caught_up {
            self.phase = Phase::Open;
            self.head = self.durable.state.clone();
            for waiter in self.waiting.drain(..) {
                self.outbox.send(waiter, Verdict::Retry { refused: false });
            }
        }
    }
}
