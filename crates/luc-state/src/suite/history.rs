//! A checker for linearizability that has the engine's revisions as witnesses.
//!
//! General linearizability checking searches for an order (Wing and Gong 1993). Here the engine
//! names the order, so it only has to be verified: replayed one commit after the other, every
//! expectation held when its commit happened; the result is what the engine holds; the order fits
//! real time; and every conflict was a conflict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use luc_core::id::OpId;

use crate::engine::{CommitError, Committed, Expectation, Loaded, Mutation, Proposal};
use crate::revision::Revision;

/// What clients asked for and were told, with the order in real time.
#[derive(Default)]
pub struct History {
    clock: AtomicU64,
    attempts: Mutex<Vec<Attempt>>,
    sealed: Mutex<BTreeSet<OpId>>,
}

/// One commit as a client saw it.
pub(super) struct Attempt {
    pub(super) started: u64,
    pub(super) finished: u64,
    pub(super) proposal: Proposal,
    pub(super) answer: Result<Revision, CommitError>,
}

impl History {
    pub(super) fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn note(&self, attempt: Attempt) {
        self.attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(attempt);
    }

    pub(super) fn sealed(&self, operation: OpId) {
        self.sealed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(operation);
    }

    /// How many commits were acknowledged, and how many refused.
    pub fn counts(&self) -> (usize, usize) {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let done = attempts
            .iter()
            .filter(|attempt| attempt.answer.is_ok())
            .count();
        (done, attempts.len() - done)
    }

    /// Checks everything against the whole feed from revision zero and what the engine holds.
    pub fn verify(&self, feed: &[Arc<Committed>], loaded: &Loaded) {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_operation: BTreeMap<&OpId, &Attempt> = BTreeMap::new();
        for attempt in attempts.iter().filter(|attempt| attempt.answer.is_ok()) {
            let again = by_operation.insert(&attempt.proposal.operation.id, attempt);
            assert!(again.is_none(), "one attempt per operation");
        }
        let states = replay(feed, &by_operation, &sealed);
        assert!(
            by_operation.len() <= feed.len(),
            "every acknowledged commit is in the feed"
        );
        for (operation, attempt) in &by_operation {
            let there = feed
                .iter()
                .filter(|commit| commit.operation == **operation)
                .count();
            assert_eq!(
                there, 1,
                "{operation} at {:?} is in the feed once",
                attempt.answer
            );
        }
        assert_final(&states, loaded);
        assert_real_time(&attempts);
        for attempt in attempts.iter() {
            if let Err(CommitError::Conflict { key, revision }) = &attempt.answer {
                assert_conflict(&states, &attempt.proposal, key, *revision);
            }
        }
    }
}

/// Which revision each key had, after each revision.
type States = BTreeMap<Revision, BTreeMap<String, Revision>>;

fn replay(
    feed: &[Arc<Committed>],
    by_operation: &BTreeMap<&OpId, &Attempt>,
    sealed: &BTreeSet<OpId>,
) -> States {
    let mut state: BTreeMap<String, Revision> = BTreeMap::new();
    let mut states = States::from([(Revision::ZERO, state.clone())]);
    let mut last = Revision::ZERO;
    for commit in feed {
        assert!(
            commit.revision > last,
            "revisions grow: {} after {last}",
            commit.revision
        );
        last = commit.revision;
        assert!(
            !sealed.contains(&commit.operation),
            "what was sealed never happens"
        );
        if let Some(attempt) = by_operation.get(&commit.operation) {
            assert_eq!(
                attempt.answer,
                Ok(commit.revision),
                "the feed and the answer agree"
            );
            assert_eq!(
                attempt.proposal.batch, commit.batch,
                "the feed has the whole batch"
            );
            for expectation in &attempt.proposal.expectations {
                assert!(
                    holds(&state, expectation),
                    "{expectation:?} before {}",
                    commit.revision
                );
            }
        }
        for mutation in &commit.batch {
            match mutation {
                Mutation::Put { key, .. } => state.insert(key.clone(), commit.revision),
                Mutation::Delete { key } => state.remove(key),
            };
        }
        states.insert(commit.revision, state.clone());
    }
    states
}

fn holds(state: &BTreeMap<String, Revision>, expectation: &Expectation) -> bool {
    state.get(&expectation.key).copied() == expectation.revision
}

fn assert_final(states: &States, loaded: &Loaded) {
    let replayed = states
        .last_key_value()
        .map(|(_, state)| state.clone())
        .unwrap_or_default();
    let held: BTreeMap<String, Revision> = loaded
        .entries
        .iter()
        .map(|entry| (entry.key.clone(), entry.revision))
        .collect();
    assert_eq!(replayed, held, "the engine holds what its feed says");
}

/// What was acknowledged before an attempt began comes before it.
fn assert_real_time(attempts: &[Attempt]) {
    let mut done: Vec<(u64, Revision)> = attempts
        .iter()
        .filter_map(|attempt| Some((attempt.finished, *attempt.answer.as_ref().ok()?)))
        .collect();
    done.sort_unstable();
    let mut newest = Vec::with_capacity(done.len());
    for (finished, revision) in done {
        let before = newest
            .last()
            .map_or(Revision::ZERO, |(_, revision)| *revision);
        newest.push((finished, before.max(revision)));
    }
    for attempt in attempts {
        let before = newest.partition_point(|(finished, _)| *finished < attempt.started);
        let Some((_, newest)) = before.checked_sub(1).map(|last| newest[last]) else {
            continue;
        };
        match &attempt.answer {
            Ok(revision) if attempt.proposal.batch.is_empty() => assert!(*revision >= newest),
            Ok(revision) => assert!(
                *revision > newest,
                "{revision} began after {newest} was done"
            ),
            Err(CommitError::Conflict { revision, .. }) => assert!(*revision >= newest),
            Err(error) => panic!("clients do not give up: {error}"),
        }
    }
}

/// At the revision that a conflict names, the expectation over the key it names does not hold.
fn assert_conflict(states: &States, proposal: &Proposal, key: &str, revision: Revision) {
    let state = states
        .range(..=revision)
        .next_back()
        .map(|(_, state)| state);
    let expectation = proposal
        .expectations
        .iter()
        .find(|expectation| expectation.key == key);
    let (Some(state), Some(expectation)) = (state, expectation) else {
        panic!("a conflict over '{key}' at {revision} that nobody expected anything of")
    };
    assert!(
        !holds(state, expectation),
        "{expectation:?} held at {revision}, yet was refused"
    );
}
