//! Who may write a record: its home, which for a new one follows from the table of kinds.

use std::sync::Arc;

use luc_core::SitePrefix;
use luc_core::id::DomainId;

use super::scripted::{Lab, site};
use crate::fixture::{Note, Person, Realm, Size, schema};
use crate::kinds::Kind;
use crate::memory::MemoryEngine;
use crate::store::{Store, TransactError};
use crate::tx::{Tx, TxError};

const OTHER: SitePrefix = SitePrefix::from_bytes([0xcd; 6]);

fn realm() -> Realm {
    Realm {
        id: DomainId::parse("default").expect("an id"),
    }
}

/// A store of another site that finds what the first has written.
fn elsewhere(lab: &mut Lab, write: fn(&mut Tx<'_>) -> Result<(), TxError>) -> Store {
    let engine = MemoryEngine::new();
    let schema = schema().table::<Realm>().table::<Size>();
    let store = lab.try_open(Arc::new(engine.clone()), schema.clone());
    let store = store.expect("it is empty");
    lab.run(store.transact(write))
        .expect("nothing is in the way");
    let other = lab.try_open_at(OTHER, Arc::new(engine), schema);
    other.expect("it can be read")
}

fn refused(
    lab: &mut Lab,
    store: &Store,
    write: impl FnMut(&mut Tx<'_>) -> Result<(), TxError>,
) -> TxError {
    let before = store.snapshot().revision();
    let refused = match lab.run(store.transact(write)) {
        Err(TransactError::Refused(refused)) => refused,
        other => panic!("it should be refused: {other:?}"),
    };
    assert_eq!(store.snapshot().revision(), before, "nothing is changed");
    refused
}

fn of(kind: Kind, id: &str) -> TxError {
    let (id, home) = (id.to_owned(), site());
    TxError::Elsewhere { kind, id, home }
}

#[test]
fn a_record_is_written_by_its_home_alone() {
    let mut lab = Lab::new();
    let store = elsewhere(&mut lab, |tx| tx.insert(Note::new("n", &[])).map(drop));
    let note = Note::new("n", &["x"]);
    for error in [
        refused(&mut lab, &store, |tx| tx.update(note.clone()).map(drop)),
        refused(&mut lab, &store, |tx| tx.put(note.clone()).map(drop)),
        refused(&mut lab, &store, |tx| tx.delete::<Note>("n").map(drop)),
    ] {
        assert_eq!(error, of(Kind::ServerGroup, "n"));
    }
    let taken = refused(&mut lab, &store, |tx| tx.insert(note.clone()).map(drop));
    assert!(matches!(taken, TxError::Exists { .. }), "{taken}");
}

#[test]
fn what_belongs_to_a_domain_is_made_where_the_domain_lives() {
    let mut lab = Lab::new();
    let store = elsewhere(&mut lab, |tx| tx.insert(realm()).map(drop));
    let ada = Person::new("ada", "x");
    let error = refused(&mut lab, &store, |tx| tx.insert(ada.clone()).map(drop));
    assert_eq!(error, of(Kind::User, "ada"));
    let error = refused(&mut lab, &store, |tx| tx.put(ada.clone()).map(drop));
    assert_eq!(error, of(Kind::User, "ada"));
}

#[test]
fn what_the_cloud_shares_is_made_where_the_default_domain_lives() {
    let mut lab = Lab::new();
    let store = elsewhere(&mut lab, |tx| tx.insert(realm()).map(drop));
    let size = Size {
        id: "m1.tiny".to_owned(),
    };
    let error = refused(&mut lab, &store, |tx| tx.insert(size.clone()).map(drop));
    assert_eq!(error, of(Kind::Flavor, "m1.tiny"));
}

#[test]
fn what_is_born_on_a_site_is_made_there_whatever_its_domain() {
    let mut lab = Lab::new();
    let store = elsewhere(&mut lab, |tx| tx.insert(realm()).map(drop));
    lab.run(store.transact(|tx| tx.insert(Note::new("n", &[])).map(drop)))
        .expect("its home is this site");
    let home = store.snapshot().get::<Note>("n").map(|note| note.home());
    assert_eq!(home, Some(OTHER));
}

#[test]
fn a_domain_made_in_the_same_transaction_counts() {
    let mut lab = Lab::new();
    let engine = Arc::new(MemoryEngine::sole());
    let store = lab
        .try_open(engine, schema().table::<Realm>())
        .expect("it is empty");
    lab.run(store.transact(|tx| -> Result<(), TxError> {
        tx.insert(realm())?;
        tx.insert(Person::new("ada", "x")).map(drop)
    }))
    .expect("both are at home here");
}
