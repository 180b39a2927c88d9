//! The ledger: what is durable, what is speculative on top of it, and who waits.
//!
//! This is the state machine of a store without any I/O; the driver feeds it what the engine says.
//!
//! ```text
//!   durable ──▶ flight ──▶ queue ══ head           transactions run against the head
//!   (published)  (one group   (ran, not yet
//!                at the engine) proposed)
//!
//!   Open ── conflict, doomed flight, reload ──▶ CatchingUp ── view has caught up ──▶ Open
//!   Open ── engine stays silent about a flight ──▶ Stalled ── outcome learned ──▶ Open
//!   any  ── store closed, foreign data unreadable ──▶ Closed
//! ```
//!
//! Rules: `head` = `durable` + flight + queue whenever the phase is Open. At most one group is at
//! the engine. The durable view only moves forward, in revision order, and is published before
//! anybody hears of it. A transaction that is answered `Retry` has left no trace.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::channel::oneshot;

use crate::change::{Commit, Log};
use crate::engine::Operation;
use crate::group::{EncodeFailure, Group, Member, changes, fences, minds};
use crate::key::EngineKey;
use crate::kinds::Kind;
use crate::revision::{Revision, Stamp};
use crate::snapshot::Snapshot;
use crate::table::{State, Write};
use crate::tx::Run;

/// What becomes of one run of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Durable and published.
    Committed(Revision),
    /// Undone; run again. `refused` if the engine refused the group it was in.
    Retry { refused: bool },
    /// It may or may not happen.
    Unknown(Operation),
    /// It did not happen.
    Unavailable(String),
    /// It did not happen: a record cannot be written as JSON.
    Unwritable {
        kind: Kind,
        id: Arc<str>,
        reason: String,
    },
    /// It did not happen: the store is closed.
    Closed(String),
}

pub(crate) type Waiter = oneshot::Sender<Verdict>;

/// Verdicts to be sent once the lock is released.
#[derive(Default)]
pub(crate) struct Outbox(Vec<(Waiter, Verdict)>);

impl Outbox {
    fn send(&mut self, waiter: Waiter, verdict: Verdict) {
        self.0.push((waiter, verdict));
    }

    pub(crate) fn deliver(self) {
        for (waiter, verdict) in self.0 {
            // Nobody listens to a transaction whose future was dropped.
            let _ = waiter.send(verdict);
        }
    }
}

struct Pending {
    member: Member,
    waiter: Waiter,
}

struct Flight {
    group: Arc<Group>,
    waiters: Vec<Waiter>,
    operation: Operation,
    /// The state after the group, on top of its base.
    after: State,
    /// Its revision, if the engine has said so but the view is not there yet.
    committed: Option<Revision>,
}

/// Why transactions of a closed store are refused.
pub(crate) const CLOSED: &str = "it was closed";

enum Phase {
    Open,
    /// Until the view has this revision; `None`: until the flight is decided.
    CatchingUp(Option<Revision>),
    Stalled(Operation),
    Closed(String),
}

/// Whether a transaction may run now.
pub(crate) enum Admission {
    Open,
    Wait,
    Refused(Verdict),
}

pub(crate) struct Ledger {
    shared: bool,
    keys_max: usize,
    head: State,
    durable: Arc<Snapshot>,
    queue: VecDeque<Pending>,
    flight: Option<Flight>,
    phase: Phase,
    closing: bool,
    waiting: Vec<Waiter>,
    /// Who waits for the view to reach a revision.
    arrivals: Vec<(Revision, Waiter)>,
    outbox: Outbox,
    published: Arc<ArcSwap<Snapshot>>,
    log: Arc<Log>,
}

impl Ledger {
    pub(crate) fn new(
        shared: bool,
        keys_max: usize,
        published: Arc<ArcSwap<Snapshot>>,
        log: Arc<Log>,
    ) -> Self {
        let durable = published.load_full();
        Self {
            shared,
            keys_max,
            head: durable.state.clone(),
            durable,
            queue: VecDeque::new(),
            flight: None,
            phase: Phase::Open,
            closing: false,
            waiting: Vec::new(),
            arrivals: Vec::new(),
            outbox: Outbox::default(),
            published,
            log,
        }
    }

    pub(crate) const fn head(&self) -> &State {
        &self.head
    }

    pub(crate) const fn durable(&self) -> &Arc<Snapshot> {
        &self.durable
    }

    pub(crate) fn take_outbox(&mut self) -> Outbox {
        std::mem::take(&mut self.outbox)
    }

    pub(crate) fn admission(&self) -> Admission {
        match &self.phase {
            Phase::Closed(reason) => Admission::Refused(Verdict::Closed(reason.clone())),
            _ if self.closing => Admission::Refused(Verdict::Closed(CLOSED.to_owned())),
            Phase::Open => Admission::Open,
            Phase::CatchingUp(_) => Admission::Wait,
            Phase::Stalled(operation) => Admission::Refused(Verdict::Unavailable(format!(
                "the engine has not yet told the outcome of operation {operation}"
            ))),
        }
    }

    /// Wakes `waiter` when transactions may run again.
    pub(crate) fn wait(&mut self, waiter: Waiter) {
        self.waiting.push(waiter);
    }

