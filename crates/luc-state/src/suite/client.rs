//! A client of an engine that gives up on nothing: it asks until it knows what happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_core::id::OpId;

use crate::engine::{
    CommitError, Committed, Engine, EngineError, Expectation, FeedEvent, Loaded, Mutation,
    Operation, Proposal,
};
use crate::pace::{Pause, Yielding};
use crate::revision::Revision;
use crate::suite::history::{Attempt, History};

use futures::stream::StreamExt;

static CLIENTS: AtomicU64 = AtomicU64::new(1);

/// One client with operation ids of its own.
pub struct Client {
    engine: Arc<dyn Engine>,
    entropy: SplitMix64,
    base: Revision,
}

/// The expectation that `key` is at `revision`.
pub(super) fn expect(key: &str, revision: impl Into<Option<Revision>>) -> Expectation {
    Expectation {
        key: key.to_owned(),
        revision: revision.into(),
    }
}

/// The mutation that writes `value` under `key`.
pub(super) fn put(key: &str, value: &str) -> Mutation {
    Mutation::Put {
        key: key.to_owned(),
        value: value.as_bytes().into(),
    }
}

/// The mutation that removes `key`.
pub(super) fn delete(key: &str) -> Mutation {
    Mutation::Delete {
        key: key.to_owned(),
    }
}

impl Client {
    /// A client of `engine`.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        let seed = CLIENTS.fetch_add(1, Ordering::Relaxed) << 32;
        Self {
            engine,
            entropy: SplitMix64::new(seed),
            base: Revision::ZERO,
        }
    }

    /// A new operation of this client.
    pub fn operation(&mut self) -> Operation {
        let id = OpId::born_at(SitePrefix::from_bytes([9; 6]), &mut self.entropy);
        Operation {
            id,
            base: self.base,
        }
    }

    /// Everything the engine holds under `prefix`.
    pub async fn load(&mut self, prefix: &str) -> Loaded {
        loop {
            match self.engine.load(prefix).await {
                Ok(loaded) => {
                    self.base = self.base.max(loaded.revision);
                    return loaded;
                }
                Err(EngineError::Unavailable { .. }) => self.rest().await,
                Err(error) => panic!("load: {error}"),
            }
        }
    }

    /// The outcome of `operation`.
    pub async fn outcome(&self, operation: &Operation) -> Option<Revision> {
        loop {
            match self.engine.outcome(operation).await {
                Ok(outcome) => return outcome,
                Err(EngineError::Unavailable { .. }) => self.rest().await,
                Err(error) => panic!("outcome: {error}"),
            }
        }
    }

    /// Commits under an operation of the caller's until the answer is known. `Ok(None)`: it did
    /// not happen and never will.
    pub async fn propose(&self, proposal: &Proposal) -> Result<Option<Revision>, CommitError> {
        loop {
            match self.engine.commit(proposal.clone()).await {
                Ok(revision) => return Ok(Some(revision)),
                Err(CommitError::Unavailable { .. }) => self.rest().await,
                Err(CommitError::Unknown { .. }) if proposal.batch.is_empty() => self.rest().await,
                Err(CommitError::Unknown { .. }) => {
                    return Ok(self.outcome(&proposal.operation).await);
                }
                Err(conflict @ CommitError::Conflict { .. }) => return Err(conflict),
            }
        }
    }

    /// Commits under new operations until it has happened or there is a conflict.
    pub async fn commit(
        &mut self,
        expectations: Vec<Expectation>,
        batch: Vec<Mutation>,
    ) -> Result<Revision, CommitError> {
        self.commit_noting(expectations, batch, None).await
    }

    /// The same, noted in `history`.
    pub async fn commit_noting(
        &mut self,
        expectations: Vec<Expectation>,
        batch: Vec<Mutation>,
        history: Option<&History>,
    ) -> Result<Revision, CommitError> {
        let started = history.map(History::tick);
        loop {
            let operation = self.operation();
            let proposal = Proposal {
                operation,
                expectations: expectations.clone(),
                batch: batch.clone(),
            };
            let answer = match self.propose(&proposal).await {
                Ok(Some(revision)) => Ok(revision),
                Err(conflict) => Err(conflict),
                Ok(None) => {
                    history.inspect(|history| history.sealed(proposal.operation.id));
                    continue;
                }
            };
            if let (Some(history), Some(started)) = (history, started) {
                let answer = answer.clone();
                history.note(Attempt {
                    started,
                    finished: history.tick(),
                    proposal,
                    answer,
                });
            }
            return answer;
        }
    }

    /// The commits after `from` up to `until`, watched over as many connections as it takes.
    pub async fn commits(&self, from: Revision, until: Revision) -> Vec<Arc<Committed>> {
        let mut commits: Vec<Arc<Committed>> = Vec::new();
        let mut seen = from;
        while seen < until {
            let Ok(mut feed) = self.engine.watch(seen).await else {
                self.rest().await;
                continue;
            };
            while seen < until {
                match feed.next().await {
                    Some(FeedEvent::Commit(commit)) => {
                        assert!(commit.revision > seen, "commits come in order and once");
                        seen = commit.revision;
                        commits.push(commit);
                    }
                    Some(FeedEvent::Gap { oldest }) => panic!("a gap up to {oldest}"),
                    None => break,
                }
            }
        }
        commits
    }

    pub(super) async fn rest(&self) {
        Yielding.pause(std::time::Duration::ZERO).await;
    }
}
