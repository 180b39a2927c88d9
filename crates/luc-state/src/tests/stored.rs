//! The stored form: golden files, newer releases, damage.

use std::sync::Arc;

use luc_core::SitePrefix;
use luc_core::id::{DomainId, OpId, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scripted::Lab;
use crate::driver::describe;
use crate::engine::{Engine, Mutation, Operation, Proposal};
use crate::fixture::{Note, Person, schema};
use crate::kinds::Kind;
use crate::load::Repair;
use crate::memory::MemoryEngine;
use crate::record::{Index, Record};
use crate::revision::Revision;
use crate::schema::Schema;
use crate::scope::Scope;
use crate::store::{OpenError, Store};
use crate::{IndexKey, key};

/// The record of all golden files; like a real one it has nested values and an optional field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Golden {
    id: String,
    project: ProjectId,
    size: Size,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Size {
    vcpus: u32,
    memory_mib: u64,
}

impl Record for Golden {
    const KIND: Kind = Kind::Server;
    const INDEXES: &'static [Index<Self>] = &[Index::unique("slot", |golden| {
        vec![key(&[golden.project.as_str(), "1/2"])]
    })];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Project(self.project.clone())
    }
}

fn golden() -> Golden {
    Golden {
        id: "0191a2b3-c4d5-8e6f-8a0b-1c2d3e4f5061".to_owned(),
        project: ProjectId::parse("demo").expect("an id"),
        size: Size {
            vcpus: 2,
            memory_mib: 2048,
        },
        note: None,
    }
}

/// An engine that holds these entries.
fn engine(lab: &mut Lab, entries: &[(&str, &str)]) -> MemoryEngine {
    let memory = MemoryEngine::sole();
    let put = |&(key, value): &(&str, &str)| Mutation::Put {
        key: key.to_owned(),
        value: value.as_bytes().into(),
    };
    let id = OpId::parse("test").expect("an id");
    let proposal = Proposal {
        operation: Operation {
            id,
            base: Revision::ZERO,
        },
        expectations: Vec::new(),
        batch: entries.iter().map(put).collect(),
    };
    lab.run(memory.commit(proposal))
        .expect("nothing is in the way");
    memory
}

fn entries(lab: &mut Lab, memory: &MemoryEngine) -> Vec<(String, Value)> {
    let loaded = lab.run(memory.load("")).expect("memory");
    let entry = |entry: crate::engine::Entry| {
        (
            entry.key,
            serde_json::from_slice(&entry.value).expect("JSON"),
        )
    };
    loaded.entries.into_iter().map(entry).collect()
}

fn open(lab: &mut Lab, memory: &MemoryEngine, schema: Schema) -> Result<Store, OpenError> {
    lab.try_open(Arc::new(memory.clone()), schema)
}

#[test]
fn records_and_claims_are_stored_as_the_golden_files_of_format_1_say() {
    let mut lab = Lab::new();
    let memory = MemoryEngine::sole();
    let store = open(&mut lab, &memory, Schema::new().table::<Golden>()).expect("it is empty");
    lab.run(store.transact(|tx| tx.insert(golden()).map(drop)))
        .expect("nothing is in the way");
    let [record, claim] = &entries(&mut lab, &memory)[..] else {
        panic!("a record and a claim")
    };
    let file: Value = serde_json::from_str(include_str!("../../golden/record-1.json"))
        .expect("the golden file is JSON");
    assert_eq!(
        *record,
        (
            "r/server/0191a2b3-c4d5-8e6f-8a0b-1c2d3e4f5061".to_owned(),
            file
        )
    );
    let file: Value = serde_json::from_str(include_str!("../../golden/claim-1.json"))
        .expect("the golden file is JSON");
    assert_eq!(*claim, ("u/server/slot/demo/1%2f2".to_owned(), file));
}

