//! Two controllers on one engine.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::scripted::{Lab, Script, Scripted, take};
use crate::change::WatchEvent;
use crate::engine::{CommitError, Engine};
use crate::fixture::{Note, Person, schema};
use crate::memory::MemoryEngine;
use crate::revision::Revision;
use crate::store::{Store, TransactError};
use crate::tx::TxError;
use futures::stream::StreamExt;

/// A store over a scripted handle, and another controller over a plain one.
fn lab() -> (Lab, Arc<Scripted>, Store, Store) {
    let mut lab = Lab::new();
    let memory = MemoryEngine::new();
    let scripted = Scripted::new(memory.clone());
    let store = lab.open(Arc::clone(&scripted) as _);
    let other = lab.open(Arc::new(memory));
    (lab, scripted, store, other)
}

fn put(lab: &mut Lab, store: &Store, person: &Person) {
    let done = lab.run(store.transact(|tx| tx.put(person.clone()).map(drop)));
    done.expect("nothing is in the way");
}

/// Adds 1 to the balance of `id`, and counts how often it ran.
fn count_up(
    store: &Store,
    id: &'static str,
    runs: &Rc<Cell<u32>>,
) -> impl Future<Output = Result<i64, TransactError<TxError>>> + use<> {
    let (store, runs) = (store.clone(), Rc::clone(runs));
    async move {
        let done = store.transact(|tx| {
            runs.set(runs.get() + 1);
            let person = tx.get::<Person>(id).expect("it is there");
            let balance = person.balance + 1;
            tx.update(person.value().clone().with(balance))
                .map(|_| balance)
        });
        done.await.map(|done| done.value)
    }
}

#[test]
fn a_lost_race_runs_again_on_what_the_winner_wrote() {
    let (mut lab, engine, store, other) = lab();
    put(&mut lab, &store, &Person::new("ada", "x").with(10));
    engine.hold();
    let runs = Rc::default();
    let slot = lab.start(count_up(&store, "ada", &runs));
    lab.settle();
    put(&mut lab, &other, &Person::new("ada", "x").with(20));
    engine.release();
    lab.settle();
    assert_eq!(take(&slot), Some(Ok(21)));
    assert_eq!(runs.get(), 2);
    assert_eq!(
        store.snapshot().get::<Person>("ada").map(|p| p.balance),
        Some(21)
    );
}

#[test]
fn what_another_controller_did_elsewhere_disturbs_nobody() {
    let (mut lab, engine, store, other) = lab();
    put(&mut lab, &store, &Person::new("ada", "x"));
    put(&mut lab, &store, &Person::new("bob", "y"));
    engine.hold();
    let runs = Rc::default();
    let slots: Vec<_> = (0..3)
        .map(|_| lab.start(count_up(&store, "ada", &runs)))
        .collect();
    lab.settle();
    put(&mut lab, &other, &Person::new("bob", "y").with(5));
    assert_eq!(
        store.snapshot().get::<Person>("bob").map(|p| p.balance),
        Some(5)
    );
    engine.release();
    lab.settle();
    let values: Vec<_> = slots
        .iter()
        .map(|slot| take(slot).expect("durable").ok())
        .collect();
    assert_eq!(values, [Some(1), Some(2), Some(3)]);
    assert_eq!(runs.get(), 3, "none ran twice");
    let snapshot = store.snapshot();
    let balance = |id| snapshot.get::<Person>(id).map(|person| person.balance);
    assert_eq!((balance("ada"), balance("bob")), (Some(3), Some(5)));
}

#[test]
fn a_queued_transaction_that_saw_the_old_value_runs_again_before_it_is_proposed() {
    let (mut lab, engine, store, other) = lab();
    put(&mut lab, &store, &Person::new("ada", "x"));
    put(&mut lab, &store, &Person::new("bob", "y"));
    engine.hold();
    let (first, second) = (Rc::default(), Rc::default());
    let ahead = lab.start(count_up(&store, "ada", &first));
    lab.settle();
    let queued = lab.start(count_up(&store, "bob", &second));
    lab.settle();
    put(&mut lab, &other, &Person::new("bob", "y").with(40));
    engine.release();
    lab.settle();
    assert_eq!((take(&ahead), take(&queued)), (Some(Ok(1)), Some(Ok(41))));
    assert_eq!((first.get(), second.get()), (1, 2));
}

#[test]
fn a_predicate_is_guarded_against_records_that_come_and_go() {
    let (mut lab, engine, store, other) = lab();
    engine.hold();
    let one = store.clone();
    let slot = lab.start(async move {
        let done = one.transact(|tx| -> Result<usize, TxError> {
            let found = tx.find(&Note::BY_WORD, &crate::key(&["red"])).len();
            tx.put(Person::new("count", "x").with(found as i64))?;
            Ok(found)
        });
        done.await.map(|done| done.value)
    });
    lab.settle();
    // Inserted and, so that no record shows it, another one removed.
    lab.run(other.transact(|tx| {
        tx.insert(Note::new("a", &["red"]))?;
        tx.insert(Note::new("b", &["red", "blue"])).map(drop)
    }))
    .expect("nothing is in the way");
    lab.run(other.transact(|tx| tx.delete::<Note>("b").map(drop)))
        .expect("it is there");
    engine.release();
    lab.settle();
    assert_eq!(take(&slot), Some(Ok(1)));
}

