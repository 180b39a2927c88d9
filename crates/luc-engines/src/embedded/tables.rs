//! What stands in the file, and how a batch of proposals changes it.
//!
//! | table | key → value |
//! |---|---|
//! | `entries` | key → revision, value (JSON) |
//! | `commits` | revision → operation, mutations: the history for watches |
//! | `outcomes` | operation → revision, or nothing if it is sealed |
//! | `decided` | number → revision at that time, operation: the order in which outcomes age |
//! | `meta` | `format`, `counters`, `journal`: how far the file has come in it |
//!
//! One [`Tables`] is one redb transaction. Nothing in it is true before that is committed.

use std::sync::Arc;

use luc_core::id::OpId;
use luc_state::Revision;
use luc_state::engine::{
    CommitError, Committed, EngineError, Entry, Loaded, Mutation, Operation, Proposal,
};
use redb::{
    Database, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition, TableError,
    WriteTransaction,
};

use super::EmbeddedOptions;
use super::effect::{Effect, Effects};
use super::journal::Mark;

/// The numbers of [`Counters`] in a row.
type Numbers = (u64, u64, u64, u64, u64, u64);

/// Operation and mutations of a commit.
type Logged<'a> = (&'a str, Vec<(&'a str, Option<&'a [u8]>)>);

const ENTRIES: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("entries");
const COMMITS: TableDefinition<u64, Logged> = TableDefinition::new("commits");
const OUTCOMES: TableDefinition<&str, Option<u64>> = TableDefinition::new("outcomes");
const DECIDED: TableDefinition<u64, (u64, &str)> = TableDefinition::new("decided");
const META: TableDefinition<&str, Numbers> = TableDefinition::new("meta");

/// The format of the file that this release writes: one with a journal beside it.
pub(super) const FORMAT: u64 = 2;

/// The format without a journal, which this release reads, and turns into its own.
const WITHOUT_JOURNAL: u64 = 1;

/// The numbers that every commit may move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// The newest revision.
    pub(super) revision: u64,
    /// The history has every commit after this.
    pub(super) oldest: u64,
    /// Outcomes are complete for operations with a base at or after this.
    pub(super) horizon: u64,
    /// The first and the next number in `decided`.
    decided: (u64, u64),
    /// How many mutations the history has.
    logged: u64,
}

/// The tables within one write transaction.
pub(super) struct Tables<'t> {
    entries: Table<'t, &'static str, (u64, &'static [u8])>,
    commits: Table<'t, u64, Logged<'static>>,
    outcomes: Table<'t, &'static str, Option<u64>>,
    decided: Table<'t, u64, (u64, &'static str)>,
    meta: Table<'t, &'static str, Numbers>,
    counters: Counters,
    before: Counters,
    effects: Effects,
    history_max: u64,
    outcomes_max: u64,
}

/// What becomes of a proposal if the transaction is committed.
pub(super) type Decision = Result<(Revision, Option<Arc<Committed>>), CommitError>;

impl Counters {
    const fn row(self) -> Numbers {
        let (first, next) = self.decided;
        (
            self.revision,
            self.oldest,
            self.horizon,
            first,
            next,
            self.logged,
        )
    }

    const fn of((revision, oldest, horizon, first, next, logged): Numbers) -> Self {
        Self {
            revision,
            oldest,
            horizon,
            decided: (first, next),
            logged,
        }
    }
}

