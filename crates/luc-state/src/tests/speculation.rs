//! Transactions on data that is not durable yet.

use std::sync::Arc;

use super::scripted::{Lab, Script, Scripted, take};
use crate::engine::CommitError;
use crate::fixture::{Note, Person};
use crate::key::key;
use crate::memory::MemoryEngine;
use crate::store::{Store, TransactError};
use crate::tx::{Tx, TxError};

fn lab() -> (Lab, Arc<Scripted>, Store) {
    let mut lab = Lab::new();
    let engine = Scripted::new(MemoryEngine::sole());
    let store = lab.open(Arc::clone(&engine) as _);
    (lab, engine, store)
}

fn add(name: &'static str) -> impl Fn(&mut Tx<'_>) -> Result<(), TxError> {
    move |tx| tx.insert(Person::new(name, "lyon")).map(drop)
}

#[test]
fn the_next_transaction_sees_what_no_snapshot_shows_yet() {
    let (mut lab, engine, store) = lab();
    engine.hold();
    let (one, two) = (store.clone(), store.clone());
    let first = lab.start(async move { one.transact(add("ada")).await });
    lab.settle();
    let second = lab.start(async move {
        two.transact(|tx| -> Result<_, TxError> {
            let ada = tx.get::<Person>("ada").expect("it was inserted before");
            assert_eq!(ada.revision(), None);
            tx.update(ada.value().clone().with(7))?;
            Ok(tx.find(&Person::BY_TOWN, &key(&["lyon"])).len())
        })
        .await
    });
    lab.settle();
    assert_eq!(store.snapshot().count::<Person>(), 0);
    assert!(take(&first).is_none() && take(&second).is_none());

    engine.release();
    lab.settle();
    let first = take(&first)
        .expect("it is durable")
        .expect("nothing was in the way");
    let second = take(&second)
        .expect("it is durable")
        .expect("nothing was in the way");
    assert_eq!((second.value, second.revision), (1, first.revision.next()));
    let ada = store
        .snapshot()
        .get::<Person>("ada")
        .expect("it is durable");
    assert_eq!((ada.balance, ada.revision()), (7, Some(second.revision)));
}

#[test]
fn five_hundred_transactions_over_one_record_share_a_few_commits() {
    let (mut lab, engine, store) = lab();
    engine.hold();
    let slots: Vec<_> = (0..500)
        .map(|number: usize| {
            let store = store.clone();
            if number == 1 {
                lab.settle();
            }
            lab.start(async move {
                store
                    .transact(|tx| -> Result<i64, TxError> {
                        let used = tx.get::<Person>("quota").map_or(0, |quota| quota.balance);
                        tx.put(Person::new("quota", "x").with(used + 1))?;
                        tx.insert(Note::new(&format!("n{number:03}"), &["new"]))?;
                        Ok(used)
                    })
                    .await
            })
        })
        .collect();
    lab.settle();
    engine.release();
    lab.settle();
    for (number, slot) in slots.iter().enumerate() {
        let committed = take(slot)
            .expect("all are durable")
            .expect("none conflicts");
        assert_eq!(committed.value, number as i64);
    }
    assert_eq!(
        engine.asked().len(),
        2,
        "one went alone, the rest gathered behind it"
    );
    let snapshot = store.snapshot();
    assert_eq!(snapshot.find(&Note::BY_WORD, &key(&["new"])).count(), 500);
    assert_eq!(
        snapshot.get::<Person>("quota").map(|quota| quota.balance),
        Some(500)
    );
}

#[test]
fn a_group_takes_no_more_than_the_engine_does() {
    let (mut lab, engine, store) = lab();
    engine.hold();
    let slots: Vec<_> = (0..30)
        .map(|number| {
            let store = store.clone();
            lab.start(async move {
                store
                    .transact(|tx| -> Result<(), TxError> {
                        (0..500).try_for_each(|note| {
                            tx.insert(Note::new(&format!("{number}-{note}"), &[]))
                                .map(drop)
                        })
                    })
                    .await
            })
        })
        .collect();
    lab.settle();
    engine.release();
    lab.settle();
    assert!(
        slots
            .iter()
            .all(|slot| take(slot).expect("all are durable").is_ok())
    );
    let keys =
        |proposal: &crate::engine::Proposal| proposal.batch.len().max(proposal.expectations.len());
    assert!(
        engine
            .asked()
            .iter()
            .all(|proposal| keys(proposal) <= 10_000)
    );
    assert!(
        engine.asked().len() > 2,
        "15 000 records do not fit into two proposals"
    );
    assert_eq!(store.snapshot().count::<Note>(), 15_000);
}