#[test]
fn a_predicate_is_guarded_against_records_that_change() {
    let (mut lab, engine, store, other) = lab();
    put(&mut lab, &store, &Person::new("ada", "x").with(1));
    put(&mut lab, &store, &Person::new("bob", "x").with(2));
    engine.hold();
    let one = store.clone();
    let slot = lab.start(async move {
        let done = one.transact(|tx| -> Result<i64, TxError> {
            let people = tx.find(&Person::BY_TOWN, &crate::key(&["x"]));
            let sum = people.iter().map(|person| person.balance).sum();
            tx.put(Person::new("sum", "y").with(sum))?;
            Ok(sum)
        });
        done.await.map(|done| done.value)
    });
    lab.settle();
    put(&mut lab, &other, &Person::new("bob", "x").with(20));
    engine.release();
    lab.settle();
    assert_eq!(take(&slot), Some(Ok(21)));
}

#[test]
fn a_predicate_over_what_the_same_group_wrote_is_guarded_too() {
    let (mut lab, engine, store, other) = lab();
    engine.hold();
    let (one, two) = (store.clone(), store.clone());
    // Both are in one group: the first moves the fence that the second relies on.
    let first = lab.start(async move {
        one.transact(|tx| tx.insert(Note::new("a", &["red"])).map(drop))
            .await
    });
    let second = lab.start(async move {
        let done = two.transact(|tx| -> Result<usize, TxError> {
            let found = tx.find(&Note::BY_WORD, &crate::key(&["red"])).len();
            tx.put(Person::new("count", "x").with(found as i64))?;
            Ok(found)
        });
        done.await.map(|done| done.value)
    });
    lab.settle();
    let done = lab.run(other.transact(|tx| tx.insert(Note::new("b", &["red"])).map(drop)));
    done.expect("nothing is in the way");
    engine.release();
    lab.settle();
    assert!(take(&first).expect("it is durable").is_ok());
    assert_eq!(take(&second), Some(Ok(2)));
}

#[test]
fn a_transaction_that_always_loses_says_so() {
    let mut lab = Lab::new();
    let engine = Scripted::new(MemoryEngine::new());
    let options = lab.options().attempts_max(3);
    let opened = Store::open(Arc::clone(&engine) as _, schema(), options);
    let (store, driver) = lab.run(opened).expect("it is empty");
    lab.start(driver);
    let conflict = || CommitError::Conflict {
        key: "r/user/ada".to_owned(),
        revision: Revision::ZERO,
    };
    engine.script((0..3).map(|_| Script::Refuse(conflict())));
    let lost = lab.run(store.transact(|tx| tx.put(Person::new("ada", "x")).map(drop)));
    assert_eq!(lost, Err(TransactError::Conflict { attempts: 3 }));
    put(&mut lab, &store, &Person::new("ada", "x"));
}

#[test]
fn a_refusal_is_checked_against_the_engine() {
    let (mut lab, engine, store, other) = lab();
    put(&mut lab, &store, &Person::new("ada", "x"));
    engine.hold();
    let one = store.clone();
    let slot = lab.start(async move {
        one.transact(|tx| match tx.get::<Person>("ada") {
            Some(_) => Err("there is an ada".to_owned()),
            None => Ok(()),
        })
        .await
    });
    lab.settle();
    lab.run(other.transact(|tx| tx.delete::<Person>("ada").map(drop)))
        .expect("it is there");
    engine.release();
    lab.settle();
    // When it was answered there was no ada any more, on any controller.
    assert!(take(&slot).expect("it is decided").is_ok());
}

#[test]
fn a_controller_that_missed_too_much_loads_everything_anew() {
    let mut lab = Lab::new();
    let memory = MemoryEngine::with_history(4);
    let options = lab.options();
    let opened = Store::open(Arc::new(memory.clone()), schema(), options);
    let (store, driver) = lab.run(opened).expect("it is empty");
    let mut watch = store.watch(Revision::ZERO);
    let other = lab.open(Arc::new(memory.clone()));
    for number in 0..10 {
        put(&mut lab, &other, &Person::new(&format!("p{number}"), "x"));
    }
    // Only now does the first controller get to run.
    lab.start(driver);
    let snapshot = lab.run(store.newest()).expect("it catches up");
    assert_eq!(
        (snapshot.count::<Person>(), snapshot.revision().number()),
        (10, 10)
    );
    let Some(WatchEvent::Gap(seen)) = lab.run(watch.next()) else {
        panic!("commits were missed")
    };
    assert_eq!(seen.count::<Person>(), 10);
    put(&mut lab, &other, &Person::new("late", "x"));
    let Some(WatchEvent::Commit(commit)) = lab.run(watch.next()) else {
        panic!("one commit")
    };
    assert_eq!(commit.revision, Revision::new(11));
}

#[test]
fn reading_the_newest_waits_for_what_others_have_committed() {
    let (mut lab, _engine, store, other) = lab();
    put(&mut lab, &other, &Person::new("ada", "x"));
    let snapshot = lab.run(store.newest()).expect("it catches up");
    assert!(snapshot.get::<Person>("ada").is_some());
    let reached = lab
        .run(store.reached(Revision::new(1)))
        .expect("it is there");
    assert!(reached.revision() >= Revision::new(1));
}

#[test]
fn one_controller_alone_leaves_out_the_fences() {
    for (memory, fences) in [(MemoryEngine::sole(), 0), (MemoryEngine::new(), 3)] {
        let mut lab = Lab::new();
        let store = lab.open(Arc::new(memory.clone()));
        lab.run(store.transact(|tx| tx.insert(Note::new("a", &["red", "blue"])).map(drop)))
            .expect("nothing is in the way");
        let loaded = lab.run(memory.load("f/")).expect("memory");
        assert_eq!(loaded.entries.len(), fences);
    }
}
