//! What a follower does not take: nothing is changed then.

use std::collections::BTreeSet;

use luc_core::SitePrefix;
use luc_core::Uuid;
use luc_core::entropy::SplitMix64;
use luc_core::id::DomainId;
use serde_json::{Value, json};

use super::feeding::{AWAY, Disk, HOME, TRUSTED, open, projects, write};
use super::scripted::Lab;
use crate::feed::{
    ApplyError, Batch, BatchError, BatchRefused, Expectations, Follower, Misplaced, Withheld,
};
use crate::kinds::Kind;
use crate::memory::MemoryEngine;
use crate::store::Store;

const THIRD: SitePrefix = SitePrefix::from_bytes([0xc3; 6]);

/// A follower that has asked for project `p` and domain `default`, with nothing held.
struct Bench {
    lab: Lab,
    store: Store,
    follower: Follower,
}

impl Bench {
    fn new() -> Self {
        let mut lab = Lab::new();
        let store = open(&mut lab, AWAY, &MemoryEngine::sole());
        let mut follower = Follower::load(&store, HOME);
        let default = DomainId::parse("default").expect("an id");
        follower.want(projects(&["p"]), BTreeSet::from([default]));
        follower.hello();
        Self {
            lab,
            store,
            follower,
        }
    }

    fn apply(&mut self, batch: &Value, trusted: bool) -> Result<(), ApplyError> {
        let batch = Batch::decode(batch.to_string().as_bytes()).expect("its form is right");
        let done = self
            .follower
            .apply(&self.store, &batch, Expectations { trusted });
        self.lab.run(done).map(drop)
    }

    fn refused(&mut self, batch: &Value) -> BatchRefused {
        self.refused_of(batch, true)
    }

    fn refused_of(&mut self, batch: &Value, trusted: bool) -> BatchRefused {
        let before = (self.store.snapshot().revision(), self.follower.at());
        match self.apply(batch, trusted) {
            Err(ApplyError::Refused(refused)) => {
                let after = (self.store.snapshot().revision(), self.follower.at());
                assert_eq!(after, before, "nothing is changed");
                refused
            }
            other => panic!("it should be refused: {other:?}"),
        }
    }
}

fn batch(entries: &[Value]) -> Value {
    json!({
        "version": 1,
        "home": HOME,
        "from": {"epoch": 0, "revision": 0, "filter": 0},
        "to": {"epoch": 0, "revision": 5, "filter": 1},
        "reset": true,
        "entries": entries,
    })
}

fn put(kind: &str, id: &str, home: SitePrefix, scope: &Value, value: &Value) -> Value {
    let record = json!({
        "format": 1, "kind": kind, "schema": 1, "home": home, "epoch": 0,
        "scope": scope, "value": value,
    });
    json!({"put": {"kind": kind, "id": id, "record": record}})
}

fn disk(id: &str, home: SitePrefix, project: &str) -> Value {
    let value = json!({"id": id, "project": project, "slot": id, "size": 1});
    put("volume", id, home, &json!({"project": project}), &value)
}

fn person(id: &str) -> Value {
    let value = json!({"id": id, "name": id, "town": "x"});
    put("user", id, HOME, &json!({"domain": "default"}), &value)
}

fn realm(home: SitePrefix) -> Value {
    let scope = json!({"domain": "default"});
    put("domain", "default", home, &scope, &json!({"id": "default"}))
}

#[test]
fn batches_out_of_turn_are_refused() {
    let mut bench = Bench::new();
    let mut lost = batch(&[]);
    lost["from"]["revision"] = json!(3);
    let refused = bench.refused(&lost);
    assert!(
        matches!(refused, BatchRefused::OutOfTurn { .. }),
        "{refused}"
    );
    let mut part = batch(&[]);
    part["part"] = json!(1);
    let refused = bench.refused(&part);
    assert!(matches!(refused, BatchRefused::OutOfTurn { part: 1, .. }));
    bench
        .apply(&batch(&[disk("d", HOME, "p")]), true)
        .expect("the first");
    let again = bench.refused(&batch(&[disk("d", HOME, "p")]));
    assert!(matches!(again, BatchRefused::OutOfTurn { .. }), "{again}");
}

