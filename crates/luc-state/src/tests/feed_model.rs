//! Feeds against a model: whatever is lost, doubled or restarted, a copy is its home's state at one
//! revision under one filter.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use luc_core::SitePrefix;
use proptest::prelude::*;

use super::feeding::{Disk, TRUSTED, drain, open, projects, write};
use super::scripted::Lab;
use crate::feed::{self, ApplyError, Batch, Filter, Follower, Source};
use crate::kinds::Kind;
use crate::memory::MemoryEngine;
use crate::revision::Revision;
use crate::store::Store;
use crate::tx::{Tx, TxError};

const PROJECTS: [&str; 3] = ["p", "q", "r"];

#[derive(Clone, Debug)]
enum Step {
    Put {
        site: usize,
        disk: usize,
        project: usize,
        slot: usize,
        size: u32,
    },
    Delete {
        site: usize,
        disk: usize,
    },
    Swap {
        site: usize,
        disks: (usize, usize),
    },
    Want {
        link: usize,
        mask: usize,
    },
    /// The home says what it has to say.
    Speak {
        link: usize,
    },
    /// The follower hears the next of it.
    Hear {
        link: usize,
    },
    Lose {
        link: usize,
    },
    Double {
        link: usize,
    },
    Swop {
        link: usize,
    },
    /// The follower starts again from what its engine has.
    Restart {
        site: usize,
    },
    Collect {
        site: usize,
        keep: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (site, link) = (0..4usize, 0..12usize);
    prop_oneof![
        8 => (site.clone(), 0..6usize, 0..3usize, 0..6usize, 0..9u32).prop_map(
            |(site, disk, project, slot, size)| Step::Put { site, disk, project, slot, size }),
        3 => (site.clone(), 0..6usize).prop_map(|(site, disk)| Step::Delete { site, disk }),
        2 => (site.clone(), (0..6usize, 0..6usize))
            .prop_map(|(site, disks)| Step::Swap { site, disks }),
        3 => (link.clone(), 0..8usize).prop_map(|(link, mask)| Step::Want { link, mask }),
        8 => link.clone().prop_map(|link| Step::Speak { link }),
        14 => link.clone().prop_map(|link| Step::Hear { link }),
        1 => link.clone().prop_map(|link| Step::Lose { link }),
        1 => link.clone().prop_map(|link| Step::Double { link }),
        1 => link.prop_map(|link| Step::Swop { link }),
        1 => site.clone().prop_map(|site| Step::Restart { site }),
        1 => (site, 0..3usize).prop_map(|(site, keep)| Step::Collect { site, keep }),
    ]
}

type Held = BTreeMap<String, Disk>;

struct Site {
    prefix: SitePrefix,
    engine: MemoryEngine,
    store: Store,
    /// What it had of its own at each revision.
    history: BTreeMap<Revision, Held>,
}

struct Link {
    home: usize,
    away: usize,
    follower: Follower,
    source: Source,
    wire: VecDeque<Vec<u8>>,
}

struct World {
    lab: Lab,
    sites: Vec<Site>,
    links: Vec<Link>,
}

fn held(store: &Store, home: SitePrefix) -> Held {
    let snapshot = store.snapshot();
    let disks = snapshot.all::<Disk>().filter(|disk| disk.home() == home);
    disks
        .map(|disk| (disk.id.clone(), disk.value().clone()))
        .collect()
}

fn admitted(state: &Held, filter: &Filter) -> Held {
    let wanted = |disk: &Disk| filter.admits(Kind::Volume, &crate::record::Record::scope(disk));
    let kept = state.iter().filter(|(_, disk)| wanted(disk));
    kept.map(|(id, disk)| (id.clone(), disk.clone())).collect()
}

impl World {
    fn new(count: usize) -> Self {
        let mut lab = Lab::new();
        let site = |lab: &mut Lab, number: usize| {
            let number = u8::try_from(number).expect("few sites");
            let prefix = SitePrefix::from_bytes([0x10 + number; 6]);
            let engine = MemoryEngine::sole();
            let store = open(lab, prefix, &engine);
            let history = BTreeMap::from([(Revision::ZERO, Held::new())]);
            Site {
                prefix,
                engine,
                store,
                history,
            }
        };
        let sites: Vec<_> = (0..count).map(|number| site(&mut lab, number)).collect();
        let mut links = Vec::new();
        for home in 0..count {
            for away in (0..count).filter(|away| *away != home) {
                let mut follower = Follower::load(&sites[away].store, sites[home].prefix);
                let hello = follower.hello();
                let source = Source::open(&sites[home].store, &hello).expect("nothing is held");
                let wire = VecDeque::new();
                links.push(Link {
                    home,
                    away,
                    follower,
                    source,
                    wire,
                });
            }
        }
        Self { lab, sites, links }
    }

