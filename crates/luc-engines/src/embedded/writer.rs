//! The thread that owns the file.
//!
//! ```text
//!   Open ── a write fails ──▶ Shut ── reopened before the next batch ──▶ Open
//!   Open ── a sync fails ──▶ Broken, for good
//! ```
//!
//! Answers: a batch that failed before redb was asked to commit did not happen. One that failed in
//! the commit may have: its proposals are `Unknown`, and the outcome is in the file when that is
//! open again.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use futures::channel::oneshot::Sender;
use luc_state::Revision;
use luc_state::engine::{CommitError, Committed, EngineError, Loaded, Operation, Proposal};
use redb::{Builder, Database, DatabaseError, StorageBackend, StorageError};

use super::feed::Recent;
use super::medium::{Medium, Observed};
use super::tables::{self, Counters, Decision, FORMAT, Past, Tables};
use super::{EmbeddedOptions, OpenError};

/// The most jobs that share one sync. Enough that a sync is a small part of their time, few enough
/// that the first of them does not wait for long.
const BATCH_MAX: usize = 512;

/// The most commits that one reading of the history returns.
const HISTORY_PART: usize = 256;

/// What the thread is asked to do, and where the answer goes.
pub(super) enum Job {
    Commit(Proposal, Sender<Result<Revision, CommitError>>),
    Outcome(Operation, Sender<Result<Option<Revision>, EngineError>>),
    Compact(Revision, Sender<Result<(), EngineError>>),
    Load(String, Sender<Result<Loaded, EngineError>>),
    History(Revision, Sender<Result<Past, EngineError>>),
    Stop,
}

enum Disk {
    Open(Database),
    Shut(String),
    Broken(String),
}

/// What a job of a batch is told if the batch is committed.
enum Answer {
    Commit(Sender<Result<Revision, CommitError>>, Decision),
    Outcome(
        Sender<Result<Option<Revision>, EngineError>>,
        Result<Option<Revision>, EngineError>,
    ),
    Compact(Sender<Result<(), EngineError>>),
}

/// Why a batch failed.
enum Failure {
    /// Before the commit: it did not happen.
    Before(String),
    /// In the commit: it may have happened.
    During(String),
}

pub(super) struct Writer {
    medium: Box<dyn Medium>,
    options: EmbeddedOptions,
    recent: Arc<Recent>,
    sync_failed: Arc<AtomicBool>,
    disk: Disk,
}

impl Writer {
    pub(super) fn new(
        medium: Box<dyn Medium>,
        options: EmbeddedOptions,
        recent: Arc<Recent>,
    ) -> Self {
        let disk = Disk::Shut("it was never opened".to_owned());
        Self {
            medium,
            options,
            recent,
            sync_failed: Arc::default(),
            disk,
        }
    }