#[test]
fn a_batch_of_another_site_or_another_filter_is_refused() {
    let mut bench = Bench::new();
    let mut other = batch(&[]);
    other["home"] = json!(THIRD);
    assert_eq!(bench.refused(&other), BatchRefused::Site { found: THIRD });
    let mut unasked = batch(&[]);
    unasked["to"]["filter"] = json!(2);
    assert!(matches!(
        bench.refused(&unasked),
        BatchRefused::Target { .. }
    ));
}

#[test]
fn a_site_feeds_its_own_records_alone() {
    let mut bench = Bench::new();
    let refused = bench.refused(&batch(&[disk("d", THIRD, "p")]));
    assert!(matches!(refused, BatchRefused::NotOwn { home: THIRD, .. }));
}

#[test]
fn what_was_not_asked_for_or_belongs_to_a_site_is_refused() {
    let mut bench = Bench::new();
    let refused = bench.refused(&batch(&[disk("d", HOME, "q")]));
    assert!(matches!(refused, BatchRefused::Unasked { .. }), "{refused}");
    let value = json!({"id": "d", "project": "p", "slot": "d", "size": 1});
    let site = put("volume", "d", HOME, &json!("site"), &value);
    let refused = bench.refused(&batch(&[site]));
    assert!(
        matches!(refused, BatchRefused::Misplaced { .. }),
        "{refused}"
    );
    let cloud = put("volume", "d", HOME, &json!("cloud"), &value);
    let refused = bench.refused(&batch(&[cloud]));
    assert!(
        matches!(refused, BatchRefused::Misplaced { .. }),
        "{refused}"
    );
}

#[test]
fn what_belongs_to_a_domain_comes_from_the_domain_s_home() {
    let mut bench = Bench::new();
    let unknown = bench.refused(&batch(&[person("ada")]));
    let BatchRefused::Misplaced { reason, .. } = unknown else {
        panic!("{unknown}")
    };
    assert_eq!(reason, Misplaced::NoDomain("default".to_owned()));
    write(&mut bench.lab, &bench.store, |tx| {
        let id = DomainId::parse("default").expect("an id");
        tx.insert(crate::fixture::Realm { id }).map(drop)
    });
    let refused = bench.refused(&batch(&[person("ada")]));
    let BatchRefused::Misplaced { reason, .. } = refused else {
        panic!("{refused}")
    };
    assert!(matches!(reason, Misplaced::Domain { home: AWAY, .. }));
    let size = put("flavor", "x", HOME, &json!("cloud"), &json!({"id": "x"}));
    let refused = bench.refused(&batch(&[size]));
    assert!(
        matches!(refused, BatchRefused::Misplaced { .. }),
        "{refused}"
    );
}

#[test]
fn an_untrusted_site_cannot_be_the_home_of_the_default_domain() {
    let mut bench = Bench::new();
    let own = batch(&[realm(HOME), person("ada")]);
    assert_eq!(bench.refused_of(&own, false), BatchRefused::Untrusted);
    bench.apply(&own, true).expect("a trusted one can");
}

#[test]
fn no_other_site_becomes_the_home_of_the_default_domain() {
    let mut bench = Bench::new();
    write(&mut bench.lab, &bench.store, |tx| {
        let id = DomainId::parse("default").expect("an id");
        tx.insert(crate::fixture::Realm { id }).map(drop)
    });
    let (kind, id) = (Kind::Domain, "default".to_owned());
    let expected = BatchRefused::Foreign {
        kind,
        id,
        home: AWAY,
    };
    assert_eq!(bench.refused(&batch(&[realm(HOME)])), expected);
}

