//! Stores that end, transactions that are dropped, closures that panic.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::stream::StreamExt;
use serde::{Deserialize, Serialize};

use super::scripted::{Lab, Scripted, take};
use crate::fixture::Person;
use crate::kinds::Kind;
use crate::memory::MemoryEngine;
use crate::record::{Index, Record};
use crate::revision::Revision;
use crate::schema::Schema;
use crate::scope::Scope;
use crate::store::{Store, TransactError};
use crate::tx::{Tx, TxError};

fn lab() -> (Lab, Arc<Scripted>, Store) {
    let mut lab = Lab::new();
    let engine = Scripted::new(MemoryEngine::sole());
    let store = lab.open(Arc::clone(&engine) as _);
    (lab, engine, store)
}

fn add(tx: &mut Tx<'_>) -> Result<(), TxError> {
    tx.insert(Person::new("ada", "lyon")).map(drop)
}

#[test]
fn what_is_queued_when_a_store_closes_is_still_done() {
    let (mut lab, engine, store) = lab();
    engine.hold();
    let one = store.clone();
    let slot = lab.start(async move { one.transact(add).await });
    lab.settle();
    store.close();
    let refused = lab.run(store.transact(add));
    assert!(
        matches!(refused, Err(TransactError::Closed { .. })),
        "{refused:?}"
    );
    engine.release();
    lab.settle();
    take(&slot)
        .expect("it is durable")
        .expect("it came before the end");
}

#[test]
fn the_driver_and_all_watches_end_with_the_last_clone() {
    let mut lab = Lab::new();
    let options = lab.options();
    let opened = Store::open(
        Arc::new(MemoryEngine::new()),
        crate::fixture::schema(),
        options,
    );
    let (store, driver) = lab.run(opened).expect("it is empty");
    let driver = lab.start(driver);
    let mut watch = store.watch(Revision::ZERO);
    let clone = store.clone();
    drop(store);
    lab.settle();
    assert!(take(&driver).is_none());
    drop(clone);
    lab.settle();
    assert!(take(&driver).is_some());
    assert!(lab.run(watch.next()).is_none());
}

#[test]
fn a_store_without_its_driver_tells_what_it_knows() {
    let mut lab = Lab::new();
    let engine = Scripted::new(MemoryEngine::sole());
    let options = lab.options();
    let opened = Store::open(Arc::clone(&engine) as _, crate::fixture::schema(), options);
    let (store, driver) = lab.run(opened).expect("it is empty");
    let mut driver = Box::pin(driver);
    engine.hold();
    let one = store.clone();
    let flying = lab.start(async move { one.transact(add).await });
    lab.settle();
    assert!(lab.run(futures::future::poll_fn(|cx| {
        std::task::Poll::Ready(driver.as_mut().poll(cx).is_pending())
    })));
    let two = store.clone();
    let queued = lab.start(async move {
        two.transact(|tx| tx.put(Person::new("bob", "x")).map(drop))
            .await
    });
    lab.settle();
    drop(driver);
    lab.settle();
    let flying = take(&flying).expect("it is over");
    assert!(
        matches!(flying, Err(TransactError::Unknown { .. })),
        "{flying:?}"
    );
    let queued = take(&queued).expect("it is over");
    assert!(
        matches!(queued, Err(TransactError::Closed { .. })),
        "{queued:?}"
    );
    let late = lab.run(store.transact(add));
    assert!(
        matches!(late, Err(TransactError::Closed { .. })),
        "{late:?}"
    );
}

#[test]
fn a_future_that_is_dropped_early_still_happens_completely() {
    let (mut lab, engine, store) = lab();
    engine.hold();
    let mut dropped = Box::pin(store.transact(add));
    let pending = lab.run(futures::future::poll_fn(|cx| {
        std::task::Poll::Ready(dropped.as_mut().poll(cx).is_pending())
    }));
    assert!(pending);
    drop(dropped);
    engine.release();
    lab.settle();
    assert_eq!(store.snapshot().count::<Person>(), 1);
    drop(store.transact(|tx| tx.delete::<Person>("ada").map(drop)));
    lab.settle();
    assert_eq!(
        store.snapshot().count::<Person>(),
        1,
        "one that never ran never happens"
    );
}

#[test]
fn a_panic_in_a_transaction_changes_nothing_and_stops_nobody() {
    let (mut lab, _engine, store) = lab();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        lab.run(store.transact(|tx| -> Result<(), TxError> {
            add(tx)?;
            panic!("a mistake of the program")
        }))
    }));
    assert!(panicked.is_err());
    assert_eq!(store.snapshot().count::<Person>(), 0);
    lab.run(store.transact(add)).expect("there is no ada");
}

/// A record that JSON cannot express if it has a colour.
#[derive(Clone, Serialize, Deserialize)]
struct Odd {
    id: String,
    colours: BTreeMap<(u8, u8, u8), u32>,
}

impl Record for Odd {
    const KIND: Kind = Kind::Host;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}

#[test]
fn a_record_that_cannot_be_written_fails_alone() {
    let mut lab = Lab::new();
    let engine = Scripted::new(MemoryEngine::sole());
    let schema = Schema::new().table::<Odd>();
    let store = lab
        .try_open(Arc::clone(&engine) as _, schema)
        .expect("it is empty");
    engine.hold();
    let slots: Vec<_> = ["first", "odd", "last"]
        .into_iter()
        .map(|id| {
            let store = store.clone();
            let colours = if id == "odd" {
                BTreeMap::from([((1, 2, 3), 4)])
            } else {
                BTreeMap::new()
            };
            let odd = Odd {
                id: id.to_owned(),
                colours,
            };
            lab.start(async move { store.transact(|tx| tx.insert(odd.clone()).map(drop)).await })
        })
        .collect();
    lab.settle();
    engine.release();
    lab.settle();
    let results: Vec<_> = slots
        .iter()
        .map(|slot| take(slot).expect("all are decided"))
        .collect();
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    let error = results[1]
        .clone()
        .expect_err("JSON has only text keys")
        .to_string();
    assert!(
        error.starts_with("the host 'odd' cannot be written as JSON: key must be"),
        "{error}"
    );
    assert_eq!(store.snapshot().count::<Odd>(), 2);
}

#[test]
fn a_scope_that_the_table_of_kinds_forbids_is_refused() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Leaky(String);

    impl Record for Leaky {
        const KIND: Kind = Kind::User;
        const INDEXES: &'static [Index<Self>] = &[];

        fn id(&self) -> &str {
            &self.0
        }

        fn scope(&self) -> Scope {
            Scope::Cloud
        }
    }

    let mut lab = Lab::new();
    let schema = Schema::new().table::<Leaky>();
    let store = lab
        .try_open(Arc::new(MemoryEngine::new()), schema)
        .expect("it is empty");
    let refused = lab.run(store.transact(|tx| tx.insert(Leaky("x".to_owned())).map(drop)));
    let scope = TxError::Scope {
        kind: Kind::User,
        scope: Scope::Cloud,
    };
    assert_eq!(refused, Err(TransactError::Refused(scope)));
}
