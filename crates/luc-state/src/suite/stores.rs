//! Checks of stores over an engine: what services rely on, with one controller or two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::executor::ThreadPool;
use futures::future::{Either, FutureExt, select};
use futures::stream::StreamExt;
use futures::task::SpawnExt;
use luc_core::Entropy;
use luc_core::entropy::SplitMix64;

use crate::change::WatchEvent;
use crate::fixture::{Note, Person};
use crate::key::key;
use crate::pace::{Pause, Yielding};
use crate::snapshot::Snapshot;
use crate::store::{Store, TransactError};
use crate::suite::Rig;
use crate::suite::crew::{balance, clients, newest, open, open_all, surely};
use crate::tx::{Tx, TxError};

/// Clients that all add one to the same record.
pub async fn increments_are_never_lost(rig: Rig, pool: ThreadPool) {
    let stores = open_all(&rig, &pool).await;
    clients(&stores, &pool, 8, |store, _| async move {
        for _ in 0..25 {
            surely(&store, |tx| {
                let old = tx.get::<Person>("ada").map_or(0, |person| person.balance);
                tx.put(Person::new("ada", "ghent").with(old + 1)).map(drop)
            })
            .await
            .expect("a put is never refused");
        }
    })
    .await;
    assert_eq!(balance(&*newest(&stores[0]).await, "ada"), 200);
}

/// Transfers between accounts, while readers add up every snapshot they see.
pub async fn money_is_neither_made_nor_lost(rig: Rig, pool: ThreadPool) {
    const ACCOUNTS: u64 = 6;
    let stores = open_all(&rig, &pool).await;
    let total = |snapshot: &Snapshot| snapshot.all::<Person>().map(|p| p.balance).sum::<i64>();
    surely(&stores[0], |tx| -> Result<(), TxError> {
        for number in 0..ACCOUNTS {
            tx.insert(Person::new(&format!("p{number}"), "lyon").with(100))?;
        }
        Ok(())
    })
    .await
    .expect("the store is empty");
    let mut watch = stores[0].watch(newest(&stores[0]).await.revision());
    clients(&stores, &pool, 6, |store, number| async move {
        let mut dice = SplitMix64::new(number);
        for _ in 0..20 {
            let (from, to) = (dice.next_u64() % ACCOUNTS, dice.next_u64() % ACCOUNTS);
            let amount = (dice.next_u64() % 50) as i64;
            // Too little money is a refusal.
            let _ = surely(&store, |tx| transfer(tx, from, to, amount)).await;
            let snapshot = store.snapshot();
            if snapshot.count::<Person>() > 0 {
                assert_eq!(total(&snapshot), 100 * ACCOUNTS as i64);
            }
        }
    })
    .await;
    let end = newest(&stores[0]).await;
    assert_eq!(total(&end), 100 * ACCOUNTS as i64);
    assert!(end.all::<Person>().all(|person| person.balance >= 0));
    while watch.seen() < end.revision() {
        if let Some(WatchEvent::Commit(commit)) = watch.next().await {
            let sum = |side: Option<Arc<crate::Stored<Person>>>| side.map_or(0, |p| p.balance);
            let net: i64 = commit
                .changes
                .iter()
                .map(|c| sum(c.after()) - sum(c.before()))
                .sum();
            assert_eq!(net, 0, "commit {}", commit.revision);
        }
    }
}

fn transfer(tx: &mut Tx<'_>, from: u64, to: u64, amount: i64) -> Result<(), String> {
    let change = |tx: &mut Tx<'_>, number: u64, amount: i64| {
        let person = tx
            .get::<Person>(format!("p{number}"))
            .ok_or("no such account")?;
        let balance = person.balance + amount;
        if balance < 0 {
            return Err("too little money".to_owned());
        }
        tx.update(person.value().clone().with(balance))
            .map_err(|error| error.to_string())?;
        Ok(())
    };
    change(tx, from, -amount)?;
    change(tx, to, amount)
}