#[test]
fn an_edge_site_gives_domains_no_names_but_its_own() {
    let land = |name: &str| {
        let id = Uuid::born_at(HOME, &mut SplitMix64::new(7)).simple();
        let value = json!({"id": id, "name": name});
        put("domain", &id, HOME, &json!({"domain": id}), &value)
    };
    for name in ["acme", "", "lyons", "lyon-2", "lyon.", "Lyon", "x.lyon"] {
        let mut bench = Bench::new();
        bench.follower.confine("lyon".to_owned());
        let BatchRefused::Misplaced { kind, reason, .. } =
            bench.refused_of(&batch(&[land(name)]), false)
        else {
            panic!("misplaced");
        };
        assert_eq!(
            (kind, reason),
            (Kind::Domain, Misplaced::Name(name.to_owned()))
        );
        bench
            .apply(&batch(&[land(name)]), true)
            .expect("a trusted one can");
    }
    for name in ["lyon", "lyon.port"] {
        let mut bench = Bench::new();
        bench.follower.confine("lyon".to_owned());
        bench
            .apply(&batch(&[land(name)]), false)
            .expect("it is its own");
    }
}

#[test]
fn a_record_that_another_site_made_is_refused_unless_it_has_moved() {
    let mut bench = Bench::new();
    let id = Uuid::born_at(THIRD, &mut SplitMix64::new(1)).hyphenated();
    let mut entry = disk(&id, HOME, "p");
    let refused = bench.refused(&batch(&[entry.clone()]));
    assert!(matches!(
        refused,
        BatchRefused::Misplaced {
            reason: Misplaced::Birth(THIRD),
            ..
        }
    ));
    entry["put"]["record"]["epoch"] = json!(1);
    let untrusted = bench.refused_of(&batch(&[entry.clone()]), false);
    assert!(matches!(
        untrusted,
        BatchRefused::Misplaced {
            reason: Misplaced::Birth(THIRD),
            ..
        }
    ));
    bench.apply(&batch(&[entry]), true).expect("it has moved");
}

#[test]
fn a_record_that_is_held_with_another_home_is_never_overwritten() {
    let mut bench = Bench::new();
    write(&mut bench.lab, &bench.store, |tx| {
        tx.insert(Disk::new("d", "p", "s", 7)).map(drop)
    });
    let mut entry = disk("d", HOME, "p");
    entry["put"]["record"]["epoch"] = json!(9);
    let mut taken = disk("e", HOME, "p");
    taken["put"]["record"]["value"]["slot"] = json!("s");
    let mine = |bench: &Bench| {
        bench
            .store
            .snapshot()
            .get::<Disk>("d")
            .map(|disk| disk.size)
    };
    bench
        .apply(&batch(&[entry, taken]), true)
        .expect("the feed goes on");
    assert_eq!(mine(&bench), Some(7));
    let aside: Vec<_> = bench.store.snapshot().all::<Withheld>().collect();
    let aside: Vec<_> = aside.iter().map(|aside| aside.record.as_str()).collect();
    assert_eq!(aside, ["d", "e"]);
    let gone = json!({"gone": {"kind": "volume", "id": "d"}});
    let mut gone = batch(&[gone]);
    gone["reset"] = json!(false);
    gone["from"] = json!({"epoch": 0, "revision": 5, "filter": 1});
    bench.apply(&gone, true).expect("it is not theirs");
    let disk = bench.store.snapshot().get::<Disk>("d");
    assert_eq!(disk.map(|disk| disk.size), Some(7), "and stays");
}

#[test]
fn what_cannot_be_read_or_is_too_much_is_refused() {
    let mut bench = Bench::new();
    let mut damaged = disk("d", HOME, "p");
    damaged["put"]["id"] = json!("e");
    let refused = bench.refused(&batch(&[damaged]));
    assert!(matches!(refused, BatchRefused::Record { .. }), "{refused}");
    let refused = bench.refused(&batch(&[disk("d", HOME, "p"), disk("d", HOME, "p")]));
    assert!(
        matches!(refused, BatchRefused::Repeated { .. }),
        "{refused}"
    );
    let mut huge = disk("d", HOME, "p");
    huge["put"]["record"]["value"]["slot"] = json!("x".repeat(crate::feed::RECORD_BYTES_MAX));
    let refused = bench.refused(&batch(&[huge]));
    assert!(matches!(refused, BatchRefused::Size { .. }), "{refused}");
    let many = vec![json!({"gone": {"kind": "x", "id": "y"}}); crate::feed::BATCH_ENTRIES_MAX + 1];
    let refused = bench.refused(&batch(&many));
    assert!(matches!(refused, BatchRefused::Entries { .. }), "{refused}");
}