    /// Takes over what a run did. If nothing has to be waited for the answer is given at once.
    pub(crate) fn enqueue(&mut self, run: Run, waiter: Waiter) -> Option<Revision> {
        let idle = self.queue.is_empty() && self.flight.is_none();
        if run.writes.is_empty() && (run.reads.is_empty() || (idle && !self.shared)) {
            return Some(self.durable.revision());
        }
        for (kind, table) in run.touched {
            self.head.replace(kind, table);
        }
        if self.shared {
            for write in &run.writes {
                stamp_fences(&mut self.head, write);
            }
        }
        let Run {
            stamp,
            writes,
            reads,
            ..
        } = run;
        self.queue.push_back(Pending {
            member: Member {
                stamp,
                writes,
                reads,
            },
            waiter,
        });
        None
    }

    /// The next group for the engine, if there is one and the engine has none of ours.
    pub(crate) fn take_group(
        &mut self,
        operation: impl FnOnce(Revision) -> Operation,
    ) -> Option<(Arc<Group>, Operation)> {
        if self.flight.is_some() || !matches!(self.phase, Phase::Open) {
            return None;
        }
        let taken = self.fill_group();
        if taken == 0 {
            return None;
        }
        let (members, waiters): (Vec<_>, Vec<_>) = self
            .queue
            .drain(..taken)
            .map(|pending| (pending.member, pending.waiter))
            .unzip();
        let after = if self.queue.is_empty() {
            self.head.clone()
        } else {
            let mut after = self.durable.state.clone();
            let writes = members.iter().flat_map(|member| &member.writes);
            writes.for_each(|write| apply(&mut after, write, self.shared));
            after
        };
        let operation = operation(self.durable.revision());
        let base = Arc::clone(&self.durable);
        let group = Arc::new(Group {
            members,
            base,
            shared: self.shared,
        });
        self.flight = Some(Flight {
            group: Arc::clone(&group),
            waiters,
            operation: operation.clone(),
            after,
            committed: None,
        });
        Some((group, operation))
    }

    /// How many of the queue fit into one proposal; at least one.
    fn fill_group(&self) -> usize {
        let mut keys = 0;
        self.queue
            .iter()
            .enumerate()
            .take_while(|(position, pending)| {
                keys += pending.member.weight();
                *position == 0 || keys <= self.keys_max
            })
            .count()
    }

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

    /// Wakes `waiter` when the view has reached `revision`.
    pub(crate) fn await_arrival(&mut self, revision: Revision, waiter: Waiter) {
        if revision <= self.durable.revision() {
            self.outbox
                .send(waiter, Verdict::Committed(self.durable.revision()));
        } else if let Admission::Refused(verdict @ Verdict::Closed(_)) = self.admission() {
            self.outbox.send(waiter, verdict);
        } else {
            self.arrivals.push((revision, waiter));
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

    /// Refuses new transactions; what is queued is still done.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        for waiter in self.waiting.drain(..) {
            self.outbox.send(waiter, Verdict::Closed(CLOSED.to_owned()));
        }
    }

    /// Whether the store is closed and nothing is left to do.
    pub(crate) fn is_finished(&self) -> bool {
        let idle = self.queue.is_empty() && self.flight.is_none();
        match self.phase {
            Phase::Closed(_) => true,
            Phase::Stalled(_) => self.closing,
            Phase::Open | Phase::CatchingUp(_) => self.closing && idle,
        }
    }

    /// Whether transactions wait for the engine to have one of ours.
    pub(crate) fn has_work(&self) -> bool {
        self.flight.is_none() && matches!(self.phase, Phase::Open) && !self.queue.is_empty()
    }

    /// Whether a group is at the engine.
    pub(crate) const fn has_flight(&self) -> bool {
        self.flight.is_some()
    }

    /// The group in flight goes to the engine under another operation.
    pub(crate) fn renew(&mut self, operation: Operation) {
        if let Some(flight) = &mut self.flight {
            flight.operation = operation;
        }
    }

    /// Whether this is the operation of the group in flight.
    pub(crate) fn is_ours(&self, operation: &luc_core::id::OpId) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|flight| flight.operation.id == *operation)
    }

    /// Whether those who waited for the flight have been told that its outcome is unknown.
    pub(crate) const fn is_stalled(&self) -> bool {
        matches!(self.phase, Phase::Stalled(_))
    }

    /// Whether the view is behind what a conflict named.
    pub(crate) fn is_behind(&self) -> bool {
        matches!(self.phase, Phase::CatchingUp(Some(_)))
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

impl Member {
    /// The most keys this can add to a proposal.
    fn weight(&self) -> usize {
        let of = |write: &Write| {
            let keys = |row: &Option<crate::table::Row>| {
                row.as_ref()
                    .map_or(0, |row| row.keys.iter().map(Vec::len).sum())
            };
            let (old, new): (usize, usize) = (keys(&write.before), keys(&write.after));
            2 + old + new
        };
        self.reads.len() + self.writes.iter().map(of).sum::<usize>()
    }
}

fn apply(state: &mut State, write: &Write, shared: bool) {
    state.apply(write);
    if shared {
        stamp_fences(state, write);
    }
}

fn stamp_fences(state: &mut State, write: &Write) {
    for fence in fences(write, state.table(write.kind)) {
        state.fences.insert(fence, write.stamp.clone());
    }
}
