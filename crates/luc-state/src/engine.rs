//! The contract of storage engines: keys and values under revisions, and a commit that compares.
//!
//! An engine holds nothing but text keys and JSON values. It knows no kinds, no indexes and no
//! transactions of the store; [`Store`](crate::Store) builds those on four demands:
//!
//! 1. **Compare and commit.** [`Engine::commit`] applies a whole batch if every key it names is
//!    still at the revision the proposer saw, else nothing. It answers `Ok` only when the batch is
//!    durable. Commits are linearizable and each that changes something gets its own revision.
//! 2. **Once.** A proposal is known by its [`Operation`]. Proposing it again gives the first
//!    answer; [`Engine::outcome`] tells what became of it, and if it says "nothing", the operation
//!    is sealed: it can never happen later. So an unknown outcome is looked up, never guessed.
//! 3. **Watch.** Every commit after a revision, each once, in order; or one `Gap` if the engine no
//!    longer has them all.
//! 4. **Load.** All entries of one revision.
//!
//! Dropping a future of an engine never cancels what it has begun.
//!
//! How long an outcome is kept: an engine states a number of commits or a time, and remembers the
//! oldest revision for which its knowledge is complete, the *horizon*. Every operation carries the
//! revision its proposer knew (`base`). Asked about an operation whose base lies before the
//! horizon the engine answers `Forgotten`, and it refuses such a proposal as a conflict; so
//! forgetting is never mistaken for "did not happen".
//!
//! Source: the semantics of etcd's `Txn`, `Range` and `Watch` (etcd v3 API), with outcomes added.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use luc_core::id::OpId;

use crate::revision::Revision;

/// A key/value engine. See the module for its contract; `luc_state::suite` checks it.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// What this engine is and can, for messages and for the store.
    fn traits(&self) -> EngineTraits;

    /// All entries whose key begins with `prefix`, in the order of their keys, at one revision.
    async fn load(&self, prefix: &str) -> Result<Loaded, EngineError>;

    /// Applies the batch if all expectations hold, and answers when that is durable.
    ///
    /// A proposal without mutations is a check: it makes no revision, has no outcome to be looked
    /// up, and answers with the newest revision.
    async fn commit(&self, proposal: Proposal) -> Result<Revision, CommitError>;

    /// The revision at which the operation was committed. `None`: it was not, and never will be.
    async fn outcome(&self, operation: &Operation) -> Result<Option<Revision>, EngineError>;

    /// Every commit after `from`, in order. The end of the stream means that the connection broke:
    /// watch again from the last revision seen.
    async fn watch(&self, from: Revision) -> Result<Feed, EngineError>;

    /// Forgets the history up to and including `until`; watchers from before it get a `Gap`.
    async fn compact(&self, until: Revision) -> Result<(), EngineError>;
}

/// What an engine is and can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineTraits {
    /// Its name in messages and configuration.
    pub name: &'static str,
    /// Whether other controllers may commit to it while we have it open. If not, the store leaves
    /// out the fences that guard predicate reads against them.
    pub shared: bool,
    /// The most keys that one proposal may name, in expectations and mutations together.
    pub proposal_keys_max: usize,
}

/// What makes a proposal happen once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Chosen by the proposer, never used for anything else.
    pub id: OpId,
    /// The newest revision that the proposer knew when it first proposed.
    pub base: Revision,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (after revision {})", self.id, self.base)
    }
}

/// One commit as it is asked for.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Under which it happens once.
    pub operation: Operation,
    /// What must still be true. Each key at most once.
    pub expectations: Vec<Expectation>,
    /// What to change. Each key at most once.
    pub batch: Vec<Mutation>,
}

/// That a key has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The key.
    pub key: String,
    /// The revision that last wrote it; `None` if it must be absent.
    pub revision: Option<Revision>,
}

/// The change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Writes the value, whether the key was there or not.
    Put {
        /// The key.
        key: String,
        /// A JSON object.
        value: Arc<[u8]>,
    },
    /// Removes the key; nothing if it is absent.
    Delete {
        /// The key.
        key: String,
    },
}

impl Mutation {
    /// The key it changes.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// A JSON object, if nobody damaged it.
    pub value: Arc<[u8]>,
    /// The revision that last wrote it.
    pub revision: Revision,
}

/// All entries at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The newest revision of the engine.
    pub revision: Revision,
    /// In the order of their keys.
    pub entries: Vec<Entry>,
}

/// One commit as it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its revision.
    pub revision: Revision,
    /// The operation under which it was proposed.
    pub operation: OpId,
    /// What it changed.
    pub batch: Vec<Mutation>,
}

/// What a watch delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// The next commit.
    Commit(Arc<Committed>),
    /// The history from the revision asked for is gone up to `oldest`; load, then watch again.
    /// Nothing follows.
    Gap {
        /// The oldest revision from which a watch is possible.
        oldest: Revision,
    },
}

/// A stream of commits.
pub type Feed = BoxStream<'static, FeedEvent>;

/// Why a commit did not answer with a revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// An expectation does not hold; nothing was changed. A watch from the proposer's base
    /// delivers a commit at or after `revision`, unless it has been compacted.
    #[error("'{key}' has changed; the engine is at revision {revision}")]
    Conflict {
        /// The first key found to differ; empty if the proposal was too old to be judged.
        key: String,
        /// A revision at which it differs.
        revision: Revision,
    },
    /// It did not happen: the engine was not reached or could not do it.
    #[error("the engine did not commit: {reason}")]
    Unavailable {
        /// What is wrong.
        reason: String,
    },
    /// It may have happened; ask [`Engine::outcome`].
    #[error("the outcome of the commit is unknown: {reason}")]
    Unknown {
        /// What is wrong.
        reason: String,
    },
}

/// Why an engine did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// It was not reached or cannot work now.
    #[error("the engine is not available: {reason}")]
    Unavailable {
        /// What is wrong.
        reason: String,
    },
    /// What it holds is damaged.
    #[error("the engine's data is damaged: {reason}")]
    Damaged {
        /// Where and how.
        reason: String,
    },
    /// The operation is older than what the engine remembers.
    #[error("operation {operation} is older than the outcomes the engine keeps (from {horizon})")]
    Forgotten {
        /// The operation asked for.
        operation: OpId,
        /// The revision from which outcomes are known.
        horizon: Revision,
    },
}
