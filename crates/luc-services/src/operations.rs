//! Writes that another site has handed on: each happens once, however often it arrives.
//!
//! Rule 5 of the state contract. The site that hands a write on gives it an id and a seed. Here the
//! request runs on a clone of the services whose randomness is a function of the seed, so that ids
//! are the same in every attempt, and whose store writes an [`Operation`] record in the very commit
//! that the request makes. The answer is added when it is known. A second arrival gets that answer;
//! one that arrives while the first is carried out waits for it.
//!
//! Not for what a client asks of its own site, and not for reads.

mod carry;
mod record;
mod seeded;
mod show;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::{OpId, ProjectId};
use luc_core::time::Timestamp;
use luc_state::TxError;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::Services;
use crate::write::settled;

pub(crate) use carry::respond;
pub use record::{Operation, schema};
pub use show::{NO_RECORD, show};

/// How long operations are remembered.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);

/// How long nobody waits again for copies of a project that did not come.
const NO_WAIT: Duration = Duration::from_secs(60);

/// From how many such projects on all are forgotten.
const IN_VAIN_MAX: usize = 4_096;

/// How many are forgotten in one transaction, which holds up others.
const BATCH: usize = 500;

/// How many operations are remembered with the site they went to.
const SENT_MAX: usize = 10_000;

/// What a node remembers of operations between sites: those under way, and where it sent the last
/// ones.
#[derive(Debug, Default)]
pub struct Operations {
    /// Those that are carried out here at the moment.
    turns: Mutex<BTreeMap<OpId, Arc<tokio::sync::Mutex<()>>>>,
    sent: Mutex<Sent>,
    /// Projects of which not every site sent its part in time, and when that was.
    in_vain: Mutex<BTreeMap<ProjectId, Instant>>,
}

#[derive(Debug, Default)]
struct Sent {
    homes: BTreeMap<OpId, SitePrefix>,
    order: VecDeque<OpId>,
    under_way: BTreeSet<OpId>,
}

/// The right to carry out an operation; the next arrival of it waits until it is dropped.
pub(crate) struct Turn<'o> {
    operations: &'o Operations,
    id: OpId,
    guard: Option<OwnedMutexGuard<()>>,
}

/// That an operation is being handed on, until it is dropped.
pub(crate) struct Sending<'o> {
    operations: &'o Operations,
    id: OpId,
}

impl Operations {
    /// Waits until nobody else carries out this operation here.
    pub(crate) async fn turn(&self, id: &OpId) -> Turn<'_> {
        let lock = Arc::clone(self.turns().entry(id.clone()).or_default());
        let guard = Some(lock.lock_owned().await);
        Turn {
            operations: self,
            id: id.clone(),
            guard,
        }
    }

    /// Notes that an operation is handed on to `home`.
    pub(crate) fn sending(&self, id: &OpId, home: SitePrefix) -> Sending<'_> {
        let mut sent = self.sent();
        if sent.homes.insert(id.clone(), home).is_none() {
            sent.order.push_back(id.clone());
        }
        while sent.order.len() > SENT_MAX {
            if let Some(oldest) = sent.order.pop_front() {
                sent.homes.remove(&oldest);
            }
        }
        sent.under_way.insert(id.clone());
        Sending {
            operations: self,
            id: id.clone(),
        }
    }

    /// Where an operation went, if that is remembered.
    fn home_of(&self, id: &OpId) -> Option<SitePrefix> {
        self.sent().homes.get(id).copied()
    }

    /// Whether an operation is carried out here, or handed on, at this moment.
    fn is_under_way(&self, id: &OpId) -> bool {
        self.turns().contains_key(id) || self.sent().under_way.contains(id)
    }

    /// Whether to wait for copies of `project`: not if that was in vain a short while ago.
    pub(crate) fn may_wait_for(&self, project: &ProjectId) -> bool {
        let in_vain = self.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        in_vain
            .get(project)
            .is_none_or(|since| since.elapsed() >= NO_WAIT)
    }

    /// Notes that copies of `project` were waited for in vain.
    pub(crate) fn waited_in_vain(&self, project: &ProjectId) {
        let mut in_vain = self.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        if in_vain.len() >= IN_VAIN_MAX {
            in_vain.clear();
        }
        in_vain.insert(project.clone(), Instant::now());
    }

    fn turns(&self) -> MutexGuard<'_, BTreeMap<OpId, Arc<tokio::sync::Mutex<()>>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.operations.turns();
        self.guard = None;
        // One in the table, so nobody waits.
        if turns
            .get(&self.id)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            turns.remove(&self.id);
        }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.operations.sent().under_way.remove(&self.id);
    }
}

/// Forgets the operations that arrived before `before` and says how many.
pub async fn purge(services: &Services, before: Timestamp) -> Result<usize, ApiError> {
    let snapshot = services.store.snapshot();
    let old: Vec<OpId> = snapshot
        .all::<Operation>()
        .filter(|operation| operation.began < before)
        .map(|operation| operation.id.clone())
        .collect();
    for batch in old.chunks(BATCH) {
        let forgotten = services.store.transact(|tx| -> Result<(), TxError> {
            for id in batch {
                if tx.get::<Operation>(id).is_some() {
                    tx.delete::<Operation>(id)?;
                }
            }
            Ok(())
        });
        settled(forgotten.await, |refused| {
            ApiError::internal(refused.to_string())
        })?;
    }
    Ok(old.len())
}
