//! Stores and clients for the checks of [`stores`](super::stores).

use std::sync::Arc;

use futures::executor::ThreadPool;
use futures::future::{RemoteHandle, join_all};
use futures::task::SpawnExt;
use luc_core::entropy::SplitMix64;
use luc_core::{Entropy, SitePrefix};

use crate::fixture::{Person, schema};
use crate::snapshot::Snapshot;
use crate::store::{Committed, Store, StoreOptions, TransactError};
use crate::suite::Rig;
use crate::tx::Tx;

/// Stores on the rig's engine, their drivers running on the pool.
pub(super) async fn open_all(rig: &Rig, pool: &ThreadPool) -> Vec<Store> {
    let mut stores = Vec::new();
    for number in 0..rig.stores() {
        let entropy = SplitMix64::new(0xdead + number as u64);
        stores.push(open(rig, pool, number, entropy).await);
    }
    stores
}

pub(super) async fn open(
    rig: &Rig,
    pool: &ThreadPool,
    number: usize,
    mut entropy: SplitMix64,
) -> Store {
    let site = SitePrefix::from_bytes([1; 6]);
    // A link that loses the first answers is no reason to give up.
    for _ in 0..100 {
        let engine = Arc::clone(&rig.handles[number]);
        let options =
            StoreOptions::new(site, SplitMix64::new(entropy.next_u64())).attempts_max(10_000);
        if let Ok((store, driver)) = Store::open(engine, schema(), options).await {
            pool.spawn_ok(driver);
            return store;
        }
    }
    panic!("the engine cannot be opened")
}

/// Runs `body` until its outcome is known: a value or a refusal.
pub(super) async fn surely<T: Clone, E: Clone>(
    store: &Store,
    mut body: impl FnMut(&mut Tx<'_>) -> Result<T, E>,
) -> Result<Committed<T>, E> {
    let mut last = None;
    loop {
        let result = store
            .transact(|tx| {
                let result = body(tx);
                last = result.as_ref().ok().cloned();
                result
            })
            .await;
        match (result, &last) {
            (Ok(committed), _) => return Ok(committed),
            (Err(TransactError::Refused(error)), _) => return Err(error),
            (Err(TransactError::Unavailable { .. }), _) => {}
            (Err(TransactError::Unknown { operation }), Some(value)) => {
                let value = value.clone();
                let outcome = loop {
                    if let Ok(outcome) = store.outcome(&operation).await {
                        break outcome;
                    }
                };
                if let Some(revision) = outcome {
                    return Ok(Committed { value, revision });
                }
            }
            (Err(error), _) => {
                let error: TransactError<std::convert::Infallible> = match error {
                    TransactError::Conflict { attempts } => TransactError::Conflict { attempts },
                    TransactError::Closed { reason } => TransactError::Closed { reason },
                    _ => TransactError::Unavailable {
                        reason: "unexpected".to_owned(),
                    },
                };
                panic!("a transaction failed: {error}")
            }
        }
    }
}

/// Runs `clients` tasks, spread over the stores, and waits for all.
pub(super) async fn clients<T: Send + 'static, F>(
    stores: &[Store],
    pool: &ThreadPool,
    clients: usize,
    work: impl Fn(Store, u64) -> F,
) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<RemoteHandle<T>> = (0..clients)
        .map(|number| work(stores[number % stores.len()].clone(), number as u64))
        .map(|work| pool.spawn_with_handle(work).expect("the pool lives"))
        .collect();
    join_all(tasks).await
}

/// The newest snapshot that any controller could have.
pub(super) async fn newest(store: &Store) -> Arc<Snapshot> {
    loop {
        if let Ok(snapshot) = store.newest().await {
            return snapshot;
        }
    }
}

pub(super) fn balance(snapshot: &Snapshot, id: &str) -> i64 {
    snapshot
        .get::<Person>(id)
        .map_or(0, |person| person.balance)
}
