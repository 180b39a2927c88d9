//! Opening a store: what may be chosen, what can be wrong, and putting claims right.

use std::sync::Arc;

use luc_core::id::OpId;
use luc_core::{Entropy, SitePrefix};

use crate::broken::Broken;
use crate::engine::{CommitError, Engine, EngineError, Operation, Proposal};
use crate::load::{self, EntryError, Repair};
use crate::pace::{Pause, Yielding, back_off};
use crate::revision::Revision;
use crate::schema::Schema;
use crate::table::State;

/// How a store is opened.
pub struct StoreOptions {
    pub(super) site: SitePrefix,
    pub(super) entropy: Box<dyn Entropy + Send>,
    pub(super) pause: Arc<dyn Pause>,
    pub(super) attempts_max: u32,
    pub(super) log_changes_max: usize,
    pub(super) broken: Option<Broken>,
}

impl StoreOptions {
    /// The store of `site`. `entropy` makes operation ids, which must never repeat: in production
    /// it is the kernel's.
    pub fn new(site: SitePrefix, entropy: impl Entropy + Send + 'static) -> Self {
        Self {
            site,
            entropy: Box::new(entropy),
            pause: Arc::new(Yielding),
            attempts_max: 100,
            log_changes_max: 65_536,
            broken: None,
        }
    }

    /// How to wait for an engine that does not answer; unless set, hardly at all, which is right
    /// for engines in memory only.
    #[must_use]
    pub fn pause(mut self, pause: impl Pause) -> Self {
        self.pause = Arc::new(pause);
        self
    }

    /// How often a transaction is run again because another controller was faster (100).
    #[must_use]
    pub const fn attempts_max(mut self, attempts: u32) -> Self {
        self.attempts_max = attempts;
        self
    }

    /// How many changes the change log keeps for watchers (65 536).
    #[must_use]
    pub const fn log_changes_max(mut self, changes: usize) -> Self {
        self.log_changes_max = changes;
        self
    }

    /// For tests of the checkers only: a rule that this store does not keep.
    #[must_use]
    pub const fn broken(mut self, rule: Broken) -> Self {
        self.broken = Some(rule);
        self
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The engine did not answer.
    #[error("the {engine} engine could not be read")]
    Engine {
        /// The name of the engine.
        engine: &'static str,
        /// What it said.
        #[source]
        source: EngineError,
    },
    /// The engine holds something that this release cannot read.
    #[error("the {engine} engine holds an entry that cannot be read")]
    Entry {
        /// The name of the engine.
        engine: &'static str,
        /// Which entry, and why.
        #[source]
        source: EntryError,
    },
    /// Claims of unique indexes had to be put right, and could not be.
    #[error("the claims of unique indexes in the {engine} engine could not be put right")]
    Repair {
        /// The name of the engine.
        engine: &'static str,
        /// What it said.
        #[source]
        source: CommitError,
    },
}

/// How often claims are put right against other controllers that change them at the same time.
const REPAIRS_MAX: u32 = 8;

/// Reads everything, and makes or removes claims of unique indexes that do not fit the records.
pub(super) async fn read_and_repair(
    engine: &dyn Engine,
    schema: &Arc<Schema>,
    site: SitePrefix,
    mut entropy: &mut (dyn Entropy + Send),
    pause: &dyn Pause,
) -> Result<(State, Revision, Vec<Repair>), OpenError> {
    let name = engine.traits().name;
    let mut done = Vec::new();
    for attempt in 0.. {
        let loaded = engine.load("").await;
        let loaded = loaded.map_err(|source| OpenError::Engine {
            engine: name,
            source,
        })?;
        let revision = loaded.revision;
        let opened = load::read(schema, loaded);
        let opened = opened.map_err(|source| OpenError::Entry {
            engine: name,
            source,
        })?;
        if opened.repairs.is_empty() {
            return Ok((opened.state, revision, done));
        }
        let part = engine.traits().proposal_keys_max / 2;
        for repairs in opened.repairs.chunks(part.max(1)) {
            let proposal = Proposal {
                operation: Operation {
                    id: OpId::born_at(site, &mut entropy),
                    base: revision,
                },
                expectations: repairs.iter().map(|(_, e, _)| e.clone()).collect(),
                batch: repairs
                    .iter()
                    .map(|(_, _, mutation)| mutation.clone())
                    .collect(),
            };
            match engine.commit(proposal).await {
                Ok(_) => done.extend(repairs.iter().map(|(repair, _, _)| repair.clone())),
                Err(source) if attempt >= REPAIRS_MAX => {
                    return Err(OpenError::Repair {
                        engine: name,
                        source,
                    });
                }
                // Whatever became of it, the next reading shows.
                Err(_) => pause.pause(back_off(attempt)).await,
            }
        }
    }
    // `0..` is longer than REPAIRS_MAX.
    unreachable!("the loop ends by returning")
}