#[test]
fn kinds_of_a_newer_release_are_remembered_and_no_end_of_kinds_is_not() {
    let kinds = |count: usize| -> Vec<Value> {
        let gone = |number| json!({"gone": {"kind": format!("kind_{number}"), "id": "x"}});
        (0..count).map(gone).collect()
    };
    let mut bench = Bench::new();
    assert_eq!(bench.refused(&batch(&kinds(1000))), BatchRefused::Kinds);
    let long = json!({"gone": {"kind": "k".repeat(65), "id": "x"}});
    assert_eq!(bench.refused(&batch(&[long])), BatchRefused::Kinds);
    bench.apply(&batch(&kinds(100)), true).expect("it is newer");
    let mut more = batch(&[]);
    let next =
        (100..140).map(|number| json!({"gone": {"kind": format!("kind_{number}"), "id": "x"}}));
    more["entries"] = next.collect();
    more["reset"] = json!(false);
    more["from"] = json!({"epoch": 0, "revision": 5, "filter": 1});
    more["to"] = json!({"epoch": 0, "revision": 6, "filter": 1});
    assert_eq!(bench.refused(&more), BatchRefused::Kinds);
}

#[test]
fn a_batch_of_a_newer_release_is_told_by_its_version() {
    let newer = json!({"version": 2, "whatever": []}).to_string();
    let error = Batch::decode(newer.as_bytes()).expect_err("it is newer");
    assert!(matches!(error, BatchError::Version { found: 2 }), "{error}");
}

#[test]
fn two_controllers_that_follow_one_home_do_not_mix() {
    let mut bench = Bench::new();
    let mut other = bench.follower.clone();
    let first = batch(&[disk("d", HOME, "p")]);
    bench.apply(&first, true).expect("the first");
    let batch = Batch::decode(first.to_string().as_bytes()).expect("a batch");
    let second = bench.lab.run(other.apply(&bench.store, &batch, TRUSTED));
    assert_eq!(second, Err(ApplyError::Superseded));
}

#[test]
fn the_wire_and_stored_forms_are_those_of_the_golden_files() {
    let golden: Value = serde_json::from_str(include_str!("../../golden/feed-batch-1.json"))
        .expect("the golden file is JSON");
    let mut bench = Bench::new();
    bench
        .apply(&golden, true)
        .expect("the golden batch is taken");
    assert!(bench.store.snapshot().get::<Disk>("d1").is_some());
    let read = Batch::decode(golden.to_string().as_bytes()).expect("a batch");
    let written: Value = serde_json::from_slice(&read.encode().expect("JSON")).expect("JSON");
    assert_eq!(written, golden);
    let stored = |name: &str| -> Value {
        let all: Value = serde_json::from_str(include_str!("../../golden/feed-records-1.json"))
            .expect("the golden file is JSON");
        all[name].clone()
    };
    let snapshot = bench.store.snapshot();
    let cursor = snapshot.get::<crate::feed::FeedCursor>(HOME.to_string());
    let cursor = serde_json::to_value(cursor.expect("it is there").value());
    assert_eq!(cursor.expect("JSON"), stored("feed_cursor"));
    let filter = snapshot.get::<crate::feed::FeedFilter>(HOME.to_string());
    let filter = serde_json::to_value(filter.expect("it is there").value());
    assert_eq!(filter.expect("JSON"), stored("feed_filter"));
    write(&mut bench.lab, &bench.store, |tx| {
        tx.insert(Disk::new("mine", "p", "m", 1))?;
        tx.delete::<Disk>("mine").map(drop)
    });
    write(&mut bench.lab, &bench.store, |tx| {
        tx.insert(Disk::new("mine", "p", "m", 1)).map(drop)
    });
    write(&mut bench.lab, &bench.store, |tx| {
        tx.delete::<Disk>("mine").map(drop)
    });
    let snapshot = bench.store.snapshot();
    let tombstone = snapshot.all::<crate::feed::Tombstone>().next();
    let tombstone = serde_json::to_value(tombstone.expect("it is there").value());
    assert_eq!(tombstone.expect("JSON"), stored("tombstone"));
}
