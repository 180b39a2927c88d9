//! Engines that do not answer.

use std::sync::Arc;

use super::scripted::{Lab, Script, Scripted, take};
use crate::engine::{CommitError, EngineError};
use crate::fixture::Person;
use crate::memory::MemoryEngine;
use crate::revision::Revision;
use crate::store::{Store, TransactError};
use crate::tx::{Tx, TxError};

fn lab(memory: MemoryEngine) -> (Lab, Arc<Scripted>, Store) {
    let mut lab = Lab::new();
    let engine = Scripted::new(memory);
    let store = lab.open(Arc::clone(&engine) as _);
    (lab, engine, store)
}

fn add(tx: &mut Tx<'_>) -> Result<(), TxError> {
    tx.insert(Person::new("ada", "lyon")).map(drop)
}

#[test]
fn an_answer_that_was_lost_is_looked_up() {
    for memory in [MemoryEngine::sole(), MemoryEngine::new()] {
        let (mut lab, engine, store) = lab(memory);
        engine.script([Script::DoneButUnknown]);
        engine.be_silent(3);
        let done = lab.run(store.transact(add)).expect("it was done");
        assert_eq!((done.revision, engine.asked().len()), (Revision::new(1), 1));
        assert_eq!(store.snapshot().count::<Person>(), 1);
    }
}

#[test]
fn a_request_that_was_lost_is_made_again_under_a_new_operation() {
    let (mut lab, engine, store) = lab(MemoryEngine::sole());
    engine.script([Script::LostAndUnknown, Script::LostAndUnknown]);
    let done = lab
        .run(store.transact(add))
        .expect("the third went through");
    assert_eq!(done.revision, Revision::new(1));
    let asked = engine.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked[0].operation.id != asked[1].operation.id);
}

#[test]
fn an_engine_that_refuses_for_long_did_nothing() {
    let (mut lab, engine, store) = lab(MemoryEngine::sole());
    let reason = "no route to the engine".to_owned();
    let refuse = || {
        Script::Refuse(CommitError::Unavailable {
            reason: reason.clone(),
        })
    };
    engine.script((0..8).map(|_| refuse()));
    assert_eq!(
        lab.run(store.transact(add)),
        Err(TransactError::Unavailable {
            reason: reason.clone()
        })
    );
    lab.run(store.transact(add))
        .expect("it is back, and there is no ada");
}

/// Makes the outcome of a transaction unknown to its caller.
fn doubt(lab: &mut Lab, engine: &Scripted, store: &Store, done: bool) -> crate::Operation {
    engine.script([if done {
        Script::DoneButUnknown
    } else {
        Script::LostAndUnknown
    }]);
    engine.be_silent(u32::MAX);
    let doubtful = store.clone();
    let slot = lab.start(async move { doubtful.transact(add).await });
    // The driver would ask for ever: let it do so for a while.
    lab.pass(20);
    match take(&slot) {
        Some(Err(TransactError::Unknown { operation })) => operation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_engine_that_stays_silent_leaves_the_caller_with_the_operation() {
    for (done, count) in [(true, 1), (false, 0)] {
        let (mut lab, engine, store) = lab(MemoryEngine::sole());
        let operation = doubt(&mut lab, &engine, &store, done);
        assert_eq!(engine.asked().len(), 1, "it is not proposed again");

        // Meanwhile nothing that could depend on it is done, and what is shown is true.
        let refused = lab.run(store.transact(add));
        assert!(
            matches!(refused, Err(TransactError::Unavailable { .. })),
            "{refused:?}"
        );
        assert_eq!(store.snapshot().count::<Person>(), 0);
        let unknown = lab.run(store.outcome(&operation));
        assert!(
            matches!(unknown, Err(EngineError::Unavailable { .. })),
            "{unknown:?}"
        );

        engine.be_silent(0);
        let outcome = lab
            .run(store.outcome(&operation))
            .expect("the engine speaks again");
        assert_eq!(outcome.is_some(), done);
        lab.pass(20);
        assert_eq!(store.snapshot().count::<Person>(), count);
        assert_eq!(
            engine.asked().len(),
            1,
            "what was said not to happen does not happen"
        );
        let again = lab.run(store.transact(add));
        assert_eq!(again.is_err(), done, "{again:?}");
    }
}

#[test]
fn closing_does_not_wait_for_an_engine_that_stays_silent() {
    let (mut lab, engine, store) = lab(MemoryEngine::sole());
    doubt(&mut lab, &engine, &store, true);
    let waiting = store.clone();
    let slot = lab.start(async move { waiting.reached(Revision::new(99)).await });
    lab.settle();
    store.close();
    lab.settle();
    assert!(take(&slot).expect("the driver has ended").is_err());
    let refused = lab.run(store.transact(add));
    assert!(
        matches!(refused, Err(TransactError::Closed { .. })),
        "{refused:?}"
    );
}