    fn change(&mut self, site: usize, mut body: impl FnMut(&mut Tx<'_>) -> Result<(), TxError>) {
        let store = self.sites[site].store.clone();
        // A slot may be taken; then nothing happens.
        if let Ok(done) = self.lab.run(store.transact(&mut body)) {
            let state = held(&store, self.sites[site].prefix);
            self.sites[site].history.insert(done.revision, state);
        }
    }

    fn connect(&mut self, link: usize) {
        let link = &mut self.links[link];
        link.wire.clear();
        link.follower = {
            let mut fresh = Follower::load(&self.sites[link.away].store, link.follower.home());
            let newest = link.follower.hello().wanted;
            fresh.want(newest.projects, newest.domains);
            fresh
        };
        let hello = link.follower.hello();
        let home = &self.sites[link.home].store;
        link.source = Source::open(home, &hello).expect("a home never goes back here");
    }

    fn hear(&mut self, number: usize) {
        let link = &mut self.links[number];
        let Some(bytes) = link.wire.pop_front() else {
            return;
        };
        let batch = Batch::decode(&bytes).expect("it is whole");
        let store = &self.sites[link.away].store;
        match self.lab.run(link.follower.apply(store, &batch, TRUSTED)) {
            Ok(_) => self.check(number),
            Err(ApplyError::Refused(feed::BatchRefused::OutOfTurn { .. })) => self.connect(number),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The invariant.
    fn check(&self, link: usize) {
        let link = &self.links[link];
        if !link.follower.is_whole() {
            return;
        }
        let home = &self.sites[link.home];
        let at = link.follower.at().revision;
        let state = home
            .history
            .range(..=at)
            .next_back()
            .map(|(_, state)| state);
        let expected = admitted(state.expect("zero is there"), link.follower.filter());
        let found = held(&self.sites[link.away].store, home.prefix);
        assert_eq!(found, expected, "at {at} of site {}", link.home);
    }

    fn perform(&mut self, step: &Step) {
        let (sites, links) = (self.sites.len(), self.links.len());
        let name = |site: usize, disk: usize| format!("s{}-{disk}", site % sites);
        match *step {
            Step::Put {
                site,
                disk,
                project,
                slot,
                size,
            } => {
                let (id, slot) = (name(site, disk), name(site, slot));
                let disk = Disk::new(&id, PROJECTS[project], &slot, size);
                self.change(site % sites, |tx| tx.put(disk.clone()).map(drop));
            }
            Step::Delete { site, disk } => {
                let id = name(site, disk);
                self.change(site % sites, |tx| tx.delete::<Disk>(&id).map(drop));
            }
            Step::Swap { site, disks } => {
                let ids = [name(site, disks.0), name(site, disks.1)];
                self.change(site % sites, |tx| {
                    let mut left = tx.delete::<Disk>(&ids[0])?.value().clone();
                    let mut right = tx.delete::<Disk>(&ids[1])?.value().clone();
                    std::mem::swap(&mut left.slot, &mut right.slot);
                    tx.insert(left)?;
                    tx.insert(right).map(drop)
                });
            }
            Step::Want { link, mask } => {
                let link = &mut self.links[link % links];
                let names = (0..3).filter(|bit| mask >> bit & 1 == 1);
                let names: Vec<_> = names.map(|bit| PROJECTS[bit]).collect();
                let filter = link.follower.want(projects(&names), BTreeSet::new());
                if let Some(filter) = filter {
                    link.source.refilter(filter);
                }
            }
            Step::Speak { link } => {
                let link = &mut self.links[link % links];
                link.wire.extend(drain(&mut self.lab, &mut link.source));
            }
            Step::Hear { link } => self.hear(link % links),
            Step::Lose { link } => drop(self.links[link % links].wire.pop_front()),
            Step::Double { link } => {
                let wire = &mut self.links[link % links].wire;
                if let Some(first) = wire.front().cloned() {
                    wire.push_front(first);
                }
            }
            Step::Swop { link } => {
                let wire = &mut self.links[link % links].wire;
                if wire.len() > 1 {
                    wire.swap(0, 1);
                }
            }
            Step::Restart { site } => self.restart(site % sites),
            Step::Collect { site, keep } => {
                let store = &self.sites[site % sites].store;
                let done = self.lab.run(feed::collect(store, Revision::ZERO, keep));
                done.expect("nothing is in the way");
            }
        }
    }

    fn restart(&mut self, number: usize) {
        let site = &mut self.sites[number];
        site.store.close();
        self.lab.settle();
        site.store = open(&mut self.lab, site.prefix, &site.engine);
        for link in 0..self.links.len() {
            if self.links[link].home == number || self.links[link].away == number {
                self.connect(link);
            }
        }
    }

    /// Everything arrives in the end.
    fn converge(&mut self) {
        for number in 0..self.links.len() {
            self.connect(number);
            for _ in 0..3 {
                let link = &mut self.links[number];
                link.wire.extend(drain(&mut self.lab, &mut link.source));
                while !self.links[number].wire.is_empty() {
                    self.hear(number);
                }
            }
            let link = &self.links[number];
            let home = &self.sites[link.home];
            assert!(link.follower.is_whole());
            assert_eq!(
                link.follower.at().revision,
                home.store.snapshot().revision()
            );
            let state = held(&home.store, home.prefix);
            let found = held(&self.sites[link.away].store, home.prefix);
            assert_eq!(found, admitted(&state, link.follower.filter()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn copies_are_prefixes_of_their_homes_history_under_their_filter(
        sites in 2..=4usize,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(sites);
        for step in &steps {
            world.perform(step);
        }
        world.converge();
    }
}

#[test]
fn a_store_that_follows_can_still_write_its_own() {
    let mut world = World::new(2);
    let store = world.sites[1].store.clone();
    write(&mut world.lab, &store, |tx| {
        tx.insert(Disk::new("own", "p", "own", 1)).map(drop)
    });
    assert_eq!(held(&store, world.sites[1].prefix).len(), 1);
}
