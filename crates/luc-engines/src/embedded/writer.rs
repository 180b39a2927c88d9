//! The thread that owns the file.
//!
//! ```text
//!   Open ── a write fails ──▶ Shut ── reopened before the next batch ──▶ Open
//!   Open ── a sync fails ──▶ Broken, for good
//! ```
//!
//! Opening reads what the journal has beyond the file, and so does opening again after a failure.
//! When the journal is full the file takes it over, after the answers of the batch that filled it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use futures::channel::oneshot::Sender;
use luc_state::Revision;
use luc_state::engine::{CommitError, EngineError, Loaded, Operation, Proposal};
use redb::{Builder, Database, DatabaseError, StorageBackend, StorageError};

use super::batch::{Answer, Failure, refuse, transact};
use super::effect;
use super::feed::Recent;
use super::journal::{Journal, Mark, ReadError};
use super::medium::{Medium, Observed};
use super::tables::{self, Counters, FORMAT, Past, Tables};
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
    Open(Database, Journal),
    Shut(String),
    Broken(String),
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
        let database = if let Some(backend) = self.medium.open().map_err(io)? {
            self.open_on(backend)?
        } else {
            // It stays open, and so locked, while it takes its place.
            let draft = self.open_on(self.medium.draft().map_err(io)?)?;
            self.medium.adopt().map_err(io)?;
            draft
        };
        let (journal, counters) = self.catch_up(&database)?;
        let oldest = Revision::new(counters.oldest);
        self.recent
            .restart(Revision::new(counters.revision), oldest);
        self.disk = Disk::Open(database, journal);
        Ok(())
    }

    /// Opens a database and makes sure that everything in it is durable.
    fn open_on(&self, backend: Box<dyn StorageBackend>) -> Result<Database, OpenError> {
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
            Ok(FORMAT) => Ok(database),
            Ok(found) => Err(OpenError::Format {
                name,
                found,
                known: FORMAT,
            }),
            Err(error) => Err(unreadable(name, error)),
        }
    }

    /// Opens the journal, lets the file take over what it has, and begins it anew.
    fn catch_up(&self, database: &Database) -> Result<(Journal, Counters), OpenError> {
        let name = self.medium.name();
        let io = |source| OpenError::Io {
            name: name.clone(),
            source,
        };
        let damaged = |reason: &str| OpenError::Damaged {
            name: name.clone(),
            reason: reason.to_owned(),
        };
        let mark = tables::mark(database).map_err(|error| unreadable(name.clone(), error))?;
        let bytes = self.medium.journal(!mark.open).map_err(io)?;
        let bytes = bytes.ok_or_else(|| {
            damaged("its journal, the file of the same name and .journal, is missing")
        })?;
        let bytes = Observed::new(Arc::from(bytes), Arc::clone(&self.sync_failed));
        let mut journal = Journal::new(Box::new(bytes), mark).map_err(io)?;
        let redone = redo(database, &self.options, (&mut journal, mark));
        let counters = redone.map_err(|failure| match failure {
            RedoError::Read(ReadError::Io(source)) => io(source),
            RedoError::Read(ReadError::Damaged) => damaged("a record of its journal is damaged"),
            RedoError::Read(ReadError::Newer) => {
                damaged("its journal is newer; both must be of the same moment")
            }
            RedoError::Unfit => damaged("its journal does not follow it"),
            RedoError::File(error) => unreadable(name.clone(), error),
        })?;
        Ok((journal, counters))
    }

    /// Lets the file take over what the journal has; `open` unless it is being closed.
    fn checkpoint(&mut self, open: bool) {
        let Disk::Open(database, journal) = &mut self.disk else {
            return;
        };
        let mark = journal.after_checkpoint(open);
        match take_over(database, &self.options, mark) {
            Ok(()) => journal.begin(mark.generation),
            Err(error) => self.shut(&error.to_string()),
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
                        self.checkpoint(false);
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

    /// The open file and its journal, opened again if need be.
    fn files(&mut self) -> Result<(&Database, &mut Journal), String> {
        if let Disk::Shut(reason) = &self.disk {
            let reason = reason.clone();
            self.open().map_err(|error| {
                let source = std::error::Error::source(&error);
                let why = source.map_or_else(String::new, |source| format!(": {source}"));
                format!("{reason}; then: {error}{why}")
            })?;
            tracing::info!(file = self.medium.name(), "the state file is open again");
        }
        match &mut self.disk {
            Disk::Open(database, journal) => Ok((database, journal)),
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
        let (database, _) = self
            .files()
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
        let files = match self.files() {
            Ok(files) => files,
            Err(reason) => return jobs.into_iter().for_each(|job| refuse(job, &reason)),
        };
        let mut answers = Vec::with_capacity(jobs.len());
        match transact(files, &options, jobs, &mut answers) {
            Ok(oldest) => {
                let commits = answers.iter().filter_map(Answer::committed).collect();
                self.recent.push(commits, oldest);
                answers.into_iter().for_each(Answer::send);
                if matches!(&self.disk, Disk::Open(_, journal)
                    if journal.filled() >= options.journal_bytes)
                {
                    self.checkpoint(true);
                }
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

/// Makes the tables, and gives the format.
fn start(database: &Database, options: &EmbeddedOptions) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction, options)?;
    let format = tables.format()?;
    drop(tables);
    transaction.commit()?;
    Ok(format)
}

/// Why the journal could not be taken over.
enum RedoError {
    Read(ReadError),
    File(redb::Error),
    /// It is not the journal of this file.
    Unfit,
}

impl<E: Into<redb::Error>> From<E> for RedoError {
    fn from(error: E) -> Self {
        Self::File(error.into())
    }
}

/// Does again what `journal` has beyond the file, which stands at `mark`, and begins it anew.
fn redo(
    database: &Database,
    options: &EmbeddedOptions,
    (journal, mark): (&mut Journal, Mark),
) -> Result<Counters, RedoError> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction, options)?;
    let mut index = 0;
    while let Some(record) = journal.read().map_err(RedoError::Read)? {
        index += 1;
        if index <= mark.applied {
            continue;
        }
        for effect in effect::read(&record).ok_or(RedoError::Unfit)? {
            if !tables.redo(effect)? {
                return Err(RedoError::Unfit);
            }
        }
    }
    let mark = journal.after_checkpoint(true);
    tables.keep(mark)?;
    let counters = tables.counters();
    drop(tables);
    transaction.commit()?;
    journal.begin(mark.generation);
    Ok(counters)
}

/// Lets the file take over what has gathered, which makes it stand at `mark`.
fn take_over(
    database: &Database,
    options: &EmbeddedOptions,
    mark: Mark,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction, options)?;
    tables.keep(mark)?;
    drop(tables);
    Ok(transaction.commit()?)
}

fn unreadable(name: String, error: redb::Error) -> OpenError {
    match error {
        redb::Error::Io(source) => OpenError::Io { name, source },
        error => OpenError::Damaged {
            name,
            reason: error.to_string(),
        },
    }
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
