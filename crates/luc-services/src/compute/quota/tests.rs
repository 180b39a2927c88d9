//! The ledger against a store: limits hold whatever is asked in whichever order.

use std::collections::BTreeMap;

use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_core::id::DomainId;
use luc_core::time::Timestamp;
use luc_state::{MemoryEngine, Schema, Store, StoreOptions, TransactError};
use proptest::prelude::*;

use super::*;
use crate::compute::model::lease::{LeaseHeld, QuotaLease};

fn schema() -> Schema {
    Schema::new()
        .table::<QuotaSet>()
        .table::<QuotaClass>()
        .table::<QuotaUsage>()
        .table::<LeaseHeld>()
        .table::<QuotaLease>()
        .and(crate::identity::schema())
}

fn project() -> ProjectId {
    ProjectId::parse("p1").unwrap()
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn servers(instances: u64, cores: u64, ram: u64) -> Delta {
    Delta {
        instances,
        cores: Vcpus(cores),
        ram: MemoryMib(ram),
    }
}

/// Runs `scene` against a fresh store.
fn told<T, F: Future<Output = T>>(scene: impl FnOnce(Store) -> F) -> T {
    let options = StoreOptions::new(SitePrefix::of_key(b"site"), SplitMix64::new(1));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (store, driver) = Store::open(Arc::new(MemoryEngine::new()), schema(), options)
            .await
            .unwrap();
        tokio::spawn(driver);
        scene(store).await
    })
}

async fn take(store: &Store, name: &str, delta: Delta) -> Result<(), String> {
    let lent = Lent::new(SitePrefix::of_key(b"site"), Timestamp::default());
    let taken = store
        .transact(|tx| reserve(tx, &lent, &project(), &user(name), delta))
        .await;
    taken.map(drop).map_err(|error| match error {
        TransactError::Refused(refused) => refused.to_string(),
        other => panic!("{other}"),
    })
}

async fn give(store: &Store, name: &str, delta: Delta) {
    store
        .transact(|tx| release(tx, &project(), &user(name), delta))
        .await
        .unwrap();
}

async fn set(store: &Store, limits: &[(Resource, i64)], of_user: &[(Resource, i64)]) {
    let set = QuotaSet {
        project: project(),
        domain: DomainId::parse("default").unwrap(),
        limits: limits.iter().copied().collect(),
        users: BTreeMap::from([(user("ada"), of_user.iter().copied().collect())]),
        closed: BTreeMap::new(),
    };
    store
        .transact(|tx| tx.put(set.clone()).map(drop))
        .await
        .unwrap();
}

fn used(store: &Store) -> Used {
    let usage = store.snapshot().get::<QuotaUsage>("p1");
    usage.map(|usage| usage.used).unwrap_or_default()
}

#[test]
fn what_is_refused_is_told_as_nova_tells_it_and_books_nothing() {
    told(async |store: Store| {
        take(&store, "ada", servers(10, 10, 640)).await.unwrap();
        let refusal = take(&store, "bob", servers(2, 11, 128)).await.unwrap_err();
        assert_eq!(
            refusal,
            "Quota exceeded for cores, instances: Requested 11, 2, but already used 10, 10 of 20, \
             10 cores, instances"
        );
        assert_eq!(
            used(&store),
            Used {
                instances: 10,
                cores: 10,
                ram: 640
            }
        );
    });
}

#[test]
fn what_does_not_grow_is_never_refused() {
    told(async |store: Store| {
        take(&store, "ada", servers(10, 10, 640)).await.unwrap();
        set(&store, &[(Resource::Instances, 5)], &[]).await;
        take(&store, "ada", servers(0, 1, 0)).await.unwrap();
        assert!(take(&store, "ada", servers(1, 0, 0)).await.is_err());
    });
}

#[test]
fn a_users_own_limit_holds_inside_the_projects() {
    told(async |store: Store| {
        set(&store, &[], &[(Resource::Instances, 2)]).await;
        take(&store, "ada", servers(2, 2, 2)).await.unwrap();
        assert!(take(&store, "ada", servers(1, 1, 1)).await.is_err());
        take(&store, "bob", servers(8, 8, 8)).await.unwrap();
        assert!(take(&store, "bob", servers(1, 1, 1)).await.is_err());
        give(&store, "bob", servers(1, 1, 1)).await;
        take(&store, "bob", servers(1, 1, 1)).await.unwrap();
    });
}

#[test]
fn the_projects_limits_go_before_the_classes_and_those_before_ours() {
    let mut class = QuotaClass {
        name: QuotaClass::DEFAULT.to_owned(),
        limits: Limits::new(),
        closed: BTreeMap::new(),
    };
    let mut set = QuotaSet {
        project: project(),
        domain: DomainId::parse("default").unwrap(),
        limits: Limits::new(),
        users: BTreeMap::new(),
        closed: BTreeMap::new(),
    };
    let limit = |class: &QuotaClass, set: &QuotaSet| {
        Allowance::of(Some(class), Some(set), None).limit(Resource::Cores)
    };
    assert_eq!(limit(&class, &set), 20);
    class.limits.insert(Resource::Cores, 30);
    assert_eq!(limit(&class, &set), 30);
    set.limits.insert(Resource::Cores, UNLIMITED);
    assert_eq!(limit(&class, &set), UNLIMITED);
    assert!(Allowance::of(Some(&class), Some(&set), None).admits(Resource::Cores, u64::MAX));
}

#[test]
fn every_resource_has_a_name_and_the_limit_that_nova_gives_it() {
    for resource in Resource::ALL {
        let name = serde_json::to_value(resource).unwrap();
        assert_eq!(name, resource.name());
    }
    let unlimited = Resource::ALL
        .into_iter()
        .filter(|r| r.default_limit() == UNLIMITED);
    let names: Vec<_> = unlimited.map(Resource::name).collect();
    assert_eq!(
        names,
        [
            "fixed_ips",
            "floating_ips",
            "security_group_rules",
            "security_groups"
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_books_are_right_after_any_history(
        steps in proptest::collection::vec((any::<bool>(), 0..2_usize, 0..6_u64), 1..30),
    ) {
        told(async |store: Store| {
            let names = ["ada", "bob"];
            let mut held = [0_u64; 2];
            for (taking, who, count) in steps {
                let delta = servers(count, count, count);
                if taking {
                    let fits = held.iter().sum::<u64>() + count <= 10;
                    assert_eq!(take(&store, names[who], delta).await.is_ok(), fits || count == 0);
                    held[who] += if fits { count } else { 0 };
                } else if count <= held[who] {
                    give(&store, names[who], delta).await;
                    held[who] -= count;
                }
                let sum = held.iter().sum();
                assert_eq!(used(&store), Used { instances: sum, cores: sum, ram: sum });
            }
        });
    }
}