#[test]
fn a_refusal_waits_until_what_it_saw_is_durable() {
    let (mut lab, engine, store) = lab();
    engine.hold();
    let (one, two) = (store.clone(), store.clone());
    let first = lab.start(async move { one.transact(add("ada")).await });
    lab.settle();
    let second = lab.start(async move { two.transact(add("ada")).await });
    lab.settle();
    assert!(
        take(&second).is_none(),
        "nobody may hear of what may never have happened"
    );
    engine.release();
    lab.settle();
    take(&first).expect("it is durable").expect("it was first");
    let refused = take(&second)
        .expect("it is durable")
        .expect_err("it was second");
    assert!(
        matches!(refused, TransactError::Refused(TxError::Exists { .. })),
        "{refused}"
    );
}

#[test]
fn a_refusal_over_something_that_did_not_happen_is_run_again() {
    let (mut lab, engine, store) = lab();
    let refusal = || {
        Script::Refuse(CommitError::Unavailable {
            reason: "the disk is full".to_owned(),
        })
    };
    engine.hold();
    engine.script((0..8).map(|_| refusal()));
    let (one, two) = (store.clone(), store.clone());
    let first = lab.start(async move { one.transact(add("ada")).await });
    lab.settle();
    let second = lab.start(async move { two.transact(add("ada")).await });
    lab.settle();
    engine.release();
    lab.pass(20);
    let refused = take(&first)
        .expect("it is decided")
        .expect_err("the disk is full");
    assert!(matches!(&refused, TransactError::Unavailable { reason } if reason.contains("full")));
    take(&second)
        .expect("it is durable")
        .expect("there was no ada after all");
    assert_eq!(store.snapshot().count::<Person>(), 1);
}

#[test]
fn a_transaction_that_wrote_nothing_in_the_end_makes_no_commit() {
    let (mut lab, engine, store) = lab();
    lab.run(store.transact(add("ada")))
        .expect("nothing is in the way");
    let before = store.snapshot().revision();
    let done = lab.run(store.transact(|tx| -> Result<(), TxError> {
        tx.insert(Person::new("bob", "lyon"))?;
        tx.delete::<Person>("bob")?;
        tx.get::<Person>("ada").expect("it is there");
        Ok(())
    }));
    assert_eq!(done.expect("nothing is in the way").revision, before);
    assert_eq!(
        (engine.asked().len(), store.snapshot().revision()),
        (1, before)
    );
}

#[test]
fn names_can_be_exchanged_within_a_transaction() {
    let (mut lab, _engine, store) = lab();
    lab.run(store.transact(|tx| {
        tx.insert(Person::new("ada", "lyon"))?;
        tx.insert(Person::new("bob", "lyon")).map(drop)
    }))
    .expect("nothing is in the way");
    lab.run(store.transact(|tx| -> Result<(), TxError> {
        let named = |id: &str, name: &str| Person {
            id: id.to_owned(),
            ..Person::new(name, "rome")
        };
        let taken = tx.update(named("ada", "bob"));
        assert!(
            matches!(taken, Err(TxError::Duplicate { index: "name", .. })),
            "{taken:?}"
        );
        tx.update(named("ada", "interim"))?;
        tx.update(named("bob", "ada"))?;
        tx.update(named("ada", "bob"))?;
        Ok(())
    }))
    .expect("no name is given twice");
    let snapshot = store.snapshot();
    let holder = |name| {
        let holder = snapshot.one(&Person::BY_NAME, &key(&["default", name]));
        holder.map(|person| person.id.clone())
    };
    assert_eq!(holder("ada").as_deref(), Some("bob"));
    assert_eq!(holder("bob").as_deref(), Some("ada"));
    assert_eq!(holder("interim"), None);
    assert_eq!(snapshot.find(&Person::BY_TOWN, &key(&["lyon"])).count(), 0);
}

#[test]
fn bad_records_are_refused_by_name() {
    let (mut lab, _engine, store) = lab();
    let refused = |result: Result<_, TransactError<TxError>>| match result {
        Err(TransactError::Refused(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let nameless = Person {
        id: String::new(),
        ..Person::new("x", "y")
    };
    let error = refused(lab.run(store.transact(|tx| tx.insert(nameless.clone()).map(drop))));
    assert_eq!(
        error,
        "a user cannot have an id of 0 bytes: 1 to 2048 are possible"
    );
    let error = refused(lab.run(store.transact(|tx| tx.update(Person::new("x", "y")).map(drop))));
    assert_eq!(error, "there is no user 'x'");
    let error = refused(lab.run(store.transact(|tx| {
        tx.insert(Person::new("x", "y"))?;
        tx.insert(Person {
            id: "z".to_owned(),
            ..Person::new("x", "y")
        })
        .map(drop)
    })));
    assert_eq!(error, "the name 'default/x' belongs to another user");
    assert_eq!(store.snapshot().count::<Person>(), 0);
}
