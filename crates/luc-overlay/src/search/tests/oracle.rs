//! Searches that a directory answers.

use std::collections::BTreeSet;

use luc_core::PeerId;
use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};

use super::net::site;
use crate::coordinate::Coordinate;
use crate::directory::Directory;
use crate::event::Event;
use crate::members::Members;
use crate::neighbour::{Neighbour, RequestId, Room};
use crate::search::context::{Context, Out};
use crate::search::point::Point;
use crate::search::{Assignment, Config, Finder, Kind};

const REQUEST: RequestId = RequestId(3);

fn directory() -> Directory {
    let mut entries = Vec::new();
    for number in 0..5 {
        let mut place = Coordinate::origin(0.0001, 0.1);
        place.vector[1] = number as f32 * 0.010;
        entries.extend((0..6).map(|node| (PeerId::new(site(number), node), Some(place))));
    }
    Directory::new(entries)
}

/// All that a finder of this kind yields to one node, with its answers' sizes.
fn all(
    kind: Kind,
    me: PeerId,
    seed: u64,
    outside: BTreeSet<PeerId>,
) -> (Vec<Neighbour>, Vec<usize>) {
    let directory = directory();
    let config = Config {
        kind,
        ..Config::default()
    };
    let mut finder = Finder::new(&config, me, true);
    let (members, mut entropy, mut out) = (Members::new(), SplitMix64::new(seed), Vec::new());
    let coordinate = *directory.coordinate(me).expect("it is listed");
    let mut ctx = Context {
        now: Instant::ORIGIN,
        me,
        members: &members,
        coordinate: &coordinate,
        room: Room(0),
        directory: Some(&directory),
        entropy: &mut entropy,
        out: &mut out,
    };
    let (mut found, mut sizes) = (Vec::new(), Vec::new());
    finder.search(&mut ctx, REQUEST, outside, 4);
    loop {
        match ctx.out.pop() {
            Some(Out::Emit(Event::Neighbours { found: some, .. })) => {
                sizes.push(some.len());
                found.extend(some);
                finder.more(&mut ctx, REQUEST, 4);
            }
            Some(Out::Emit(Event::Exhausted { .. })) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(finder.open_requests(), 0, "exhausted is closed");
    (found, sizes)
}

fn kinds() -> [Kind; 4] {
    [
        Kind::Spiral,
        Kind::Random,
        Kind::Chord {
            assignment: Assignment::Hashed,
        },
        Kind::Chord {
            assignment: Assignment::SiteOrdered,
        },
    ]
}

#[test]
fn every_order_names_everybody_outside_the_set_once() {
    let me = PeerId::new(site(2), 4);
    let outside: BTreeSet<PeerId> = (0..5).map(|number| PeerId::new(site(number), 1)).collect();
    for kind in kinds() {
        let (found, sizes) = all(kind, me, 1, outside.clone());
        let distinct: BTreeSet<PeerId> = found.iter().map(|one| one.peer).collect();
        assert_eq!((found.len(), distinct.len()), (24, 24), "{kind:?}");
        assert!(distinct.is_disjoint(&outside) && !distinct.contains(&me));
        assert!(sizes.iter().all(|size| *size == 4), "{sizes:?}");
    }
}

#[test]
fn the_spiral_goes_outwards_and_shuffles_each_site_for_each_asker() {
    let me = PeerId::new(site(0), 0);
    let (found, _) = all(Kind::Spiral, me, 1, BTreeSet::new());
    assert!(found.is_sorted_by_key(|one| one.distance));
    assert!(found[..5].iter().all(|one| one.peer.site == me.site));
    assert!(found[5].distance > Duration::from_millis(9));
    let firsts: BTreeSet<PeerId> = (0..30)
        .map(|seed| all(Kind::Spiral, me, seed, BTreeSet::new()).0[0].peer)
        .collect();
    assert_eq!(firsts.len(), 5, "each mate is first for some asker");
}

#[test]
fn the_ring_order_is_that_of_the_points() {
    for assignment in [Assignment::Hashed, Assignment::SiteOrdered] {
        let me = PeerId::new(site(1), 2);
        let (found, _) = all(Kind::Chord { assignment }, me, 1, BTreeSet::new());
        let mut expected: Vec<PeerId> = directory().peers().to_vec();
        expected.sort_by_key(|peer| Point::of(*peer, assignment));
        let place = expected
            .iter()
            .position(|peer| *peer == me)
            .expect("it is on the ring");
        expected.rotate_left(place);
        let walked: Vec<PeerId> = found.iter().map(|one| one.peer).collect();
        assert_eq!(walked, expected[1..]);
        assert!(found.iter().all(|one| one.distance.is_zero()));
    }
}

#[test]
fn the_draw_prefers_nobody() {
    let me = PeerId::new(site(0), 0);
    let mut firsts = std::collections::BTreeMap::new();
    for seed in 0..2_900 {
        let first = all(Kind::Random, me, seed, BTreeSet::new()).0[0].peer;
        *firsts.entry(first).or_insert(0) += 1;
    }
    assert_eq!(firsts.len(), 29);
    // Mean 100, σ 10: five of them.
    assert!(
        firsts.values().all(|count| (50..150).contains(count)),
        "{firsts:?}"
    );
}
