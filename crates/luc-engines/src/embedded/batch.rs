//! One batch: all jobs that wait, decided in one redb transaction, and their answers.
//!
//! A batch that failed before its record was written to the journal did not happen. One that failed
//! after that may have: its proposals are `Unknown`, and the outcome is known when the file is open
//! again.

use std::sync::Arc;

use futures::channel::oneshot::Sender;
use luc_state::Revision;
use luc_state::engine::{CommitError, Committed, EngineError};
use redb::{Database, Durability, StorageError};

use super::EmbeddedOptions;
use super::journal::{AppendError, Journal};
use super::tables::{Decision, Tables};
use super::writer::Job;

/// What a job of a batch is told if the batch is committed.
pub(super) enum Answer {
    Commit(Sender<Result<Revision, CommitError>>, Decision),
    Outcome(
        Sender<Result<Option<Revision>, EngineError>>,
        Result<Option<Revision>, EngineError>,
    ),
    Compact(Sender<Result<(), EngineError>>),
}

/// Why a batch failed.
pub(super) enum Failure {
    /// Before it was written anywhere: it did not happen.
    Before(String),
    /// While or after it was written: it may have happened.
    During(String),
}

/// Does all jobs in one transaction, which is durable by its record in the journal, and gives the
/// oldest revision of the history. The answers are true only if it succeeds.
pub(super) fn transact(
    (database, journal): (&Database, &mut Journal),
    options: &EmbeddedOptions,
    jobs: Vec<Job>,
    answers: &mut Vec<Answer>,
) -> Result<Revision, Failure> {
    let before = |error: &dyn std::fmt::Display| Failure::Before(error.to_string());
    let during = |error: &dyn std::fmt::Display| Failure::During(error.to_string());
    let mut jobs = jobs.into_iter();
    let result = (|| {
        let mut transaction = database.begin_write().map_err(|error| before(&error))?;
        transaction
            .set_durability(Durability::None)
            .map_err(|error| before(&error))?;
        let mut tables = Tables::open(&transaction, options).map_err(|error| before(&error))?;
        for job in jobs.by_ref() {
            decide(&mut tables, job, answers).map_err(|error| before(&error))?;
        }
        let oldest = Revision::new(tables.counters().oldest);
        let effects = tables.finish(journal.after_next());
        if let Some(effects) = effects.map_err(|error| before(&error))? {
            journal.append(&effects).map_err(|error| match error {
                AppendError::Space(error) => before(&error),
                AppendError::Write(error) => during(&error),
            })?;
            transaction.commit().map_err(|error| during(&error))?;
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
    /// What was committed, if it was a commit that held.
    pub(super) fn committed(&self) -> Option<Arc<Committed>> {
        match self {
            Self::Commit(_, Ok((_, Some(commit)))) => Some(Arc::clone(commit)),
            _ => None,
        }
    }

    pub(super) fn send(self) {
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

    pub(super) fn refuse(self, reason: &str) {
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
    pub(super) fn doubt(self, reason: &str) {
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

pub(super) fn refuse(job: Job, reason: &str) {
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