    /// Opens the file, or makes it.
    pub(super) fn open(&mut self) -> Result<(), OpenError> {
        let name = self.medium.name();
        let io = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::WouldBlock => OpenError::InUse { name: name.clone() },
            _ => OpenError::Io {
                name: name.clone(),
                source,
            },
        };
        let (database, counters) = if let Some(backend) = self.medium.open().map_err(io)? {
            self.open_on(backend)?
        } else {
            // It stays open, and so locked, while it takes its place.
            let draft = self.open_on(self.medium.draft().map_err(io)?)?;
            self.medium.adopt().map_err(io)?;
            draft
        };
        let oldest = Revision::new(counters.oldest);
        self.recent
            .restart(Revision::new(counters.revision), oldest);
        self.disk = Disk::Open(database);
        Ok(())
    }

    /// Opens a database and makes sure that everything in it is durable.
    fn open_on(&self, backend: Box<dyn StorageBackend>) -> Result<(Database, Counters), OpenError> {
        let name = self.medium.name();
        let backend: Arc<dyn StorageBackend> = Arc::from(backend);
        let observed = Observed::new(Arc::clone(&backend), Arc::clone(&self.sync_failed));
        let mut builder = Builder::new();
        builder.set_cache_size(self.options.cache_bytes);
        builder.set_check_integrity_on_open(self.options.verify);
        // redb panics on some kinds of damage.
        let opened = catch_unwind(AssertUnwindSafe(|| builder.create_with_backend(observed)));
        let database = match opened {
            Ok(Ok(database)) => database,
            Ok(Err(error)) => return Err(refusal(name, error)),
            Err(_) => {
                let reason = "reading it ended in a panic".to_owned();
                return Err(OpenError::Damaged { name, reason });
            }
        };
        // A process that was killed may have left commits that only the kernel knows of. Nobody may
        // read them before they are safe.
        if let Err(source) = backend.sync_data() {
            self.sync_failed.store(true, Ordering::Release);
            return Err(OpenError::Io { name, source });
        }
        match start(&database, &self.options) {
            Ok((FORMAT, counters)) => Ok((database, counters)),
            Ok((found, _)) => Err(OpenError::Format {
                name,
                found,
                known: FORMAT,
            }),
            Err(redb::Error::Io(source)) => Err(OpenError::Io { name, source }),
            Err(error) => Err(OpenError::Damaged {
                name,
                reason: error.to_string(),
            }),
        }
    }

    /// Works until it is told to stop or nobody can ask any more.
    pub(super) fn run(mut self, inbox: &mpsc::Receiver<Job>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                let Ok(job) = inbox.recv() else { return };
                waiting.push_back(job);
            }
            waiting.extend(
                inbox
                    .try_iter()
                    .take(BATCH_MAX - waiting.len().min(BATCH_MAX)),
            );
            let mut batch = Vec::new();
            while let Some(job) = waiting.pop_front() {
                match job {
                    Job::Commit(..) | Job::Outcome(..) | Job::Compact(..) => batch.push(job),
                    // Who reads after writes sees them.
                    _ if !batch.is_empty() => {
                        waiting.push_front(job);
                        break;
                    }
                    Job::Load(prefix, sender) => {
                        let answer = self.read(|database| tables::load(database, &prefix));
                        let _ = sender.send(answer);
                    }
                    Job::History(from, sender) => {
                        let part = |database: &_| tables::history(database, from, HISTORY_PART);
                        let _ = sender.send(self.read(part));
                    }
                    Job::Stop => {
                        let late = waiting.drain(..).chain(inbox.try_iter());
                        return late.for_each(|job| refuse(job, "the engine is being closed"));
                    }
                }
            }
            if !batch.is_empty() {
                self.write(batch);
            }
        }
    }

    /// The open file, opened again if need be.
    fn database(&mut self) -> Result<&Database, String> {
        if let Disk::Shut(reason) = &self.disk {
            let reason = reason.clone();
            self.open().map_err(|error| {
                let source = std::error::Error::source(&error);
                let why = source.map_or_else(String::new, |source| format!(": {source}"));
                format!("{reason}; then: {error}{why}")
            })?;
            tracing::info!(file = self.medium.name(), "the state file is open again");
        }
        match &self.disk {
            Disk::Open(database) => Ok(database),
            Disk::Shut(reason) | Disk::Broken(reason) => Err(reason.clone()),
        }
    }

    /// Shuts the file after a failure.
    fn shut(&mut self, reason: &str) {
        let file = self.medium.name();
        if self.sync_failed.load(Ordering::Acquire) {
            let reason = format!(
                "the disk failed to sync {file} ({reason}); check the disk, then restart luc"
            );
            tracing::error!(file, reason, "the state file is out of service");
            self.disk = Disk::Broken(reason);
        } else {
            tracing::warn!(file, reason, "writing the state file failed");
            self.disk = Disk::Shut(format!("writing {file} failed: {reason}"));
        }
    }

    fn read<T>(
        &mut self,
        read: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, EngineError> {
        let database = self
            .database()
            .map_err(|reason| EngineError::Unavailable { reason })?;
        let error = match read(database) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let reason = error.to_string();
        if matches!(error, redb::Error::Corrupted(_)) {
            return Err(EngineError::Damaged { reason });
        }
        self.shut(&reason);
        Err(EngineError::Unavailable { reason })
    }

    fn write(&mut self, jobs: Vec<Job>) {
        let options = self.options.clone();
        let database = match self.database() {
            Ok(database) => database,
            Err(reason) => return jobs.into_iter().for_each(|job| refuse(job, &reason)),
        };
        let mut answers = Vec::with_capacity(jobs.len());
        match transact(database, &options, jobs, &mut answers) {
            Ok(oldest) => {
                let done = |answer: &Answer| match answer {
                    Answer::Commit(_, Ok((_, Some(commit)))) => Some(Arc::clone(commit)),
                    _ => None,
                };
                let commits: Vec<Arc<Committed>> = answers.iter().filter_map(done).collect();
                self.recent.push(commits, oldest);
                answers.into_iter().for_each(Answer::send);
            }
            Err(Failure::Before(reason)) => {
                self.shut(&reason);
                for answer in answers {
                    answer.refuse(&reason);
                }
            }
            Err(Failure::During(reason)) => {
                self.shut(&reason);
                for answer in answers {
                    answer.doubt(&reason);
                }
            }
        }
    }
}

fn start(database: &Database, options: &EmbeddedOptions) -> Result<(u64, Counters), redb::Error> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction, options)?;
    let (format, counters) = (tables.format()?, tables.counters());
    drop(tables);
    transaction.commit()?;
    Ok((format, counters))
}

