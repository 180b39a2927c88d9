//! Watches of a store.

use std::sync::Arc;

use futures::stream::StreamExt;

use super::scripted::Lab;
use crate::change::WatchEvent;
use crate::fixture::{Note, Person, schema};
use crate::memory::MemoryEngine;
use crate::revision::Revision;
use crate::store::Store;
use crate::tx::TxError;

fn lab(changes_max: usize) -> (Lab, Store) {
    let mut lab = Lab::new();
    let options = lab.options().log_changes_max(changes_max);
    let opened = Store::open(Arc::new(MemoryEngine::sole()), schema(), options);
    let (store, driver) = lab.run(opened).expect("it is empty");
    lab.start(driver);
    (lab, store)
}

fn put(lab: &mut Lab, store: &Store, name: &str, balance: i64) -> Revision {
    let person = Person::new(name, "x").with(balance);
    let done = lab.run(store.transact(|tx| tx.put(person.clone()).map(drop)));
    done.expect("nothing is in the way").revision
}

#[test]
fn a_watch_tells_what_each_record_was_and_is() {
    let (mut lab, store) = lab(1000);
    put(&mut lab, &store, "ada", 1);
    let mut watch = store.watch(store.snapshot().revision());
    lab.run(store.transact(|tx| -> Result<(), TxError> {
        tx.update(Person::new("ada", "x").with(2))?;
        tx.update(Person::new("ada", "x").with(3))?;
        tx.insert(Note::new("n", &[]))?;
        tx.insert(Note::new("never", &[]))?;
        tx.delete::<Note>("never")?;
        Ok(())
    }))
    .expect("nothing is in the way");
    let Some(WatchEvent::Commit(commit)) = lab.run(watch.next()) else {
        panic!("one commit")
    };
    assert_eq!(
        format!("{:?}", commit.changes),
        "[insert server_group n, update user ada]"
    );
    let ada = &commit.changes[1];
    let balances = (ada.before::<Person>(), ada.after::<Person>());
    assert_eq!(
        (balances.0.map(|p| p.balance), balances.1.map(|p| p.balance)),
        (Some(1), Some(3))
    );
    assert!(ada.after::<Note>().is_none(), "of another type");
    assert_eq!(watch.seen(), store.snapshot().revision());
}

#[test]
fn a_watcher_that_is_too_slow_gets_a_snapshot_and_goes_on() {
    let (mut lab, store) = lab(5);
    let mut watch = store.watch(Revision::ZERO);
    for number in 0..20 {
        put(&mut lab, &store, "ada", number);
    }
    let Some(WatchEvent::Gap(snapshot)) = lab.run(watch.next()) else {
        panic!("it is too late")
    };
    assert_eq!(snapshot.get::<Person>("ada").map(|p| p.balance), Some(19));
    let next = put(&mut lab, &store, "ada", 20);
    let Some(WatchEvent::Commit(commit)) = lab.run(watch.next()) else {
        panic!("one commit")
    };
    assert_eq!(commit.revision, next);
}

#[test]
fn a_watcher_within_the_bound_misses_nothing() {
    let (mut lab, store) = lab(5);
    for number in 0..20 {
        put(&mut lab, &store, "ada", number);
    }
    let mut watch = store.watch(Revision::new(15));
    for number in 16..=20 {
        let Some(WatchEvent::Commit(commit)) = lab.run(watch.next()) else {
            panic!("five commits")
        };
        assert_eq!(commit.revision, Revision::new(number));
    }
}

#[test]
fn a_watcher_from_another_history_starts_again() {
    let (mut lab, store) = lab(1000);
    put(&mut lab, &store, "ada", 1);
    let mut watch = store.watch(Revision::new(77));
    let Some(WatchEvent::Gap(snapshot)) = lab.run(watch.next()) else {
        panic!("a gap")
    };
    assert_eq!(snapshot.revision(), Revision::new(1));
}
