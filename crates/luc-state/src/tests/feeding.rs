//! Feeds between two stores: what a follower holds, step by step.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use luc_core::SitePrefix;
use luc_core::id::{DomainId, ProjectId};
use serde::{Deserialize, Serialize};

use super::scripted::Lab;
use crate::feed::{self, Absorbed, Applied, Batch, Expectations, Follower, Lives, Source};
use crate::feed::{FeedCursor, Tombstone};
use crate::fixture::{Note, Person, Realm, Size, schema};
use crate::key;
use crate::kinds::Kind;
use crate::memory::MemoryEngine;
use crate::record::{Index, Record};
use crate::revision::Revision;
use crate::schema::Schema;
use crate::scope::Scope;
use crate::store::Store;
use crate::tx::{Tx, TxError};

pub(super) const HOME: SitePrefix = SitePrefix::from_bytes([0xa1; 6]);
pub(super) const AWAY: SitePrefix = SitePrefix::from_bytes([0xb2; 6]);
pub(super) const TRUSTED: Expectations = Expectations { trusted: true };

/// A record of a project that may change its project, with a unique index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Disk {
    pub(super) id: String,
    pub(super) project: ProjectId,
    pub(super) slot: String,
    pub(super) size: u32,
}

impl Disk {
    pub(super) fn new(id: &str, project: &str, slot: &str, size: u32) -> Self {
        Self {
            id: id.to_owned(),
            project: ProjectId::parse(project).expect("an id"),
            slot: slot.to_owned(),
            size,
        }
    }
}

impl Record for Disk {
    const KIND: Kind = Kind::Volume;
    const INDEXES: &'static [Index<Self>] =
        &[Index::unique("slot", |disk| vec![key(&[&disk.slot])])];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Project(self.project.clone())
    }
}

pub(super) fn tables() -> Schema {
    let own = schema().table::<Realm>().table::<Size>().table::<Disk>();
    own.and(feed::schema())
}

pub(super) fn open(lab: &mut Lab, site: SitePrefix, engine: &MemoryEngine) -> Store {
    let store = lab.try_open_at(site, Arc::new(engine.clone()), tables());
    store.expect("it can be read")
}

