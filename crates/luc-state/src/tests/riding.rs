//! What rides on a handle: in the same commit, or nothing at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::scripted::{Lab, Script, Scripted};
use crate::engine::CommitError;
use crate::fixture::{Note, Person};
use crate::kinds::Kind;
use crate::memory::MemoryEngine;
use crate::revision::Revision;
use crate::rider::{Rider, Touched};
use crate::store::TransactError;
use crate::tx::{Tx, TxError};

/// Writes down what was written, under one id.
#[derive(Default)]
struct Scribe(AtomicU32);

impl Rider for Scribe {
    fn ride(&self, tx: &mut Tx<'_>, written: &[Touched]) -> Result<(), TxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let names: Vec<_> = written
            .iter()
            .map(|(kind, id)| format!("{kind} {id}"))
            .collect();
        let words: Vec<_> = names.iter().map(String::as_str).collect();
        tx.insert(Note::new("rode", &words)).map(drop)
    }
}

fn pair(tx: &mut Tx<'_>) -> Result<(), TxError> {
    tx.insert(Person::new("grace", "x"))?;
    tx.insert(Person::new("ada", "x"))?;
    tx.update(Person::new("ada", "y"))?;
    Ok(())
}

#[test]
fn what_rides_is_in_the_same_commit() {
    let mut lab = Lab::new();
    let store = lab.open(Arc::new(MemoryEngine::new()));
    let riding = store.riding(Arc::new(Scribe::default()));
    let done = lab.run(riding.transact(pair)).expect("nothing is wrong");
    let note = store.snapshot().get::<Note>("rode").expect("it rode");
    assert_eq!(note.words, ["user ada", "user grace"], "each once");
    assert_eq!(note.revision(), Some(done.revision));
    assert_eq!(done.revision, Revision::new(1));
}

#[test]
fn nothing_rides_on_a_transaction_that_wrote_nothing_or_was_refused() {
    let mut lab = Lab::new();
    let store = lab.open(Arc::new(MemoryEngine::new()));
    let scribe = Arc::new(Scribe::default());
    let riding = store.riding(Arc::clone(&scribe) as Arc<dyn Rider>);
    lab.run(riding.transact(|tx| Ok::<_, TxError>(tx.count::<Person>())))
        .expect("it only reads");
    let refused = lab.run(riding.transact(|tx| {
        pair(tx)?;
        tx.delete::<Note>("nowhere").map(drop)
    }));
    assert!(matches!(refused, Err(TransactError::Refused(_))));
    assert_eq!(scribe.0.load(Ordering::Relaxed), 0);
}

#[test]
fn a_rider_that_cannot_be_written_undoes_the_transaction() {
    let mut lab = Lab::new();
    let store = lab.open(Arc::new(MemoryEngine::new()));
    lab.run(store.transact(|tx| tx.insert(Note::new("rode", &[])).map(drop)))
        .expect("the handle has no rider");
    let riding = store.riding(Arc::new(Scribe::default()));
    let refused = lab.run(riding.transact(pair));
    let (kind, id) = (Kind::ServerGroup, "rode".to_owned());
    let expected = TransactError::Rider(TxError::Exists { kind, id });
    assert_eq!(refused, Err(expected));
    let snapshot = store.snapshot();
    assert_eq!(snapshot.revision(), Revision::new(1));
    assert_eq!(snapshot.count::<Person>(), 0);
}

#[test]
fn what_is_run_again_after_a_conflict_rides_again_and_once() {
    let mut lab = Lab::new();
    let engine = Scripted::new(MemoryEngine::new());
    let conflict = CommitError::Conflict {
        key: String::new(),
        revision: Revision::ZERO,
    };
    engine.script([Script::Refuse(conflict)]);
    let store = lab.open(engine);
    let scribe = Arc::new(Scribe::default());
    let riding = store.riding(Arc::clone(&scribe) as Arc<dyn Rider>);
    lab.run(riding.transact(pair))
        .expect("the second run holds");
    assert_eq!(scribe.0.load(Ordering::Relaxed), 2);
    assert_eq!(store.snapshot().count::<Note>(), 1);
}