#[test]
fn the_golden_files_of_format_1_are_read() {
    let mut lab = Lab::new();
    let memory = engine(
        &mut lab,
        &[
            (
                "r/server/0191a2b3-c4d5-8e6f-8a0b-1c2d3e4f5061",
                include_str!("../../golden/record-1.json"),
            ),
            (
                "u/server/slot/demo/1%2f2",
                include_str!("../../golden/claim-1.json"),
            ),
        ],
    );
    let store = open(&mut lab, &memory, Schema::new().table::<Golden>()).expect("it is read");
    assert_eq!(store.repairs(), []);
    let snapshot = store.snapshot();
    let record = snapshot.get::<Golden>(golden().id).expect("it is there");
    assert_eq!(*record.value(), golden());
    assert_eq!(record.home(), SitePrefix::from_bytes([0xab; 6]));
    assert_eq!(
        (record.epoch(), record.revision()),
        (0, Some(Revision::new(1)))
    );
    assert_eq!(
        *record.scope(),
        Scope::Project(ProjectId::parse("demo").expect("an id"))
    );
}

#[test]
fn what_a_newer_release_added_survives_a_rewrite() {
    let mut lab = Lab::new();
    let newer = include_str!("../../golden/record-1-from-a-newer-release.json");
    let key = "r/server/0191a2b3-c4d5-8e6f-8a0b-1c2d3e4f5061";
    let memory = engine(&mut lab, &[(key, newer)]);
    let (home, schema) = (
        SitePrefix::from_bytes([0xcd; 6]),
        Schema::new().table::<Golden>(),
    );
    let store = lab.try_open_at(home, Arc::new(memory.clone()), schema);
    let store = store.expect("it is read");
    let id = golden().id;
    lab.run(store.transact(|tx| {
        let mut record = tx.get::<Golden>(&id).expect("it is there").value().clone();
        record.size.vcpus = 4;
        record.note = Some("resized".to_owned());
        tx.update(record).map(drop)
    }))
    .expect("nothing is in the way");
    let mut expected: Value = serde_json::from_str(newer).expect("JSON");
    expected["value"]["size"]["vcpus"] = json!(4);
    expected["value"]["note"] = json!("resized");
    let stored = entries(&mut lab, &memory);
    assert_eq!(stored[0].1, expected);
    assert_eq!(
        expected["schema"],
        json!(7),
        "the newer release's marker stays"
    );
    assert_eq!(expected["home"], json!("cdcdcdcdcdcd"), "and the home");
}

#[test]
fn damage_is_told_by_the_key_of_the_entry() {
    let good = include_str!("../../golden/record-1.json");
    let change = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let key = "r/server/0191a2b3-c4d5-8e6f-8a0b-1c2d3e4f5061";
    let cases = [
        (key, "{\"format\":1,".to_owned(), "EOF while parsing"),
        (key, "[]".to_owned(), "expected struct Marker"),
        (key, "{}".to_owned(), "missing field `format`"),
        (key, change("\"home\"", "\"hom\""), "missing field `home`"),
        (
            key,
            change("\"format\": 1", "\"format\": 2"),
            "has format 2; this release reads up to 1",
        ),
        (
            key,
            change("\"server\"", "\"volume\""),
            "is of kind 'volume', its key says 'server'",
        ),
        (
            key,
            change("abababababab", "abab"),
            "'abab' is not a site prefix",
        ),
        (
            key,
            change("2048", "\"much\""),
            "invalid type: string \"much\", expected u64",
        ),
        (
            "r/server/other",
            good.to_owned(),
            "061', its key says 'other'",
        ),
        (
            "u/server/slot/demo/1%2f2",
            "7".to_owned(),
            "invalid type: integer `7`",
        ),
    ];
    for (key, value, expected) in cases {
        let mut lab = Lab::new();
        let memory = engine(&mut lab, &[(key, &value)]);
        let error = open(&mut lab, &memory, Schema::new().table::<Golden>());
        let error = describe(&error.map(drop).expect_err(expected));
        let named = format!("cannot be read: the engine's entry '{key}' cannot be used: ");
        assert!(
            error.contains(&named) && error.contains(expected),
            "{error}\nnot: {expected}"
        );
    }
}

#[test]
fn two_records_with_one_unique_key_are_damage() {
    let mut lab = Lab::new();
    let first = include_str!("../../golden/record-1.json");
    let second = first.replace("0191a2b3", "0191a2b4");
    let memory = engine(
        &mut lab,
        &[
            ("r/server/0191a2b3-c4d5-8e6f-8a0b-1c2d3e4f5061", first),
            ("r/server/0191a2b4-c4d5-8e6f-8a0b-1c2d3e4f5061", &second),
        ],
    );
    let error = open(&mut lab, &memory, Schema::new().table::<Golden>()).map(drop);
    let error = describe(&error.expect_err("one key, two records"));
    assert!(error.contains("'r/server/0191a2b4-c4d5"), "{error}");
    assert!(
        error.contains("unique index 'slot', which belongs to '0191a2b3"),
        "{error}"
    );
}

