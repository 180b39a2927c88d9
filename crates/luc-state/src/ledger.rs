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

mod answers;

use std::collections::VecDeque;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::channel::oneshot;

use crate::change::Log;
use crate::engine::Operation;
use crate::group::{Group, Member, fences};
use crate::kinds::Kind;
use crate::revision::Revision;
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
