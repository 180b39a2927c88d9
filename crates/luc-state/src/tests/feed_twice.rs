//! Two sites make one thing in a split: every third site shows the same of them, whatever came
//! first, and the other once that is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use luc_core::SitePrefix;
use luc_core::id::DomainId;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::feeding::{Disk, drain, projects};
use super::scripted::Lab;
use crate::feed::{self, Batch, Expectations, Follower, Source, Withheld};
use crate::key;
use crate::kinds::Kind;
use crate::memory::MemoryEngine;
use crate::record::{Index, Record};
use crate::schema::Schema;
use crate::scope::Scope;
use crate::store::Store;
use crate::tx::{Tx, TxError};

/// A domain with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Land {
    id: String,
    name: String,
}

/// Somebody of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Citizen {
    id: String,
    land: DomainId,
}

fn land(id: &str) -> DomainId {
    DomainId::parse(id).expect("an id")
}

impl Record for Land {
    const KIND: Kind = Kind::Domain;
    const INDEXES: &'static [Index<Self>] =
        &[Index::unique("name", |land| vec![key(&[&land.name])])];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Domain(land(&self.id))
    }
}

impl Record for Citizen {
    const KIND: Kind = Kind::User;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.land.clone())
    }
}

/// Sites that follow each other; the last of them is no trusted one.
struct World {
    lab: Lab,
    stores: Vec<Store>,
    links: Vec<(usize, usize, Follower, Source)>,
}

const SITES: usize = 4;
const EDGE: usize = 3;

fn prefix(site: usize) -> SitePrefix {
    // The edge has the least prefix, and does not win by it.
    let number = u8::try_from((site + 1) % SITES).expect("few sites");
    SitePrefix::from_bytes([0x10 + number; 6])
}

impl World {
    fn new() -> Self {
        let mut lab = Lab::new();
        let tables = || {
            let own = Schema::new().table::<Land>().table::<Citizen>();
            own.table::<Disk>().and(feed::schema())
        };
        let mut open = |site| {
            let engine = Arc::new(MemoryEngine::sole());
            lab.try_open_at(prefix(site), engine, tables())
                .expect("it is empty")
        };
        let stores: Vec<_> = (0..SITES).map(&mut open).collect();
        let mut links = Vec::new();
        for home in 0..SITES {
            for away in (0..SITES).filter(|away| *away != home) {
                let mut follower = Follower::load(&stores[away], prefix(home));
                let lands = ["one", "two", "three"].map(land);
                follower.want(projects(&["p"]), BTreeSet::from(lands));
                let source = Source::open(&stores[home], &follower.hello()).expect("new");
                links.push((home, away, follower, source));
            }
        }
        Self { lab, stores, links }
    }