pub(super) fn write(
    lab: &mut Lab,
    store: &Store,
    body: impl FnMut(&mut Tx<'_>) -> Result<(), TxError>,
) -> Revision {
    let done = lab.run(store.transact(body));
    done.expect("nothing is in the way").revision
}

pub(super) fn projects(names: &[&str]) -> BTreeSet<ProjectId> {
    let parsed = names.iter().map(|name| ProjectId::parse(name));
    parsed.collect::<Result<_, _>>().expect("ids")
}

/// Everything that the source has to say now, as bytes.
pub(super) fn drain(lab: &mut Lab, source: &mut Source) -> Vec<Vec<u8>> {
    lab.settle();
    while source.absorb().now_or_never() == Some(Absorbed::News) {}
    let mut batches = Vec::new();
    while source.is_behind() {
        let Some(batch) = source.take() else { break };
        batches.push(batch.encode().expect("a batch is JSON"));
    }
    batches
}

/// A home, a follower of it, and the feed between them.
struct Pair {
    lab: Lab,
    home: Store,
    away: Store,
    follower: Follower,
    source: Source,
}

impl Pair {
    fn new(wanted: &[&str], before: fn(&mut Tx<'_>) -> Result<(), TxError>) -> Self {
        let mut lab = Lab::new();
        let home = open(&mut lab, HOME, &MemoryEngine::sole());
        let away = open(&mut lab, AWAY, &MemoryEngine::sole());
        write(&mut lab, &home, before);
        let mut follower = Follower::load(&away, HOME);
        let default = DomainId::parse("default").expect("an id");
        follower.want(projects(wanted), BTreeSet::from([default]));
        let source = Source::open(&home, &follower.hello()).expect("it has nothing");
        Self {
            lab,
            home,
            away,
            follower,
            source,
        }
    }

    fn write(&mut self, body: impl FnMut(&mut Tx<'_>) -> Result<(), TxError>) {
        write(&mut self.lab, &self.home, body);
    }

    /// Lets the follower take what there is; what each batch did.
    fn pump(&mut self) -> Vec<Applied> {
        let batches = drain(&mut self.lab, &mut self.source);
        let mut done = Vec::new();
        for bytes in batches {
            let batch = Batch::decode(&bytes).expect("it was just written");
            let applied = self.follower.apply(&self.away, &batch, TRUSTED);
            done.push(self.lab.run(applied).expect("it is in turn"));
        }
        done
    }

    fn reconnect(&mut self) {
        self.follower = Follower::load(&self.away, HOME);
        self.source = Source::open(&self.home, &self.follower.hello()).expect("it is behind");
    }

    fn slots(&self) -> Vec<(String, String)> {
        let snapshot = self.away.snapshot();
        let disks = snapshot.all::<Disk>();
        disks.map(|d| (d.id.clone(), d.slot.clone())).collect()
    }
}

fn disk(tx: &mut Tx<'_>, id: &str, project: &str, slot: &str) -> Result<(), TxError> {
    tx.put(Disk::new(id, project, slot, 1)).map(drop)
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(left, right): &(&str, &str)| ((*left).to_owned(), (*right).to_owned());
    of.iter().map(owned).collect()
}

#[test]
fn a_follower_gets_what_its_filter_admits_and_keeps_its_home() {
    let mut pair = Pair::new(&["p"], |tx| {
        tx.insert(Realm {
            id: DomainId::parse("default").expect("an id"),
        })?;
        tx.insert(Person::new("ada", "x"))?;
        tx.insert(Size {
            id: "tiny".to_owned(),
        })?;
        disk(tx, "d1", "p", "1")?;
        disk(tx, "d2", "q", "2")
    });
    pair.pump();
    assert_eq!(pair.slots(), pairs(&[("d1", "1")]));
    let snapshot = pair.away.snapshot();
    assert_eq!(snapshot.get::<Person>("ada").map(|p| p.home()), Some(HOME));
    assert!(snapshot.get::<Size>("tiny").is_some(), "the cloud's");
    let at = snapshot.get::<FeedCursor>(HOME.to_string()).map(|c| c.at);
    assert_eq!(at, Some(pair.follower.at()));
    assert_eq!(pair.follower.at().revision, pair.home.snapshot().revision());
}

#[test]
fn changes_and_deletions_follow_as_they_happen() {
    let mut pair = Pair::new(&["p"], |tx| disk(tx, "d1", "p", "1"));
    pair.pump();
    pair.write(|tx| {
        tx.delete::<Disk>("d1")?;
        disk(tx, "d2", "p", "1")
    });
    let done = pair.pump();
    assert_eq!(done.len(), 1, "one commit, one batch");
    assert_eq!(pair.slots(), pairs(&[("d2", "1")]));
}

#[test]
fn keys_of_unique_indexes_change_places_within_a_batch() {
    let mut pair = Pair::new(&["p"], |tx| {
        disk(tx, "d1", "p", "1")?;
        disk(tx, "d2", "p", "2")
    });
    pair.pump();
    pair.write(|tx| {
        disk(tx, "d1", "p", "0")?;
        disk(tx, "d2", "p", "1")?;
        disk(tx, "d1", "p", "2")
    });
    pair.pump();
    assert_eq!(pair.slots(), pairs(&[("d1", "2"), ("d2", "1")]));
}

#[test]
fn what_was_deleted_while_the_follower_was_away_is_deleted_there() {
    let mut pair = Pair::new(&["p"], |tx| {
        disk(tx, "d1", "p", "1")?;
        disk(tx, "d2", "p", "2")
    });
    pair.pump();
    pair.write(|tx| tx.delete::<Disk>("d1").map(drop));
    pair.write(|tx| disk(tx, "d3", "p", "3"));
    pair.reconnect();
    let done = pair.pump();
    assert_eq!(done.iter().map(|d| d.entries).sum::<usize>(), 2, "no more");
    assert_eq!(pair.slots(), pairs(&[("d2", "2"), ("d3", "3")]));
}

#[test]
fn what_leaves_the_follower_s_sight_is_deleted_there() {
    let mut pair = Pair::new(&["p"], |tx| {
        disk(tx, "live", "p", "1")?;
        disk(tx, "late", "p", "2")
    });
    pair.pump();
    pair.write(|tx| disk(tx, "live", "q", "1"));
    pair.pump();
    assert_eq!(pair.slots(), pairs(&[("late", "2")]));
    pair.write(|tx| disk(tx, "late", "q", "2"));
    pair.reconnect();
    pair.pump();
    assert_eq!(pair.slots(), pairs(&[]));
}

#[test]
fn a_tombstone_goes_when_the_record_is_made_again() {
    let mut pair = Pair::new(&["p"], |tx| disk(tx, "d1", "p", "1"));
    pair.write(|tx| tx.delete::<Disk>("d1").map(drop));
    assert_eq!(pair.home.snapshot().count::<Tombstone>(), 1);
    pair.write(|tx| disk(tx, "d1", "p", "1"));
    assert_eq!(pair.home.snapshot().count::<Tombstone>(), 0);
}

#[test]
fn a_deletion_is_heard_of_although_another_site_has_the_id_by_now() {
    let mut pair = Pair::new(&["p"], |tx| disk(tx, "d1", "p", "1"));
    pair.pump();
    pair.write(|tx| tx.delete::<Disk>("d1").map(drop));
    let third = SitePrefix::from_bytes([0xc3; 6]);
    let other = open(&mut pair.lab, third, &MemoryEngine::sole());
    write(&mut pair.lab, &other, |tx| disk(tx, "d1", "p", "3"));
    let mut follower = Follower::load(&pair.home, third);
    let default = DomainId::parse("default").expect("an id");
    follower.want(projects(&["p"]), BTreeSet::from([default]));
    let mut source = Source::open(&other, &follower.hello()).expect("it has nothing");
    for bytes in drain(&mut pair.lab, &mut source) {
        let batch = Batch::decode(&bytes).expect("it was just written");
        let applied = follower.apply(&pair.home, &batch, TRUSTED);
        pair.lab.run(applied).expect("it is in turn");
    }
    let there = pair.home.snapshot();
    assert_eq!(there.get::<Disk>("d1").map(|d| d.home()), Some(third));
    pair.reconnect();
    pair.pump();
    assert_eq!(pair.slots(), pairs(&[]));
}

#[test]
fn a_filter_brings_what_it_admits_and_takes_away_what_it_does_not() {
    let mut pair = Pair::new(&["p"], |tx| {
        disk(tx, "d1", "p", "1")?;
        disk(tx, "d2", "q", "2")
    });
    pair.pump();
    let filter = pair.follower.want(projects(&["q"]), BTreeSet::new());
    pair.source.refilter(filter.expect("it is another"));
    pair.pump();
    assert_eq!(pair.slots(), pairs(&[("d2", "2")]));
    assert_eq!(pair.follower.want(projects(&["q"]), BTreeSet::new()), None);
}

#[test]
fn a_long_step_comes_in_parts_and_the_last_one_moves_the_cursor() {
    let mut pair = Pair::new(&["p"], |tx| {
        (0..10).try_for_each(|n| disk(tx, &format!("d{n}"), "p", &n.to_string()))
    });
    let done = pair.pump();
    let whole: Vec<_> = done.iter().map(|applied| applied.whole).collect();
    assert_eq!(whole, [false, false, false, true]);
    assert_eq!(done[2].at.revision, Revision::ZERO);
    assert_eq!(done[3].at.revision, pair.home.snapshot().revision());
    assert_eq!(pair.slots().len(), 10);
}

#[test]
fn a_batch_without_entries_costs_the_follower_no_commit() {
    let mut pair = Pair::new(&["p"], |tx| disk(tx, "d1", "p", "1"));
    pair.pump();
    let before = pair.away.snapshot().revision();
    pair.write(|tx| disk(tx, "d2", "q", "2"));
    pair.pump();
    let home = pair.home.snapshot().revision();
    assert_eq!(pair.follower.at().revision, home);
    assert_eq!(pair.away.snapshot().revision(), before);
    assert!(pair.follower.durable() < home);
    pair.lab.run(pair.follower.save(&pair.away)).expect("saved");
    assert_eq!(pair.follower.durable(), home);
    assert_eq!(Follower::load(&pair.away, HOME).at().revision, home);
}

#[test]
fn a_follower_from_before_the_horizon_starts_again() {
    let mut pair = Pair::new(&["p"], |tx| {
        disk(tx, "d1", "p", "1")?;
        disk(tx, "d2", "p", "2")
    });
    pair.pump();
    pair.write(|tx| tx.delete::<Disk>("d1").map(drop));
    let gone = pair.lab.run(feed::collect(&pair.home, Revision::ZERO, 0));
    assert_eq!(gone, Ok(1));
    pair.reconnect();
    pair.pump();
    assert_eq!(pair.slots(), pairs(&[("d2", "2")]));
}

#[test]
fn tombstones_are_kept_until_the_slowest_follower_has_them() {
    let mut pair = Pair::new(&["p"], |tx| disk(tx, "d1", "p", "1"));
    pair.write(|tx| tx.delete::<Disk>("d1").map(drop));
    pair.write(|tx| disk(tx, "d2", "p", "2"));
    let collect = |pair: &mut Pair, heard| {
        let done = feed::collect(&pair.home, Revision::new(heard), 10);
        pair.lab.run(done)
    };
    assert_eq!(collect(&mut pair, 1), Ok(0));
    assert_eq!(collect(&mut pair, 2), Ok(1));
    assert_eq!(pair.home.snapshot().count::<Tombstone>(), 0);
}

#[test]
fn a_home_that_knows_less_than_its_follower_does_not_undo_what_that_holds() {
    let mut pair = Pair::new(&["p"], |tx| disk(tx, "d1", "p", "1"));
    pair.write(|tx| disk(tx, "d2", "p", "2"));
    pair.pump();
    let restored = open(&mut pair.lab, HOME, &MemoryEngine::sole());
    let refused = Source::open(&restored, &pair.follower.hello());
    assert!(refused.is_err(), "recovery comes first");
}

#[test]
fn kinds_without_a_table_are_passed_over_and_asked_for_once_there_is_one() {
    let mut lab = Lab::new();
    let home = open(&mut lab, HOME, &MemoryEngine::sole());
    write(&mut lab, &home, |tx| disk(tx, "d1", "p", "1"));
    let engine = MemoryEngine::sole();
    let older = lab.try_open_at(AWAY, Arc::new(engine.clone()), schema().and(feed::schema()));
    let older = older.expect("it is empty");
    let follow = |lab: &mut Lab, store: &Store| {
        let mut follower = Follower::load(store, HOME);
        follower.want(projects(&["p"]), BTreeSet::new());
        let mut source = Source::open(&home, &follower.hello()).expect("it is behind");
        for bytes in drain(lab, &mut source) {
            let batch = Batch::decode(&bytes).expect("it was just written");
            let applied = follower.apply(store, &batch, TRUSTED);
            lab.run(applied).expect("it is in turn");
        }
    };
    follow(&mut lab, &older);
    let cursor = older.snapshot().get::<FeedCursor>(HOME.to_string());
    assert_eq!(cursor.map(|c| c.skipped.len()), Some(1));
    older.close();
    let newer = open(&mut lab, AWAY, &engine);
    follow(&mut lab, &newer);
    assert_eq!(newer.snapshot().count::<Disk>(), 1);
}

#[test]
fn projects_live_where_they_have_records_of_the_site_s_own() {
    let mut pair = Pair::new(&["p"], |tx| disk(tx, "d1", "p", "1"));
    pair.pump();
    let lives = Lives::of(&pair.away, &pair.away.snapshot());
    assert_eq!(lives.projects().count(), 0, "copies do not count");
    let mut lives = Lives::of(&pair.home, &pair.home.snapshot());
    let mut watch = pair.home.watch(pair.home.snapshot().revision());
    let mut observe = |pair: &mut Pair, lives: &mut Lives| {
        let event = pair.lab.run(futures::StreamExt::next(&mut watch));
        lives.observe(&event.expect("the store is open"))
    };
    pair.write(|tx| tx.insert(Note::new("n", &[])).map(drop));
    assert!(!observe(&mut pair, &mut lives), "it lived here already");
    pair.write(|tx| disk(tx, "d1", "q", "1"));
    assert!(observe(&mut pair, &mut lives));
    let now: Vec<_> = lives.projects().map(ProjectId::as_str).collect();
    assert_eq!(now, ["p", "q"], "the note is still there");
}
