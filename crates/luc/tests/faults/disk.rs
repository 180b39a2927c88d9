//! The disk of a site: what it says is written stays, whatever becomes of the process that wrote.
//!
//! A memory engine outlives the controllers that use it one after the other. Each of them has an
//! [`Incarnation`]; when it is crashed nothing of it reaches the disk any more, as after kill −9,
//! and a commit may be durable although nobody heard of it. Every commit goes into the [`Ledger`],
//! which is how the invariants see states and not only answers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::future::pending;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_core::id::OpId;
use luc_state::engine::{
    CommitError, Engine, EngineError, EngineTraits, Feed, Loaded, Mutation, Operation, Proposal,
};
use luc_state::{MemoryEngine, Revision};
use tokio::sync::Notify;

use crate::draw::{Draw, lock};
use crate::ledger::Ledger;

/// An engine that the ledger watches, and that takes its time.
pub(crate) struct Disk {
    site: usize,
    engine: MemoryEngine,
    ledger: Arc<Mutex<Ledger>>,
    draw: Mutex<Draw>,
    /// What undoes the last commit, on a disk that forgets it.
    undone: Option<Mutex<Vec<Mutation>>>,
}

impl Disk {
    /// The empty disk of the site number `site`. A shared one may be behind a lossy link.
    pub(crate) fn new(site: usize, shared: bool, ledger: Arc<Mutex<Ledger>>, draw: Draw) -> Self {
        let engine = if shared {
            MemoryEngine::new()
        } else {
            MemoryEngine::sole()
        };
        Self {
            site,
            engine,
            ledger,
            draw: Mutex::new(draw),
            undone: None,
        }
    }

    /// A disk that can forget its last commit.
    pub(crate) fn forgetful(mut self) -> Self {
        self.undone = Some(Mutex::default());
        self
    }

    /// Forgets the last commit, if it can.
    pub(crate) async fn forget(&self, site: SitePrefix) {
        let Some(undone) = &self.undone else { return };
        let batch = std::mem::take(&mut *lock(undone));
        if batch.is_empty() {
            return;
        }
        let base = self.engine.load("").await.expect("it is memory").revision;
        let id = OpId::born_at(site, &mut SplitMix64::new(base.number()));
        let operation = Operation { id, base };
        let forgotten = self.engine.commit(Proposal {
            operation,
            expectations: Vec::new(),
            batch: batch.clone(),
        });
        let revision = forgotten.await.expect("nothing stands against it");
        lock(&self.ledger).committed(self.site, revision.number(), &batch);
    }

    /// Notes what undoes `batch`, which is about to be committed.
    async fn note(&self, batch: &[Mutation]) {
        let Some(undone) = &self.undone else { return };
        let mut before = Vec::new();
        for mutation in batch {
            let key = mutation.key().to_owned();
            let loaded = self.engine.load(&key).await.expect("it is memory");
            let entry = loaded.entries.into_iter().find(|entry| entry.key == key);
            before.push(match entry {
                Some(entry) => Mutation::Put {
                    key,
                    value: entry.value,
                },
                None => Mutation::Delete { key },
            });
        }
        *lock(undone) = before;
    }
}

#[async_trait]
impl Engine for Disk {
    fn traits(&self) -> EngineTraits {
        self.engine.traits()
    }

    async fn load(&self, prefix: &str) -> Result<Loaded, EngineError> {
        self.engine.load(prefix).await
    }

    async fn commit(&self, proposal: Proposal) -> Result<Revision, CommitError> {
        let batch = proposal.batch.clone();
        self.note(&batch).await;
        let revision = self.engine.commit(proposal).await?;
        if !batch.is_empty() {
            lock(&self.ledger).committed(self.site, revision.number(), &batch);
        }
        let syncing = lock(&self.draw).below(4);
        if syncing > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(syncing - 1)).await;
        }
        Ok(revision)
    }

    async fn outcome(&self, operation: &Operation) -> Result<Option<Revision>, EngineError> {
        self.engine.outcome(operation).await
    }

    async fn watch(&self, from: Revision) -> Result<Feed, EngineError> {
        self.engine.watch(from).await
    }

    async fn compact(&self, until: Revision) -> Result<(), EngineError> {
        self.engine.compact(until).await
    }
}

/// Ends a controller right after one of its commits is durable, before it hears of it.
#[derive(Debug, Default)]
pub(crate) struct Fatal {
    /// Which commit from now on it is; none if zero.
    pub(crate) commit: AtomicU64,
    /// It has come.
    pub(crate) struck: Notify,
}

impl Fatal {
    fn strikes(&self) -> bool {
        let left = self.commit.load(Ordering::Relaxed);
        self.commit.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 {
            self.struck.notify_one();
        }
        left == 1
    }
}

/// The engine as one run of a controller has it.
pub(crate) struct Incarnation {
    engine: Arc<dyn Engine>,
    alive: Arc<AtomicBool>,
    fatal: Arc<Fatal>,
}

impl Incarnation {
    /// Over `engine`, until `alive` is false or a commit is `fatal`.
    pub(crate) fn new(engine: Arc<dyn Engine>, alive: Arc<AtomicBool>, fatal: Arc<Fatal>) -> Self {
        Self {
            engine,
            alive,
            fatal,
        }
    }

    /// Goes no further if the process is gone.
    async fn living(&self) {
        if !self.alive.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl Engine for Incarnation {
    fn traits(&self) -> EngineTraits {
        self.engine.traits()
    }

    async fn load(&self, prefix: &str) -> Result<Loaded, EngineError> {
        self.living().await;
        self.engine.load(prefix).await
    }

    async fn commit(&self, proposal: Proposal) -> Result<Revision, CommitError> {
        self.living().await;
        let changes = !proposal.batch.is_empty();
        let committed = self.engine.commit(proposal).await;
        if changes && committed.is_ok() && self.fatal.strikes() {
            self.alive.store(false, Ordering::Relaxed);
        }
        self.living().await;
        committed
    }

    async fn outcome(&self, operation: &Operation) -> Result<Option<Revision>, EngineError> {
        self.living().await;
        self.engine.outcome(operation).await
    }

    async fn watch(&self, from: Revision) -> Result<Feed, EngineError> {
        self.living().await;
        self.engine.watch(from).await
    }

    async fn compact(&self, until: Revision) -> Result<(), EngineError> {
        self.living().await;
        self.engine.compact(until).await
    }
}
