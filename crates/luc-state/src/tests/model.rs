//! Transactions and indexes against a model that is plain to see.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::scripted::Lab;
use crate::fixture::Person;
use crate::key::key;
use crate::memory::MemoryEngine;
use crate::snapshot::Snapshot;
use crate::store::{Store, TransactError};
use crate::tx::{Tx, TxError};

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];
const NAMES: [&str; 4] = ["n0", "n1", "n2", "n3"];
const TOWNS: [&str; 3] = ["x", "x/y", ""];

#[derive(Clone, Debug)]
enum Step {
    Insert(Person),
    Update(Person),
    Put(Person),
    Delete(&'static str),
}

/// What a step says if it is refused.
#[derive(Clone, Debug, PartialEq)]
enum Refusal {
    Exists,
    Missing,
    Duplicate,
    /// The transaction gives up by itself.
    Abort,
}

impl From<TxError> for Refusal {
    fn from(error: TxError) -> Self {
        match error {
            TxError::Exists { .. } => Self::Exists,
            TxError::Missing { .. } => Self::Missing,
            TxError::Duplicate { .. } => Self::Duplicate,
            TxError::Scope { .. } | TxError::Id { .. } | TxError::Elsewhere { .. } => {
                panic!("{error}")
            }
        }
    }
}

type Model = BTreeMap<String, Person>;

#[derive(Clone, Debug)]
struct Transaction {
    steps: Vec<Step>,
    abort: bool,
    store: usize,
}

fn person() -> impl Strategy<Value = Person> {
    let parts = (prop::sample::select(&IDS), prop::sample::select(&NAMES));
    (parts, prop::sample::select(&TOWNS), 0..100i64).prop_map(|((id, name), town, balance)| {
        Person {
            id: id.to_owned(),
            ..Person::new(name, town).with(balance)
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => person().prop_map(Step::Insert),
        2 => person().prop_map(Step::Update),
        2 => person().prop_map(Step::Put),
        2 => prop::sample::select(&IDS).prop_map(Step::Delete),
    ]
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let steps = prop::collection::vec(step(), 1..6);
    (steps, prop::bool::weighted(0.15), 0..2usize).prop_map(|(steps, abort, store)| Transaction {
        steps,
        abort,
        store,
    })
}

/// The steps on the model: all of them or, with the refusal, none.
fn predict(model: &mut Model, transaction: &Transaction) -> Result<(), Refusal> {
    let mut next = model.clone();
    for step in &transaction.steps {
        let (person, there) = match step {
            Step::Delete(id) => {
                next.remove(*id).ok_or(Refusal::Missing)?;
                continue;
            }
            Step::Insert(person) | Step::Update(person) | Step::Put(person) => {
                (person, next.contains_key(&person.id))
            }
        };
        match step {
            Step::Insert(_) if there => return Err(Refusal::Exists),
            Step::Update(_) if !there => return Err(Refusal::Missing),
            _ => {}
        }
        if next
            .values()
            .any(|other| other.name == person.name && other.id != person.id)
        {
            return Err(Refusal::Duplicate);
        }
        next.insert(person.id.clone(), person.clone());
    }
    if transaction.abort {
        return Err(Refusal::Abort);
    }
    *model = next;
    Ok(())
}

/// The same steps on a store, which must see its own writes after each.
fn perform(tx: &mut Tx<'_>, transaction: &Transaction) -> Result<(), Refusal> {
    for step in &transaction.steps {
        match step {
            Step::Insert(person) => tx.insert(person.clone()).map(drop)?,
            Step::Update(person) => tx.update(person.clone()).map(drop)?,
            Step::Put(person) => tx.put(person.clone()).map(drop)?,
            Step::Delete(id) => tx.delete::<Person>(id).map(drop)?,
        }
        let all = tx.all::<Person>();
        for name in NAMES {
            let named = tx.one(&Person::BY_NAME, &key(&["default", name]));
            let expected = all.iter().find(|person| person.name == name);
            assert_eq!(named.map(|p| p.id.clone()), expected.map(|p| p.id.clone()));
        }
        for town in TOWNS {
            let found = tx.find(&Person::BY_TOWN, &key(&[town]));
            let ids: Vec<_> = found.iter().map(|person| person.id.clone()).collect();
            let expected = all.iter().filter(|person| person.town == town);
            assert_eq!(
                ids,
                expected.map(|person| person.id.clone()).collect::<Vec<_>>()
            );
        }
    }
    if transaction.abort {
        Err(Refusal::Abort)
    } else {
        Ok(())
    }
}

fn assert_same(snapshot: &Snapshot, model: &Model) {
    let all: Vec<Person> = snapshot
        .all::<Person>()
        .map(|p| p.value().clone())
        .collect();
    assert_eq!(all, model.values().cloned().collect::<Vec<_>>());
    assert_eq!(snapshot.count::<Person>(), model.len());
    for id in IDS {
        let got = snapshot
            .get::<Person>(id)
            .map(|person| person.value().clone());
        assert_eq!(got.as_ref(), model.get(id));
    }
    for name in NAMES {
        let got = snapshot
            .one(&Person::BY_NAME, &key(&["default", name]))
            .map(|p| p.id.clone());
        let expected = model.values().find(|person| person.name == name);
        assert_eq!(got.as_ref(), expected.map(|person| &person.id));
    }
    for town in TOWNS {
        let place = key(&[town]);
        let got: Vec<_> = snapshot
            .find(&Person::BY_TOWN, &place)
            .map(|p| p.id.clone())
            .collect();
        let expected: Vec<_> = model
            .values()
            .filter(|p| p.town == town)
            .map(|p| p.id.clone())
            .collect();
        assert_eq!(snapshot.count_of(&Person::BY_TOWN, &place), expected.len());
        assert_eq!(got, expected);
    }
}

/// Runs the transactions one after the other, on one store or on two that take turns.
fn check(engine: &MemoryEngine, controllers: usize, transactions: &[Transaction]) {
    let mut lab = Lab::new();
    let stores: Vec<Store> = (0..controllers)
        .map(|_| lab.open(Arc::new(engine.clone())))
        .collect();
    let mut model = Model::new();
    let mut kept = Vec::new();
    for transaction in transactions {
        let store = &stores[transaction.store % controllers];
        let predicted = predict(&mut model, transaction);
        let performed = lab.run(store.transact(|tx| perform(tx, transaction)));
        let performed = performed.map(drop).map_err(|error| match error {
            TransactError::Refused(refusal) => refusal,
            other => panic!("{other}"),
        });
        assert_eq!(performed, predicted);
        for store in &stores {
            let snapshot = lab.run(store.newest()).expect("the engine is there");
            assert_same(&snapshot, &model);
            kept.push((snapshot, model.clone()));
        }
    }
    for (snapshot, model) in &kept {
        assert_same(snapshot, model);
    }
    drop(stores);
    lab.settle();
    let again = lab.open(Arc::new(engine.clone()));
    assert_same(&again.snapshot(), &model);
    assert_eq!(again.repairs(), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn one_controller_does_what_the_model_says(
        transactions in prop::collection::vec(transaction(), 1..20)
    ) {
        check(&MemoryEngine::sole(), 1, &transactions);
    }

    #[test]
    fn two_controllers_do_what_the_model_says(
        transactions in prop::collection::vec(transaction(), 1..20)
    ) {
        check(&MemoryEngine::new(), 2, &transactions);
    }
}
