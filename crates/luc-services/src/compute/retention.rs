//! How long what is gone is remembered: deleted servers and their history.
//!
//! Nova keeps them until an operator purges the database; here they go by themselves. `luc` calls
//! [`purge`] from time to time.

use std::time::Duration;

use luc_api::ApiError;
use luc_core::id::ServerId;
use luc_core::time::Timestamp;
use luc_state::{Tx, TxError, key};

use super::model::instance_action::InstanceAction;
use super::model::server::DeletedServer;
use super::write::{WriteError, transact};
use crate::Services;

/// How long deleted servers are remembered unless an operator says otherwise.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How many are forgotten in one transaction, which holds up others.
const BATCH: usize = 100;

/// Forgets the servers that were deleted before `before`, with their history, and says how many.
/// What a host may still have is remembered until the host has cleaned up.
pub async fn purge(services: &Services, before: Timestamp) -> Result<usize, ApiError> {
    let snapshot = services.store.snapshot();
    let old: Vec<_> = snapshot
        .all::<DeletedServer>()
        .filter(|gone| gone.home() == services.site)
        .filter(|gone| gone.deleted_at < before && !gone.leftover)
        .collect();
    for batch in old.chunks(BATCH) {
        transact(&services.store, |tx| -> Result<(), WriteError> {
            for gone in batch {
                forget(tx, &gone.server.id)?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(old.len())
}

/// Forgets one deleted server and its history.
fn forget(tx: &mut Tx<'_>, id: &ServerId) -> Result<(), TxError> {
    for action in tx.find(&InstanceAction::BY_SERVER, &key(&[id.as_str()])) {
        tx.delete::<InstanceAction>(&action.id)?;
    }
    if tx.get::<DeletedServer>(id).is_some() {
        tx.delete::<DeletedServer>(id)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use luc_core::SitePrefix;
    use luc_core::entropy::SplitMix64;
    use luc_state::{MemoryEngine, Store, StoreOptions};

    use super::*;
    use crate::compute::model;
    use crate::compute::server::fixture::{NOON, active, server_id};
    use crate::compute::server::history::{Origin, open};

    #[tokio::test]
    async fn a_server_is_forgotten_with_its_history_and_no_other() {
        let options = StoreOptions::new(SitePrefix::of_key(b"site"), SplitMix64::new(1));
        let engine = Arc::new(MemoryEngine::sole());
        let (store, driver) = Store::open(engine, model::schema(), options).await.unwrap();
        tokio::spawn(driver);
        let filled = store.transact(|tx| -> Result<(), TxError> {
            for number in [1, 2] {
                let mut server = active(number);
                let origin = Origin {
                    id: format!("a{number}"),
                    request_id: "req-1".to_owned(),
                    user: None,
                    project: None,
                };
                open(tx, &mut server, "create", None, &origin, NOON)?;
                tx.insert(DeletedServer {
                    server,
                    deleted_at: NOON,
                    leftover: false,
                })?;
            }
            Ok(())
        });
        filled.await.unwrap();
        for _ in 0..2 {
            store
                .transact(|tx| forget(tx, &server_id(1)))
                .await
                .unwrap();
        }
        let snapshot = store.snapshot();
        assert!(snapshot.get::<DeletedServer>(server_id(1)).is_none());
        assert_eq!(snapshot.count::<InstanceAction>(), 1);
        assert!(snapshot.get::<DeletedServer>(server_id(2)).is_some());
    }
}