    fn write(&mut self, site: usize, body: impl FnMut(&mut Tx<'_>) -> Result<(), TxError>) -> bool {
        let done = self.stores[site].transact(body);
        self.lab.run(done).is_ok()
    }

    /// Lets one site hear what another has to say.
    fn pump(&mut self, link: usize) {
        let (home, away, follower, source) = &mut self.links[link];
        let mut batches = drain(&mut self.lab, source);
        if batches.is_empty() {
            let beat = source.heartbeat().expect("between steps");
            batches.push(beat.encode().expect("JSON"));
        }
        for bytes in batches {
            let batch = Batch::decode(&bytes).expect("it was just written");
            let trusted = *home != EDGE;
            let applied = follower.apply(&self.stores[*away], &batch, Expectations { trusted });
            self.lab.run(applied).expect("no feed stops");
        }
    }

    fn pump_all(&mut self) {
        // Twice: what a site deletes makes room for what it has heard of before.
        for link in (0..self.links.len()).chain(0..self.links.len()) {
            self.pump(link);
        }
    }

    fn shown(&self, site: usize) -> BTreeMap<String, SitePrefix> {
        let snapshot = self.stores[site].snapshot();
        let disks = snapshot.all::<Disk>();
        disks.map(|disk| (disk.id.clone(), disk.home())).collect()
    }

    fn aside(&self, site: usize) -> Vec<(String, SitePrefix)> {
        let snapshot = self.stores[site].snapshot();
        let aside = snapshot.all::<Withheld>();
        aside.map(|a| (a.record.clone(), a.home)).collect()
    }

    fn own(&self, site: usize) -> Vec<Disk> {
        let snapshot = self.stores[site].snapshot();
        let disks = snapshot.all::<Disk>();
        let own = disks.filter(|disk| disk.home() == prefix(site));
        own.map(|disk| disk.value().clone()).collect()
    }

    /// What `viewer` should show: its own, then what the trusted sites have, by prefix, then the
    /// edge's; each unless something before has its id or its slot.
    fn expected(&self, viewer: usize) -> BTreeMap<String, SitePrefix> {
        let mut sites: Vec<_> = (0..SITES).collect();
        sites.sort_by_key(|site| (*site != viewer, *site == EDGE, prefix(*site)));
        let (mut shown, mut slots) = (BTreeMap::new(), BTreeSet::new());
        for site in sites {
            let free = |disk: &Disk| !shown.contains_key(&disk.id) && !slots.contains(&disk.slot);
            let stands: Vec<_> = self.own(site).into_iter().filter(free).collect();
            for disk in stands {
                slots.insert(disk.slot);
                shown.insert(disk.id, prefix(site));
            }
        }
        shown
    }
}

fn disk(id: &str, slot: &str) -> impl Fn(&mut Tx<'_>) -> Result<(), TxError> {
    let disk = Disk::new(id, "p", slot, 1);
    move |tx| tx.put(disk.clone()).map(drop)
}

#[test]
fn every_third_site_shows_the_same_of_two_whatever_came_first() {
    let mut world = World::new();
    assert!(world.write(0, disk("x", "0")) && world.write(1, disk("x", "1")));
    for link in (0..world.links.len()).rev() {
        world.pump(link);
    }
    for (site, winner) in [(0, 0), (1, 1), (2, 0), (3, 0)] {
        let shown = BTreeMap::from([("x".to_owned(), prefix(winner))]);
        assert_eq!(world.shown(site), shown, "at {site}");
        let loser = prefix(1 - winner);
        assert_eq!(world.aside(site), [("x".to_owned(), loser)], "at {site}");
    }
}

#[test]
fn what_was_kept_aside_is_shown_once_nothing_is_in_its_way() {
    let mut world = World::new();
    assert!(world.write(0, disk("x", "0")) && world.write(1, disk("x", "1")));
    world.pump_all();
    assert!(world.write(0, |tx| tx.delete::<Disk>("x").map(drop)));
    world.pump_all();
    for site in 0..SITES {
        let shown = BTreeMap::from([("x".to_owned(), prefix(1))]);
        assert_eq!(world.shown(site), shown, "at {site}");
        assert_eq!(world.aside(site), []);
    }
}

#[test]
fn a_site_that_is_not_trusted_takes_nothing_away_from_others() {
    let mut world = World::new();
    assert!(world.write(EDGE, disk("x", "0")));
    world.pump_all();
    assert!(world.write(EDGE, disk("y", "1")) && world.write(0, disk("y", "2")));
    world.pump_all();
    assert_eq!(world.shown(1)["x"], prefix(EDGE), "what is nobody else's");
    assert_eq!(world.shown(1)["y"], prefix(0));
}

#[test]
fn a_domain_is_kept_aside_with_all_that_it_owns() {
    let mut world = World::new();
    let found = |world: &mut World, site, id: &str, citizens: usize| {
        let name = "acme".to_owned();
        let id = id.to_owned();
        assert!(world.write(site, |tx| {
            let (id, name) = (id.clone(), name.clone());
            (0..citizens).try_for_each(|n| {
                let land = land(&id);
                let id = format!("{id}-{n}");
                tx.insert(Citizen { id, land }).map(drop)
            })?;
            tx.insert(Land { id, name }).map(drop)
        }));
    };
    found(&mut world, 0, "one", 3);
    found(&mut world, 1, "two", 5);
    let citizens = |world: &World, site: usize| {
        let snapshot = world.stores[site].snapshot();
        let all: BTreeSet<_> = snapshot.all::<Citizen>().map(|c| c.land.clone()).collect();
        all
    };
    world.pump_all();
    assert_eq!(citizens(&world, 2), BTreeSet::from([land("one")]));
    assert_eq!(
        citizens(&world, 1),
        BTreeSet::from([land("two")]),
        "at its home"
    );
    assert_eq!(world.aside(2).len(), 6);
    let late = |id: &str| {
        let (id, land) = (id.to_owned(), land("two"));
        move |tx: &mut Tx<'_>| {
            let (id, land) = (id.clone(), land.clone());
            tx.insert(Citizen { id, land }).map(drop)
        }
    };
    assert!(world.write(1, late("two-late")));
    world.pump_all();
    assert_eq!(world.aside(2).len(), 7);
    assert!(world.write(1, |tx| {
        let (id, name) = ("two".to_owned(), "other".to_owned());
        tx.update(Land { id, name }).map(drop)
    }));
    world.pump_all();
    assert_eq!(world.aside(2), []);
    assert_eq!(
        citizens(&world, 2),
        BTreeSet::from([land("one"), land("two")])
    );
    assert_eq!(
        citizens(&world, 0),
        BTreeSet::from([land("one"), land("two")])
    );
}

#[test]
fn a_site_that_is_forgotten_leaves_nothing_aside() {
    let mut world = World::new();
    assert!(world.write(0, disk("x", "0")) && world.write(1, disk("x", "1")));
    world.pump_all();
    let done = world.lab.run(feed::forget(&world.stores[2], prefix(0)));
    assert_eq!(done, Ok(1));
    world
        .links
        .retain(|(home, away, ..)| (*home, *away) != (0, 2));
    world.pump_all();
    assert_eq!(world.shown(2)["x"], prefix(1));
    assert_eq!(world.aside(2), []);
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize, usize),
    Delete(usize, usize),
    Pump(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..SITES, 0..4usize, 0..4usize).prop_map(|(s, d, slot)| Step::Put(s, d, slot)),
        2 => (0..SITES, 0..4usize).prop_map(|(site, disk)| Step::Delete(site, disk)),
        8 => (0..SITES * (SITES - 1)).prop_map(Step::Pump),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_shown_depends_on_what_there_is_and_not_on_what_came_first(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Put(site, id, slot) => {
                    // It may be refused: another's copy has the id or the slot.
                    world.write(site, disk(&format!("d{id}"), &slot.to_string()));
                }
                Step::Delete(site, id) => {
                    world.write(site, |tx| tx.delete::<Disk>(format!("d{id}")).map(drop));
                }
                Step::Pump(link) => world.pump(link),
            }
        }
        world.pump_all();
        for viewer in 0..SITES {
            prop_assert_eq!(world.shown(viewer), world.expected(viewer), "at {}", viewer);
        }
    }
}
