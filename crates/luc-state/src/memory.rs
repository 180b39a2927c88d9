//! The engine in memory: for tests and simulation, alone or shared by several controllers.
//!
//! It keeps the whole contract but durability: what it holds dies with it. [`MemoryEngine::new`]
//! may be given to any number of stores, [`MemoryEngine::sole`] to one.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use futures::stream::{Stream, StreamExt};
use luc_core::id::OpId;

use crate::engine::{
    CommitError, Committed, Engine, EngineError, EngineTraits, Entry, Feed, FeedEvent, Loaded,
    Mutation, Operation, Proposal,
};
use crate::revision::Revision;

/// How many commits the history and the outcomes keep unless told otherwise.
const HISTORY: usize = 10_000;

/// A key/value engine in memory.
#[derive(Clone)]
pub struct MemoryEngine {
    shared: bool,
    core: Arc<Mutex<Core>>,
}

struct Core {
    revision: Revision,
    entries: BTreeMap<String, (Revision, Arc<[u8]>)>,
    /// The commits after `oldest`, in order.
    history: VecDeque<Arc<Committed>>,
    oldest: Revision,
    history_max: usize,
    /// What became of operations; `None` is sealed.
    outcomes: BTreeMap<OpId, Option<Revision>>,
    /// In the order in which they were decided, with the revision of that time.
    decided: VecDeque<(Revision, OpId)>,
    /// Outcomes are complete for operations with a base at or after this.
    horizon: Revision,
    watchers: Vec<Waker>,
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryEngine {
    /// An empty engine that any number of controllers may use at once.
    pub fn new() -> Self {
        Self::with(true, HISTORY)
    }

    /// An empty engine for one store: cheaper, as no other controller needs to be fenced off.
    pub fn sole() -> Self {
        Self::with(false, HISTORY)
    }

    /// An empty shared engine that keeps `history_max` commits and outcomes.
    pub fn with_history(history_max: usize) -> Self {
        Self::with(true, history_max)
    }

    fn with(shared: bool, history_max: usize) -> Self {
        let core = Core {
            revision: Revision::ZERO,
            entries: BTreeMap::new(),
            history: VecDeque::new(),
            oldest: Revision::ZERO,
            history_max,
            outcomes: BTreeMap::new(),
            decided: VecDeque::new(),
            horizon: Revision::ZERO,
            watchers: Vec::new(),
        };
        Self {
            shared,
            core: Arc::new(Mutex::new(core)),
        }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    fn commit(&mut self, proposal: Proposal) -> Result<Revision, CommitError> {
        let Operation { id, base } = &proposal.operation;
        if !proposal.batch.is_empty() {
            match self.outcomes.get(id) {
                Some(Some(revision)) => return Ok(*revision),
                Some(None) => return Err(self.conflict(String::new())),
                None if *base < self.horizon => return Err(self.conflict(String::new())),
                None => {}
            }
        }
        for expectation in &proposal.expectations {
            let found = self
                .entries
                .get(&expectation.key)
                .map(|(revision, _)| *revision);
            if found != expectation.revision {
                return Err(self.conflict(expectation.key.clone()));
            }
        }
        if proposal.batch.is_empty() {
            return Ok(self.revision);
        }
        self.revision = self.revision.next();
        for mutation in &proposal.batch {
            match mutation {
                Mutation::Put { key, value } => {
                    self.entries
                        .insert(key.clone(), (self.revision, Arc::clone(value)));
                }
                Mutation::Delete { key } => {
                    self.entries.remove(key);
                }
            }
        }
        self.decide(proposal.operation.id.clone(), Some(self.revision));
        self.history.push_back(Arc::new(Committed {
            revision: self.revision,
            operation: proposal.operation.id,
            batch: proposal.batch,
        }));
        while self.history.len() > self.history_max {
            self.oldest = self
                .history
                .pop_front()
                .map_or(self.oldest, |first| first.revision);
        }
        self.watchers.drain(..).for_each(Waker::wake);
        Ok(self.revision)
    }

    const fn conflict(&self, key: String) -> CommitError {
        CommitError::Conflict {
            key,
            revision: self.revision,
        }
    }

    fn decide(&mut self, id: OpId, outcome: Option<Revision>) {
        self.decided.push_back((self.revision, id.clone()));
        self.outcomes.insert(id, outcome);
        while self.decided.len() > self.history_max {
            let Some((revision, id)) = self.decided.pop_front() else {
                break;
            };
            self.outcomes.remove(&id);
            // An operation decided at `revision` has its base at or before that.
            self.horizon = self.horizon.max(revision.next());
        }
    }

    fn outcome(&mut self, operation: &Operation) -> Result<Option<Revision>, EngineError> {
        if let Some(outcome) = self.outcomes.get(&operation.id) {
            return Ok(*outcome);
        }
        if operation.base < self.horizon {
            let operation = operation.id.clone();
            return Err(EngineError::Forgotten {
                operation,
                horizon: self.horizon,
            });
        }
        self.decide(operation.id.clone(), None);
        Ok(None)
    }

    fn compact(&mut self, until: Revision) {
        let until = until.min(self.revision);
        while self
            .history
            .front()
            .is_some_and(|first| first.revision <= until)
        {
            self.history.pop_front();
        }
        self.oldest = self.oldest.max(until);
        self.watchers.drain(..).for_each(Waker::wake);
    }
}

#[async_trait]
impl Engine for MemoryEngine {
    fn traits(&self) -> EngineTraits {
        EngineTraits {
            name: "memory",
            shared: self.shared,
            proposal_keys_max: 10_000,
        }
    }

    async fn load(&self, prefix: &str) -> Result<Loaded, EngineError> {
        let core = self.core();
        let entries = core
            .entries
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, (revision, value))| Entry {
                key: key.clone(),
                value: Arc::clone(value),
                revision: *revision,
            })
            .collect();
        Ok(Loaded {
            revision: core.revision,
            entries,
        })
    }

    async fn commit(&self, proposal: Proposal) -> Result<Revision, CommitError> {
        self.core().commit(proposal)
    }

    async fn outcome(&self, operation: &Operation) -> Result<Option<Revision>, EngineError> {
        self.core().outcome(operation)
    }

    async fn watch(&self, from: Revision) -> Result<Feed, EngineError> {
        let watcher = Watcher {
            core: Arc::clone(&self.core),
            seen: from,
            over: false,
        };
        Ok(watcher.boxed())
    }

    async fn compact(&self, until: Revision) -> Result<(), EngineError> {
        self.core().compact(until);
        Ok(())
    }
}

struct Watcher {
    core: Arc<Mutex<Core>>,
    seen: Revision,
    over: bool,
}

impl Stream for Watcher {
    type Item = FeedEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FeedEvent>> {
        if self.over {
            return Poll::Ready(None);
        }
        let core = Arc::clone(&self.core);
        let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
        if self.seen < core.oldest {
            self.over = true;
            return Poll::Ready(Some(FeedEvent::Gap {
                oldest: core.oldest,
            }));
        }
        let next = core
            .history
            .partition_point(|commit| commit.revision <= self.seen);
        if let Some(commit) = core.history.get(next) {
            self.seen = commit.revision;
            return Poll::Ready(Some(FeedEvent::Commit(Arc::clone(commit))));
        }
        if !core
            .watchers
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            core.watchers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