fn refusal(name: String, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::InUse { name }
        }
        DatabaseError::Storage(StorageError::Io(source))
            if source.kind() != std::io::ErrorKind::InvalidData
                && source.kind() != std::io::ErrorKind::UnexpectedEof =>
        {
            OpenError::Io { name, source }
        }
        error => OpenError::Damaged {
            name,
            reason: error.to_string(),
        },
    }
}

/// Does all jobs in one transaction and gives the oldest revision of the history. The answers are
/// true only if it succeeds.
fn transact(
    database: &Database,
    options: &EmbeddedOptions,
    jobs: Vec<Job>,
    answers: &mut Vec<Answer>,
) -> Result<Revision, Failure> {
    let before = |error: &dyn std::fmt::Display| Failure::Before(error.to_string());
    let mut jobs = jobs.into_iter();
    let result = (|| {
        let transaction = database.begin_write().map_err(|error| before(&error))?;
        let mut tables = Tables::open(&transaction, options).map_err(|error| before(&error))?;
        for job in jobs.by_ref() {
            decide(&mut tables, job, answers).map_err(|error| before(&error))?;
        }
        let oldest = Revision::new(tables.counters().oldest);
        if tables.finish().map_err(|error| before(&error))? {
            transaction
                .commit()
                .map_err(|error| Failure::During(error.to_string()))?;
        }
        Ok(oldest)
    })();
    if let Err(Failure::Before(reason)) = &result {
        jobs.for_each(|job| refuse(job, reason));
    }
    result
}

fn decide(
    tables: &mut Tables<'_>,
    job: Job,
    answers: &mut Vec<Answer>,
) -> Result<(), StorageError> {
    match job {
        Job::Commit(proposal, sender) => match tables.propose(proposal) {
            Ok(decision) => answers.push(Answer::Commit(sender, decision)),
            Err(error) => {
                refuse_commit(sender, &error.to_string());
                return Err(error);
            }
        },
        Job::Outcome(operation, sender) => match tables.outcome(&operation) {
            Ok(outcome) => answers.push(Answer::Outcome(sender, outcome)),
            Err(error) => {
                let _ = sender.send(Err(EngineError::Unavailable {
                    reason: error.to_string(),
                }));
                return Err(error);
            }
        },
        Job::Compact(until, sender) => {
            tables.compact(until.number())?;
            answers.push(Answer::Compact(sender));
        }
        // Only the jobs above are put into a batch.
        Job::Load(..) | Job::History(..) | Job::Stop => {}
    }
    Ok(())
}

impl Answer {
    fn send(self) {
        // Nobody listens to a future that was dropped.
        match self {
            Self::Commit(sender, decision) => {
                let _ = sender.send(decision.map(|(revision, _)| revision));
            }
            Self::Outcome(sender, outcome) => {
                let _ = sender.send(outcome);
            }
            Self::Compact(sender) => {
                let _ = sender.send(Ok(()));
            }
        }
    }

    fn refuse(self, reason: &str) {
        let unavailable = || EngineError::Unavailable {
            reason: reason.to_owned(),
        };
        match self {
            Self::Commit(sender, _) => refuse_commit(sender, reason),
            Self::Outcome(sender, _) => {
                let _ = sender.send(Err(unavailable()));
            }
            Self::Compact(sender) => {
                let _ = sender.send(Err(unavailable()));
            }
        }
    }

    /// The batch may have been committed.
    fn doubt(self, reason: &str) {
        match self {
            Self::Commit(sender, Ok(_)) => {
                let _ = sender.send(Err(CommitError::Unknown {
                    reason: reason.to_owned(),
                }));
            }
            // What was refused did not happen in any case.
            other => other.refuse(reason),
        }
    }
}

fn refuse_commit(sender: Sender<Result<Revision, CommitError>>, reason: &str) {
    let _ = sender.send(Err(CommitError::Unavailable {
        reason: reason.to_owned(),
    }));
}

fn refuse(job: Job, reason: &str) {
    let unavailable = || EngineError::Unavailable {
        reason: reason.to_owned(),
    };
    match job {
        Job::Commit(_, sender) => refuse_commit(sender, reason),
        Job::Outcome(_, sender) => {
            let _ = sender.send(Err(unavailable()));
        }
        Job::Compact(_, sender) => {
            let _ = sender.send(Err(unavailable()));
        }
        Job::Load(_, sender) => {
            let _ = sender.send(Err(unavailable()));
        }
        Job::History(_, sender) => {
            let _ = sender.send(Err(unavailable()));
        }
        Job::Stop => {}
    }
}