/// Every client wants every name.
pub async fn a_unique_name_is_given_once(rig: Rig, pool: ThreadPool) {
    let stores = open_all(&rig, &pool).await;
    let won = clients(&stores, &pool, 6, |store, number| async move {
        let mut won = Vec::new();
        for name in 0..15 {
            let person = Person {
                id: format!("{number}-{name}"),
                ..Person::new(&format!("name {name}"), "oslo")
            };
            match surely(&store, |tx| tx.insert(person.clone()).map(drop)).await {
                Ok(_) => won.push(name),
                Err(TxError::Duplicate { index: "name", .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        won
    })
    .await;
    let mut names: Vec<i32> = won.into_iter().flatten().collect();
    names.sort_unstable();
    assert_eq!(names, (0..15).collect::<Vec<_>>());
    for store in &stores {
        let snapshot = newest(store).await;
        assert_eq!(snapshot.count::<Person>(), 15);
        for name in 0..15 {
            let name = format!("name {name}");
            assert!(
                snapshot
                    .one(&Person::BY_NAME, &key(&["default", &name]))
                    .is_some()
            );
        }
    }
}

/// Two doctors are on call; each may leave if the other stays (Cahill, Röhm and Fekete 2008).
pub async fn write_skew_is_refused(rig: Rig, pool: ThreadPool) {
    let stores = open_all(&rig, &pool).await;
    for round in 0..10 {
        let ids = [format!("a{round}"), format!("b{round}")];
        surely(&stores[0], |tx| -> Result<(), TxError> {
            for id in &ids {
                tx.insert(Person::new(id, "on call").with(1))?;
            }
            Ok(())
        })
        .await
        .expect("new names");
        for store in &stores {
            newest(store).await;
        }
        clients(&stores, &pool, 2, |store, number| {
            let ids = ids.clone();
            async move {
                let me = &ids[number as usize];
                // One of the two hears that it must stay.
                let _ = surely(&store, |tx| {
                    let there = ids.iter().filter_map(|id| tx.get::<Person>(id));
                    if there.filter(|person| person.balance == 1).count() < 2 {
                        return Err("somebody must stay".to_owned());
                    }
                    let person = tx.get::<Person>(me).ok_or("gone")?;
                    tx.update(person.value().clone().with(0))
                        .map_err(|e| e.to_string())?;
                    Ok(())
                })
                .await;
            }
        })
        .await;
        let snapshot = newest(&stores[0]).await;
        assert_eq!(
            ids.iter().map(|id| balance(&snapshot, id)).sum::<i64>(),
            1,
            "round {round}"
        );
    }
}

/// Limits over a predicate: how many have a key, how many there are, whether a name is free.
pub async fn phantoms_are_refused(rig: Rig, pool: ThreadPool) {
    let stores = open_all(&rig, &pool).await;
    clients(&stores, &pool, 6, |store, number| async move {
        for count in 0..10 {
            let id = format!("{number}-{count}");
            // A full town is a refusal.
            let _ = surely(&store, |tx| {
                if tx.find(&Person::BY_TOWN, &key(&["full"])).len() >= 7 {
                    return Err("the town is full".to_owned());
                }
                tx.insert(Person::new(&id, "full"))
                    .map_err(|error| error.to_string())?;
                Ok(())
            })
            .await;
            let _ = surely(&store, |tx| {
                if tx.count::<Note>() >= 5 {
                    return Err("enough notes".to_owned());
                }
                tx.insert(Note::new(&id, &[]))
                    .map_err(|error| error.to_string())?;
                Ok(())
            })
            .await;
        }
    })
    .await;
    let snapshot = newest(&stores[0]).await;
    assert_eq!(snapshot.find(&Person::BY_TOWN, &key(&["full"])).count(), 7);
    assert_eq!(snapshot.count::<Note>(), 5);
}

/// Each transaction writes a record of its own and counts; the count is the number of records.
pub async fn each_transaction_happens_once_or_is_said_not_to_have(rig: Rig, pool: ThreadPool) {
    let stores = open_all(&rig, &pool).await;
    let told = clients(&stores, &pool, 6, |store, number| async move {
        let mut told = Vec::new();
        for count in 0..15 {
            let id = format!("t{number}-{count}");
            let result = store.transact(|tx| count_once(tx, &id)).await;
            told.push((id, result));
        }
        told
    })
    .await;
    let mut done = BTreeSet::new();
    for (id, result) in told.into_iter().flatten() {
        let happened = match result {
            Ok(_) => true,
            Err(TransactError::Unknown { operation }) => loop {
                if let Ok(outcome) = stores[0].outcome(&operation).await {
                    break outcome.is_some();
                }
            },
            Err(TransactError::Unavailable { .. }) => false,
            Err(error) => panic!("{error}"),
        };
        if happened {
            done.insert(id);
        }
    }
    let snapshot = newest(&stores[0]).await;
    let there: BTreeSet<String> = snapshot.all::<Note>().map(|note| note.id.clone()).collect();
    assert_eq!(there, done);
    assert_eq!(balance(&snapshot, "count"), done.len() as i64);
    assert!(done.len() > 30, "only {} of 90 were done", done.len());
}

fn count_once(tx: &mut Tx<'_>, id: &str) -> Result<(), TxError> {
    tx.insert(Note::new(id, &["once"]))?;
    let old = tx.get::<Person>("count").map_or(0, |person| person.balance);
    tx.put(Person::new("count", "x").with(old + 1)).map(drop)
}

/// Half of the futures are dropped after their first poll.
pub async fn a_dropped_transaction_is_done_completely_or_not_at_all(rig: Rig, pool: ThreadPool) {
    let stores = open_all(&rig, &pool).await;
    clients(&stores, &pool, 6, |store, number| async move {
        for count in 0..15 {
            let id = format!("d{number}-{count}");
            let run = Box::pin(store.transact(|tx| count_once(tx, &id)));
            if count % 2 == 0 {
                // Ready at once or dropped: nothing else can happen here.
                if let Either::Right(_) = select(run, futures::future::ready(())).await {}
            } else {
                let _ = run.await;
            }
        }
    })
    .await;
    // What is still on its way comes before this, or not at all.
    for store in &stores {
        surely(store, |tx| tx.put(Note::new("end", &[])).map(drop))
            .await
            .expect("free");
    }
    let snapshot = newest(&stores[0]).await;
    assert_eq!(
        balance(&snapshot, "count"),
        snapshot.count::<Note>() as i64 - 1
    );
    assert!(snapshot.count::<Note>() > 1);
}

/// The history is forgotten again and again while everybody works.
pub async fn compaction_under_load_loses_nothing(rig: Rig, pool: ThreadPool) {
    let stores = open_all(&rig, &pool).await;
    let compacting = {
        let (store, engine) = (stores[0].clone(), rig.first());
        let work = async move {
            while store.snapshot().get::<Note>("end").is_none() {
                // A link that loses the request is as good as waiting.
                let _ = engine.compact(store.snapshot().revision()).await;
                Yielding.pause(Duration::ZERO).await;
            }
        };
        pool.spawn_with_handle(work).expect("the pool lives")
    };
    clients(&stores, &pool, 6, |store, _| async move {
        for _ in 0..20 {
            surely(&store, |tx| {
                let old = tx.get::<Person>("ada").map_or(0, |person| person.balance);
                tx.put(Person::new("ada", "ghent").with(old + 1)).map(drop)
            })
            .await
            .expect("a put is never refused");
        }
    })
    .await;
    surely(&stores[0], |tx| tx.put(Note::new("end", &[])).map(drop))
        .await
        .expect("free");
    compacting.await;
    for store in &stores {
        assert_eq!(balance(&*newest(store).await, "ada"), 120);
    }
}

/// One who only follows the log knows what a snapshot knows.
pub async fn a_mirror_of_the_change_log_is_the_snapshot(rig: Rig, pool: ThreadPool) {
    let stores = open_all(&rig, &pool).await;
    let mirrors: Vec<_> = stores
        .iter()
        .map(|store| {
            let mirror = mirror(store.clone());
            pool.spawn_with_handle(mirror).expect("the pool lives")
        })
        .collect();
    clients(&stores, &pool, 6, |store, number| async move {
        let mut dice = SplitMix64::new(number);
        for _ in 0..20 {
            let id = format!("m{}", dice.next_u64() % 9);
            let drop_it = dice.next_u64().is_multiple_of(3);
            let amount = (dice.next_u64() % 1000) as i64;
            surely(&store, |tx| -> Result<(), TxError> {
                if drop_it && tx.get::<Person>(&id).is_some() {
                    tx.delete::<Person>(&id).map(drop)
                } else {
                    tx.put(Person::new(&id, "x").with(amount)).map(drop)
                }
            })
            .await
            .expect("it fits what was read");
        }
    })
    .await;
    surely(&stores[0], |tx| tx.put(Note::new("end", &[])).map(drop))
        .await
        .expect("free");
    for (store, mirror) in stores.iter().zip(mirrors) {
        let mirrored = mirror.await;
        let snapshot = newest(store).await;
        let there: BTreeMap<String, i64> = snapshot
            .all::<Person>()
            .map(|person| (person.id.clone(), person.balance))
            .collect();
        assert_eq!(mirrored, there);
    }
}

/// Follows a store until the note `end` is there.
async fn mirror(store: Store) -> BTreeMap<String, i64> {
    let mut watch = store.watch(crate::Revision::ZERO);
    let mut people = BTreeMap::new();
    let mut last = crate::Revision::ZERO;
    while let Some(event) = watch.next().await {
        match event {
            WatchEvent::Gap(snapshot) => {
                last = snapshot.revision();
                people = snapshot
                    .all::<Person>()
                    .map(|p| (p.id.clone(), p.balance))
                    .collect();
                if snapshot.get::<Note>("end").is_some() {
                    return people;
                }
            }
            WatchEvent::Commit(commit) => {
                assert!(commit.revision > last, "in order and once");
                last = commit.revision;
                for change in &commit.changes {
                    let before = people.remove(&*change.id);
                    assert_eq!(
                        before,
                        change.before::<Person>().map(|person| person.balance)
                    );
                    if let Some(person) = change.after::<Person>() {
                        people.insert(person.id.clone(), person.balance);
                    }
                }
                if commit.changes.iter().any(|change| &*change.id == "end") {
                    return people;
                }
            }
        }
    }
    people
}

/// Everything a store shows comes back from the engine.
pub async fn a_store_opened_again_shows_the_same(rig: Rig, pool: ThreadPool) {
    let stores = open_all(&rig, &pool).await;
    clients(&stores, &pool, 4, |store, number| async move {
        for count in 0..10 {
            let person = Person::new(&format!("r{number}-{count}"), "rome").with(count);
            surely(&store, |tx| tx.put(person.clone()).map(drop))
                .await
                .expect("own name");
        }
    })
    .await;
    let before = newest(&stores[0]).await;
    // A sole engine is one store's; the first must be gone before the second comes.
    drop(stores);
    let again = open(&rig, &pool, 0, SplitMix64::new(77)).await;
    let after = again.snapshot();
    assert_eq!(after.revision(), before.revision());
    let all = |snapshot: &Snapshot| {
        let people = snapshot.find(&Person::BY_TOWN, &key(&["rome"]));
        people
            .map(|p| (p.value().clone(), p.revision(), p.home()))
            .collect::<Vec<_>>()
    };
    assert_eq!(all(&after).len(), 40);
    assert_eq!(all(&after), all(&before));
    assert!(again.repairs().is_empty());
}

/// Refusals that depend on what another transaction is just doing.
pub async fn a_refusal_is_never_about_something_that_did_not_happen(rig: Rig, pool: ThreadPool) {
    let stores = open_all(&rig, &pool).await;
    clients(&stores, &pool, 6, |store, number| async move {
        for count in 0..15 {
            let id = format!("x{}", count % 5);
            let result = store
                .transact(|tx| tx.insert(Note::new(&id, &[])).map(drop))
                .await;
            if let Err(TransactError::Refused(TxError::Exists { .. })) = result {
                // Nobody ever deletes: what exists is in the snapshot by now.
                assert!(
                    store.snapshot().get::<Note>(&id).is_some(),
                    "{number} was told of {id}"
                );
            }
        }
    })
    .boxed()
    .await;
}