impl<'t> Tables<'t> {
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        options: &EmbeddedOptions,
    ) -> Result<Self, TableError> {
        let meta = transaction.open_table(META)?;
        let counters = meta
            .get("counters")?
            .map_or_else(Counters::default, |row| Counters::of(row.value()));
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            commits: transaction.open_table(COMMITS)?,
            outcomes: transaction.open_table(OUTCOMES)?,
            decided: transaction.open_table(DECIDED)?,
            meta,
            counters,
            before: counters,
            effects: Effects::default(),
            history_max: options.history_max.max(1),
            outcomes_max: options.outcomes_max.max(1),
        })
    }

    /// The format of the file; a new one, or one without a journal, gets ours.
    pub(super) fn format(&mut self) -> Result<u64, StorageError> {
        let found = self.meta.get("format")?.map(|row| row.value().0);
        if let Some(found) = found.filter(|found| *found != WITHOUT_JOURNAL) {
            return Ok(found);
        }
        self.meta.insert("format", (FORMAT, 0, 0, 0, 0, 0))?;
        self.meta.insert("counters", self.counters.row())?;
        Ok(FORMAT)
    }

    pub(super) const fn counters(&self) -> Counters {
        self.counters
    }

    /// Writes down the counters, and how far the file has come in its journal.
    pub(super) fn keep(&mut self, mark: Mark) -> Result<(), StorageError> {
        self.meta.insert("counters", self.counters.row())?;
        let row = (mark.generation, mark.applied, mark.open.into(), 0, 0, 0);
        self.meta.insert("journal", row).map(drop)
    }

    /// Writes down the counters and that the file stands at `mark` then, and gives the effects of
    /// the batch. Nothing if nothing at all was changed.
    pub(super) fn finish(mut self, mark: Mark) -> Result<Option<Vec<u8>>, StorageError> {
        if self.counters == self.before {
            return Ok(None);
        }
        self.keep(mark)?;
        Ok(Some(self.effects.into_bytes()))
    }

    /// Does again what the journal tells. False if it does not follow what the file has.
    pub(super) fn redo(&mut self, effect: Effect) -> Result<bool, StorageError> {
        match effect {
            Effect::Commit(revision, id, batch) => {
                if revision != self.counters.revision + 1 {
                    return Ok(false);
                }
                self.commit(&id, &batch)?;
            }
            Effect::Seal(id) => self.decide(&id, None)?,
            Effect::Compact(until) => self.forget_until(until)?,
        }
        Ok(true)
    }

    /// Decides over a proposal and, if it holds, makes its changes.
    pub(super) fn propose(&mut self, proposal: Proposal) -> Result<Decision, StorageError> {
        let Operation { id, base } = &proposal.operation;
        let check = proposal.batch.is_empty();
        if !check && let Some(outcome) = self.outcomes.get(id.as_str())? {
            return Ok(match outcome.value() {
                Some(revision) => Ok((Revision::new(revision), None)),
                None => Err(self.conflict("")),
            });
        }
        if !check && base.number() < self.counters.horizon {
            return Ok(Err(self.conflict("")));
        }
        for expectation in &proposal.expectations {
            let found = self.entries.get(expectation.key.as_str())?;
            if found.map(|entry| Revision::new(entry.value().0)) != expectation.revision {
                return Ok(Err(self.conflict(&expectation.key)));
            }
        }
        if check {
            return Ok(Ok((Revision::new(self.counters.revision), None)));
        }
        let revision = self.commit(id, &proposal.batch)?;
        self.effects.commit(revision, id, &proposal.batch);
        let revision = Revision::new(revision);
        let (operation, batch) = (proposal.operation.id, proposal.batch);
        Ok(Ok((
            revision,
            Some(Arc::new(Committed {
                revision,
                operation,
                batch,
            })),
        )))
    }

    /// Makes the changes of a commit, and gives its revision.
    fn commit(&mut self, id: &OpId, batch: &[Mutation]) -> Result<u64, StorageError> {
        self.counters.revision += 1;
        let revision = self.counters.revision;
        for mutation in batch {
            match mutation {
                Mutation::Put { key, value } => {
                    self.entries.insert(key.as_str(), (revision, &**value))?;
                }
                Mutation::Delete { key } => {
                    self.entries.remove(key.as_str())?;
                }
            }
        }
        self.decide(id, Some(revision))?;
        self.log(revision, id, batch)?;
        Ok(revision)
    }

    fn conflict(&self, key: &str) -> CommitError {
        let revision = Revision::new(self.counters.revision);
        CommitError::Conflict {
            key: key.to_owned(),
            revision,
        }
    }

    fn log(&mut self, revision: u64, id: &OpId, batch: &[Mutation]) -> Result<(), StorageError> {
        let mutations = batch.iter().map(|mutation| match mutation {
            Mutation::Put { key, value } => (key.as_str(), Some(&**value)),
            Mutation::Delete { key } => (key.as_str(), None),
        });
        self.commits
            .insert(revision, (id.as_str(), mutations.collect()))?;
        self.counters.logged += batch.len() as u64;
        while self.counters.logged > self.history_max && self.counters.oldest + 1 < revision {
            self.forget_oldest()?;
        }
        Ok(())
    }

    fn forget_oldest(&mut self) -> Result<(), StorageError> {
        self.counters.oldest += 1;
        if let Some(row) = self.commits.remove(self.counters.oldest)? {
            let (_, mutations) = row.value();
            self.counters.logged -= mutations.len() as u64;
        }
        Ok(())
    }

    /// Forgets the history up to and including `until`.
    pub(super) fn compact(&mut self, until: u64) -> Result<(), StorageError> {
        self.effects.compact(until);
        self.forget_until(until)
    }

    fn forget_until(&mut self, until: u64) -> Result<(), StorageError> {
        while self.counters.oldest < until.min(self.counters.revision) {
            self.forget_oldest()?;
        }
        Ok(())
    }

    fn decide(&mut self, id: &OpId, outcome: Option<u64>) -> Result<(), StorageError> {
        self.outcomes.insert(id.as_str(), outcome)?;
        let (mut first, next) = self.counters.decided;
        self.decided
            .insert(next, (self.counters.revision, id.as_str()))?;
        while next + 1 - first > self.outcomes_max {
            if let Some(row) = self.decided.remove(first)? {
                let (revision, id) = row.value();
                self.outcomes.remove(id)?;
                // An operation decided at `revision` has its base at or before that.
                self.counters.horizon = self.counters.horizon.max(revision + 1);
            }
            first += 1;
        }
        self.counters.decided = (first, next + 1);
        Ok(())
    }

    /// What became of an operation; if nothing did, nothing ever will.
    pub(super) fn outcome(
        &mut self,
        operation: &Operation,
    ) -> Result<Result<Option<Revision>, EngineError>, StorageError> {
        if let Some(outcome) = self.outcomes.get(operation.id.as_str())? {
            return Ok(Ok(outcome.value().map(Revision::new)));
        }
        if operation.base.number() < self.counters.horizon {
            return Ok(Err(EngineError::Forgotten {
                operation: operation.id.clone(),
                horizon: Revision::new(self.counters.horizon),
            }));
        }
        self.effects.seal(&operation.id);
        self.decide(&operation.id, None)?;
        Ok(Ok(None))
    }
}

