//! The embedded engine: one file and its journal, one process, many transactions per fsync.
//!
//! A thread of its own owns both (`writer`). It takes all proposals that wait, applies them one
//! after the other in one redb transaction, each with its own revision (`batch`), appends what they
//! change to the journal, syncs that once, and answers all. Nothing waits for a batch to fill: the
//! sync of one batch is the time in which the next one gathers. Operation outcomes and the history
//! for watches are written in the same transaction (`tables`). The file itself is written when the
//! journal is full (`journal`, `docs/decisions/0037`).
//!
//! It needs no other controller to agree with ([`EngineTraits::shared`] is false): the file is
//! locked as long as the engine lives.
//!
//! Faults: a write that fails (a full disk) fails the batch; the file is reopened before the next
//! one, so the engine works again when space is back. A *sync* that fails stops the engine for
//! good, because the kernel then forgets what it did not write (fsyncgate, Rebello et al. 2020).
//!
//! Source: the redb 4 file format (its `docs/design.md`): copy-on-write pages, one-phase commit
//! with checksums.

mod batch;
mod effect;
mod feed;
mod journal;
mod medium;
mod tables;
mod writer;

use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use futures::channel::oneshot;
use luc_state::Revision;
use luc_state::engine::{
    CommitError, Engine, EngineError, EngineTraits, Feed, Loaded, Operation, Proposal,
};

use feed::Recent;
pub use medium::{FileMedium, Medium};
pub use redb::StorageBackend;
use std::sync::Arc;
use writer::{Job, Writer};

/// How an embedded engine is opened.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// How many changes of keys the history keeps for watches. The newest commit is always kept.
    pub history_max: u64,
    /// How many outcomes of operations are kept.
    pub outcomes_max: u64,
    /// How much memory caches pages of the file, in bytes.
    pub cache_bytes: usize,
    /// How large the journal becomes before the file takes it over, in bytes. A larger one writes
    /// pages that change often less often; all of it is read when the file is opened after a crash.
    pub journal_bytes: u64,
    /// Whether every page is verified when the file is opened. Costs one reading of the file, and
    /// finds damage that would otherwise show later.
    pub verify: bool,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            history_max: 20_000,
            outcomes_max: 100_000,
            cache_bytes: 16 << 20,
            journal_bytes: 4 << 20,
            verify: true,
        }
    }
}

/// Why the file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open or is just making it, or another engine of this process.
    #[error("the state file {name} is in use by another process")]
    InUse {
        /// Which file.
        name: String,
    },
    /// It is not a state file, or it is damaged.
    #[error("the state file {name} is damaged or is no state file: {reason}")]
    Damaged {
        /// Which file.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A newer release has written it in a form this one does not know.
    #[error("the state file {name} has format {found}; this release reads format {known}")]
    Format {
        /// Which file.
        name: String,
        /// Its format.
        found: u64,
        /// The format this release reads.
        known: u64,
    },
    /// The operating system refuses.
    #[error("the state file {name} cannot be opened")]
    Io {
        /// Which file.
        name: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// A key/value engine in one file.
pub struct EmbeddedEngine {
    jobs: mpsc::Sender<Job>,
    recent: Arc<Recent>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedEngine {
    /// Opens the file at `path`, or makes it. Blocks while the file is read.
    pub fn open(path: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self, OpenError> {
        Self::open_on(FileMedium::new(path.as_ref()), options)
    }

    /// Opens the file that `medium` gives access to.
    pub fn open_on(medium: impl Medium, options: EmbeddedOptions) -> Result<Self, OpenError> {
        let recent = Arc::new(Recent::default());
        let (jobs, inbox) = mpsc::channel();
        let mut writer = Writer::new(Box::new(medium), options, Arc::clone(&recent));
        writer.open()?;
        let thread = std::thread::Builder::new()
            .name("luc-embedded".to_owned())
            .spawn(move || writer.run(&inbox))
            .map_err(|source| OpenError::Io {
                name: "of the engine".to_owned(),
                source,
            })?;
        Ok(Self {
            jobs,
            recent,
            thread: Some(thread),
        })
    }

    /// Hands a job to the thread. If that is gone the answer's channel closes.
    fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        // A job that cannot be handed over is dropped, and its sender with it.
        let _ = self.jobs.send(job(sender));
        receiver
    }
}

impl Drop for EmbeddedEngine {
    /// Waits for the thread, so that the file is closed cleanly and unlocked.
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there has been told to whoever waited for it.
            let _ = thread.join();
        }
        self.recent.close();
    }
}

fn gone() -> String {
    "the thread of the embedded engine has ended".to_owned()
}

#[async_trait]
impl Engine for EmbeddedEngine {
    fn traits(&self) -> EngineTraits {
        EngineTraits {
            name: "embedded",
            shared: false,
            proposal_keys_max: 10_000,
        }
    }

    async fn load(&self, prefix: &str) -> Result<Loaded, EngineError> {
        let prefix = prefix.to_owned();
        let answer = self.ask(|sender| Job::Load(prefix, sender)).await;
        answer.unwrap_or_else(|_| Err(EngineError::Unavailable { reason: gone() }))
    }

    async fn commit(&self, proposal: Proposal) -> Result<Revision, CommitError> {
        let answer = self.ask(|sender| Job::Commit(proposal, sender)).await;
        answer.unwrap_or_else(|_| Err(CommitError::Unknown { reason: gone() }))
    }

    async fn outcome(&self, operation: &Operation) -> Result<Option<Revision>, EngineError> {
        let operation = operation.clone();
        let answer = self.ask(|sender| Job::Outcome(operation, sender)).await;
        answer.unwrap_or_else(|_| Err(EngineError::Unavailable { reason: gone() }))
    }

    async fn watch(&self, from: Revision) -> Result<Feed, EngineError> {
        Ok(feed::follow(
            self.jobs.clone(),
            Arc::clone(&self.recent),
            from,
        ))
    }

    async fn compact(&self, until: Revision) -> Result<(), EngineError> {
        let answer = self.ask(|sender| Job::Compact(until, sender)).await;
        answer.unwrap_or_else(|_| Err(EngineError::Unavailable { reason: gone() }))
    }
}