#[test]
fn kinds_without_a_table_and_keys_of_newer_releases_are_left_alone() {
    let mut lab = Lab::new();
    let strange = [
        ("r/spaceship/1", "{}"),
        ("r/volume/1", "{\"x\":1}"),
        ("x/y", "2"),
    ];
    let memory = engine(&mut lab, &strange);
    let store = open(&mut lab, &memory, schema()).expect("nothing of ours is damaged");
    lab.run(store.transact(|tx| tx.insert(Note::new("n", &[])).map(drop)))
        .expect("free");
    let stored = entries(&mut lab, &memory);
    assert_eq!(stored.len(), 4);
    assert!(
        strange
            .iter()
            .all(|(key, _)| stored.iter().any(|(stored, _)| stored == key))
    );
}

/// The same people as the fixture's, in a release that has no index over names yet.
#[derive(Clone, Serialize, Deserialize)]
struct OldPerson(Person);

impl Record for OldPerson {
    const KIND: Kind = Kind::User;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        self.0.id()
    }

    fn scope(&self) -> Scope {
        Scope::Domain(DomainId::parse("default").expect("an id"))
    }
}

#[test]
fn claims_are_made_when_a_release_adds_a_unique_index() {
    let mut lab = Lab::new();
    let memory = MemoryEngine::sole();
    let old = open(&mut lab, &memory, Schema::new().table::<OldPerson>()).expect("it is empty");
    lab.run(old.transact(|tx| {
        tx.insert(OldPerson(Person::new("ada", "x")))?;
        tx.insert(OldPerson(Person::new("bob", "x"))).map(drop)
    }))
    .expect("nothing is in the way");
    drop(old);
    lab.settle();
    let new = open(&mut lab, &memory, schema()).expect("names differ");
    let added = |name: &str| Repair::Added {
        key: format!("u/user/name/default/{name}"),
    };
    assert_eq!(new.repairs(), [added("ada"), added("bob")]);
    let twice = Person {
        id: "eve".to_owned(),
        ..Person::new("ada", "x")
    };
    let refused = lab.run(new.transact(|tx| tx.insert(twice.clone()).map(drop)));
    assert!(refused.is_err());

    // The old release removes a record and knows nothing of its claim.
    drop(new);
    lab.settle();
    let old = open(&mut lab, &memory, Schema::new().table::<OldPerson>()).expect("it is read");
    lab.run(old.transact(|tx| tx.delete::<OldPerson>("ada").map(drop)))
        .expect("it is there");
    drop(old);
    lab.settle();
    let new = open(&mut lab, &memory, schema()).expect("it is put right");
    assert_eq!(
        new.repairs(),
        [Repair::Removed {
            key: "u/user/name/default/ada".to_owned()
        }]
    );
    lab.run(new.transact(|tx| tx.insert(twice.clone()).map(drop)))
        .expect("the name is free");
    drop(new);
    lab.settle();
    let again = open(&mut lab, &memory, schema()).expect("all is right");
    assert_eq!(again.repairs(), []);
}

#[test]
fn an_id_with_any_characters_finds_its_way() {
    let mut lab = Lab::new();
    let memory = MemoryEngine::new();
    let store = open(&mut lab, &memory, schema()).expect("it is empty");
    let ids = ["a/b", "a%2fb", "%", "ü ñ", "a\u{7}b", "r/user"];
    lab.run(store.transact(|tx| {
        ids.iter()
            .try_for_each(|id| tx.insert(Note::new(id, &[id])).map(drop))
    }))
    .expect("all differ");
    drop(store);
    lab.settle();
    let again = open(&mut lab, &memory, schema()).expect("it is read");
    let snapshot = again.snapshot();
    for id in ids {
        assert_eq!(
            snapshot
                .get::<Note>(id)
                .map(|note| note.id.clone())
                .as_deref(),
            Some(id)
        );
        let word: IndexKey = key(&[id]);
        assert_eq!(snapshot.find(&Note::BY_WORD, &word).count(), 1, "{id}");
    }
}