/// How far the file has come in its journal.
pub(super) fn mark(database: &Database) -> Result<Mark, redb::Error> {
    let row = database.begin_read()?.open_table(META)?.get("journal")?;
    let (generation, applied, open, ..) = row.map(|row| row.value()).unwrap_or_default();
    Ok(Mark {
        generation,
        applied,
        open: open != 0,
    })
}

/// The next part of the history.
pub(super) enum Past {
    Commits(Vec<Arc<Committed>>),
    Gap { oldest: Revision },
}

/// At most `count` commits after `from`.
pub(super) fn history(
    database: &Database,
    from: Revision,
    count: usize,
) -> Result<Past, redb::Error> {
    let transaction = database.begin_read()?;
    let row = transaction
        .open_table(META)?
        .get("counters")?
        .map(|row| row.value());
    let counters = row.map_or_else(Counters::default, Counters::of);
    if from.number() < counters.oldest {
        return Ok(Past::Gap {
            oldest: Revision::new(counters.oldest),
        });
    }
    let commits = transaction.open_table(COMMITS)?;
    let mut past = Vec::new();
    for row in commits.range(from.number() + 1..)?.take(count) {
        let (revision, commit) = row?;
        let (operation, mutations) = commit.value();
        let operation = OpId::parse(operation)
            .map_err(|error| redb::Error::Corrupted(format!("in the history: {error}")))?;
        let batch = mutations.into_iter().map(|(key, value)| match value {
            Some(value) => Mutation::Put {
                key: key.to_owned(),
                value: value.into(),
            },
            None => Mutation::Delete {
                key: key.to_owned(),
            },
        });
        let revision = Revision::new(revision.value());
        past.push(Arc::new(Committed {
            revision,
            operation,
            batch: batch.collect(),
        }));
    }
    Ok(Past::Commits(past))
}

/// All entries under `prefix`.
pub(super) fn load(database: &Database, prefix: &str) -> Result<Loaded, redb::Error> {
    let transaction = database.begin_read()?;
    let row = transaction
        .open_table(META)?
        .get("counters")?
        .map(|row| row.value());
    let counters = row.map_or_else(Counters::default, Counters::of);
    let table = transaction.open_table(ENTRIES)?;
    let mut entries = Vec::new();
    for row in table.range(prefix..)? {
        let (key, entry) = row?;
        if !key.value().starts_with(prefix) {
            break;
        }
        let (revision, value) = entry.value();
        entries.push(Entry {
            key: key.value().to_owned(),
            value: value.into(),
            revision: Revision::new(revision),
        });
    }
    Ok(Loaded {
        revision: Revision::new(counters.revision),
        entries,
    })
}
