//! What a new cloud has of the compute service: flavors to begin with.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::id::FlavorId;
use luc_core::time::Timestamp;
use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use luc_state::{Store, TransactError, TxError};

use super::model::flavor::Flavor;
use crate::Services;

/// Id, name, virtual processors, memory in MiB, root disk in GiB. Ids and sizes are DevStack's.
const FLAVORS: [(&str, &str, u64, u64, u64); 6] = [
    ("42", "m1.nano", 1, 128, 1),
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2_048, 20),
    ("3", "m1.medium", 2, 4_096, 40),
    ("4", "m1.large", 4, 8_192, 80),
    ("5", "m1.xlarge", 8, 16_384, 160),
];

/// Makes the flavors that every cloud begins with, unless there are flavors already: an operator
/// who has deleted one does not get it back.
pub async fn bootstrap(services: &Services) -> Result<(), TransactError<TxError>> {
    make_flavors(&services.store, services.clock.now()).await
}

async fn make_flavors(store: &Store, now: Timestamp) -> Result<(), TransactError<TxError>> {
    let made = store.transact(|tx| {
        if tx.count::<Flavor>() > 0 {
            return Ok(());
        }
        for (id, name, vcpus, ram, disk) in FLAVORS {
            // The table's ids are ids; a test says so.
            let Ok(id) = FlavorId::parse(id) else {
                continue;
            };
            tx.insert(Flavor {
                id,
                name: name.to_owned(),
                vcpus: Vcpus(vcpus),
                ram: MemoryMib(ram),
                disk: DiskGib(disk),
                ephemeral: DiskGib::ZERO,
                swap: MemoryMib::ZERO,
                rxtx_factor: 1.0,
                is_public: true,
                disabled: false,
                description: None,
                extra_specs: BTreeMap::new(),
                projects: BTreeSet::new(),
                created_at: now,
            })?;
        }
        Ok(())
    });
    made.await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use luc_core::SitePrefix;
    use luc_core::entropy::SplitMix64;
    use luc_state::{MemoryEngine, Schema, StoreOptions};

    use super::*;

    #[tokio::test]
    async fn a_cloud_gets_its_first_flavors_once() {
        let options = StoreOptions::new(SitePrefix::of_key(b"site"), SplitMix64::new(1));
        let schema = Schema::new().table::<Flavor>();
        let opened = Store::open(Arc::new(MemoryEngine::new()), schema, options).await;
        let (store, driver) = opened.unwrap();
        tokio::spawn(driver);
        let now = Timestamp::from_unix_secs(0);
        make_flavors(&store, now).await.unwrap();
        assert_eq!(
            store.snapshot().count::<Flavor>(),
            FLAVORS.len(),
            "every id is an id"
        );
        let deleted = store
            .transact(|tx| tx.delete::<Flavor>("42").map(drop))
            .await;
        deleted.unwrap();
        make_flavors(&store, now).await.unwrap();
        assert!(
            store.snapshot().get::<Flavor>("42").is_none(),
            "what was deleted stays so"
        );
    }
}
