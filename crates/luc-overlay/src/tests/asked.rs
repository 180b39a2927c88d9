//! What a service asks of an overlay, with membership and search together.

use std::collections::BTreeSet;
use std::sync::Arc;

use luc_core::PeerId;
use luc_core::protocol::{Effect, Effects, Input, Protocol};
use luc_core::time::Instant;

use super::cloud::{Cloud, peer, place, seconds};
use crate::command::Command;
use crate::config::{Config, Membership};
use crate::event::Event;
use crate::message::Message;
use crate::neighbour::{Neighbour, RequestId, Standing};
use crate::{Directory, Kept, Overlay, search, vivaldi};

/// What a search of `count` neighbours yields within a second.
fn found(cloud: &mut Cloud, me: PeerId, request: u64, count: u16) -> Vec<Neighbour> {
    let since = cloud.now;
    let command = Command::Search {
        request: RequestId(request),
        outside: BTreeSet::new(),
        count,
    };
    cloud.command(me, command);
    // What the own site does not have is asked for once more.
    let here = cloud
        .events
        .iter()
        .rev()
        .find_map(|(at, of, event)| match event {
            Event::Neighbours { found, .. } if *at >= since && *of == me => Some(found.len()),
            _ => None,
        });
    let left = count - here.map_or(0, |here| here as u16);
    if left > 0 {
        cloud.command(
            me,
            Command::More {
                request: RequestId(request),
                count: left,
            },
        );
    }
    cloud.run(seconds(1.0));
    let answers = cloud
        .events
        .iter()
        .filter(|(at, of, _)| *at >= since && *of == me);
    let found = answers.filter_map(|(_, _, event)| match event {
        Event::Neighbours { found, .. } => Some(found.clone()),
        _ => None,
    });
    found.flatten().collect()
}

#[test]
fn the_own_site_is_offered_first_and_then_the_nearest() {
    let mut cloud = Cloud::new(8, 6, 1);
    cloud.seed_all();
    cloud.run(seconds(60.0));
    let me = peer(3, 4);
    let neighbours = found(&mut cloud, me, 1, 11);
    assert_eq!(neighbours.len(), 11);
    assert!(neighbours[..5].iter().all(|one| one.peer.site == me.site));
    let mut others: Vec<_> = (0..8).map(|site| peer(site, 0)).collect();
    others.retain(|other| other.site != me.site);
    others.sort_by(|left, right| {
        let far = |other: &PeerId| place(me).seconds(&place(*other));
        far(left).total_cmp(&far(right))
    });
    let near: Vec<_> = others[..2].iter().map(|other| other.site).collect();
    let right = neighbours[5..]
        .iter()
        .filter(|one| near.contains(&one.peer.site));
    assert!(right.count() >= 5, "{neighbours:?}");
}

#[test]
fn room_and_sleep_travel_with_the_neighbours() {
    let mut cloud = Cloud::new(1, 6, 2);
    cloud.seed_all();
    cloud.run(seconds(5.0));
    cloud.advertise(peer(0, 2), Standing::Awake);
    cloud.sleep(peer(0, 4));
    cloud.run(seconds(20.0));
    let neighbours = found(&mut cloud, peer(0, 0), 1, 5);
    let of = |node| {
        let one = neighbours.iter().find(|one| one.peer == peer(0, node));
        one.map(|one| (one.standing, one.room.0))
    };
    assert_eq!(of(2), Some((Standing::Awake, 7)));
    assert_eq!(of(4).map(|(standing, _)| standing), Some(Standing::Asleep));
    assert_eq!(of(1), Some((Standing::Awake, 0)));
}

#[test]
fn a_node_that_does_not_take_part_finds_nobody() {
    let mut cloud = Cloud::new(1, 3, 3);
    cloud.seed_all();
    cloud.command(peer(0, 1), Command::Leave);
    let since = cloud.now;
    assert_eq!(found(&mut cloud, peer(0, 1), 9, 2), []);
    let exhausted = Event::Exhausted {
        request: RequestId(9),
    };
    assert_eq!(cloud.told(since, |_, event| *event == exhausted), 1);
}

#[test]
fn a_directory_answers_without_a_message() {
    let all = (0..4).flat_map(|site| (0..4).map(move |node| peer(site, node)));
    let all = all.map(|peer| (peer, Some(place(peer)))).collect();
    let directory = Arc::new(Directory::new(all));
    let mut overlay = Overlay::new(
        Config {
            me: peer(2, 1),
            seed: 1,
            membership: Membership::Directory(Arc::clone(&directory)),
            search: search::Config::default(),
            vivaldi: vivaldi::Config::default(),
        },
        Kept::default(),
    );
    let mut effects = Effects::new();
    let commands = [
        Command::Start {
            contacts: vec![peer(0, 0)],
        },
        Command::Search {
            request: RequestId(1),
            outside: BTreeSet::from([peer(2, 0)]),
            count: 2,
        },
    ];
    for command in commands {
        overlay.handle(Instant::ORIGIN, Input::Command(command), &mut effects);
    }
    let effects: Vec<_> = effects.drain().collect();
    let [Effect::Emit(Event::Neighbours { found, .. })] = effects.as_slice() else {
        panic!("one answer and nothing else");
    };
    let mut found: Vec<_> = found.iter().map(|one| one.peer).collect();
    found.sort();
    assert_eq!(found, [peer(2, 2), peer(2, 3)]);
    // Whoever speaks to it all the same is not understood and not answered.
    let mut effects = Effects::new();
    let message = Message::Echo { ask: 1 };
    let from = peer(0, 3);
    overlay.handle(
        Instant::ORIGIN,
        Input::Message { from, message },
        &mut effects,
    );
    assert_eq!(effects.len(), 1);
}
