//! Packets that no honest peer sends: what they must not change.

use luc_core::entropy::{Entropy, SplitMix64};

use super::cloud::{Cloud, peer, seconds};
use crate::coordinate::Coordinate;
use crate::event::Event;
use crate::message::{Message, Rider, Scope, Swim};
use crate::neighbour::Room;

fn swim(scope: Scope, packet: Vec<u8>, rider: Option<Rider>) -> Message {
    Message::Swim(Swim {
        scope,
        heard: 0,
        room: Room(0),
        packet: packet.into_boxed_slice(),
        rider: rider.map(Box::new),
    })
}

#[test]
fn random_bytes_are_ignored_and_change_nothing() {
    let mut cloud = Cloud::new(2, 6, 1);
    cloud.seed_all();
    cloud.run(seconds(5.0));
    let mut entropy = SplitMix64::new(5);
    let known: Vec<_> = cloud.node(peer(0, 0)).members().iter().copied().collect();
    let (messages, events) = (cloud.messages, cloud.events.len());
    let mut ignored = 0;
    for _ in 0..20_000 {
        let length = 1 + entropy.next_u64() as usize % 80;
        let mut packet = vec![0; length];
        entropy.fill(&mut packet);
        if entropy.next_u64().is_multiple_of(2) {
            // Closer to the truth: a known tag and one member said to follow.
            packet[0] %= 11;
        }
        let whole = crate::pool::wire::Packet::parse(&packet, peer(0, 0), None);
        if whole.is_ok() {
            continue;
        }
        let scope = if entropy.next_u64().is_multiple_of(2) {
            Scope::Site
        } else {
            Scope::Cloud
        };
        cloud.inject(peer(0, 3), peer(0, 0), swim(scope, packet, None));
        ignored += 1;
    }
    assert!(ignored > 15_000);
    assert_eq!(cloud.messages, messages);
    let told = &cloud.events[events..];
    assert_eq!(told.len(), ignored);
    let reason = |event: &Event| matches!(event, Event::Ignored { .. });
    assert!(told.iter().all(|(_, _, event)| reason(event)));
    let after: Vec<_> = cloud.node(peer(0, 0)).members().iter().copied().collect();
    assert_eq!(after, known);
}

#[test]
fn well_formed_nonsense_does_no_lasting_harm() {
    let mut cloud = Cloud::new(2, 8, 2);
    cloud.seed_all();
    cloud.run(seconds(5.0));
    let mut entropy = SplitMix64::new(6);
    for _ in 0..5_000 {
        let mut packet = vec![0; 12 + 18 * (entropy.next_u64() as usize % 2)];
        entropy.fill(&mut packet);
        packet[0] %= 11;
        // Plausible incarnations, so that nobody climbs to the end of the counter.
        packet[1..4].fill(0);
        packet[7..10].fill(0);
        let from = peer(0, 1 + entropy.next_u64() % 7);
        cloud.inject(from, peer(0, 0), swim(Scope::Site, packet, None));
        cloud.run(seconds(0.01));
    }
    let took = cloud.run_until(seconds(120.0), |cloud| {
        cloud.sites_are_known() && cloud.delegates_know_each_other()
    });
    assert!(took.is_some());
}

#[test]
fn another_site_cannot_speak_in_the_site_pool() {
    let mut cloud = Cloud::new(2, 6, 3);
    cloud.seed_all();
    cloud.run(seconds(5.0));
    let before = cloud.messages;
    // An announcement, which would be answered.
    let announce = vec![6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    cloud.inject(
        peer(1, 3),
        peer(0, 3),
        swim(Scope::Site, announce.clone(), None),
    );
    assert_eq!(cloud.messages, before);
    cloud.inject(peer(0, 4), peer(0, 3), swim(Scope::Site, announce, None));
    assert_eq!(cloud.messages, before + 1);
}

#[test]
fn a_coordinate_that_is_no_place_is_not_kept() {
    let mut cloud = Cloud::new(1, 4, 4);
    cloud.seed_all();
    cloud.run(seconds(5.0));
    let kept = cloud.node(peer(0, 0)).members().get(peer(0, 1)).copied();
    let announce = vec![6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for (height, error) in [(f32::NAN, 1.0), (-1.0, 1.0), (0.1, f32::INFINITY)] {
        let rider = Rider {
            place: Some((9, Coordinate::origin(height, error))),
            ..Rider::default()
        };
        let message = swim(Scope::Site, announce.clone(), Some(rider));
        cloud.inject(peer(0, 1), peer(0, 0), message);
    }
    let after = cloud.node(peer(0, 0)).members().get(peer(0, 1)).copied();
    assert_eq!(
        after.map(|known| known.coordinate),
        kept.map(|known| known.coordinate)
    );
}

#[test]
fn what_was_not_asked_for_is_ignored() {
    let mut cloud = Cloud::new(2, 4, 5);
    cloud.seed_all();
    cloud.run(seconds(5.0));
    let events = cloud.events.len();
    let place = Coordinate::origin(0.0, 1.0);
    let unasked = [
        (peer(1, 0), Message::Echoed { ask: 77, place }),
        (peer(1, 0), Message::RosterWanted),
        (
            peer(1, 0),
            Message::Roster {
                delegates: vec![(peer(5, 5), 1)],
            },
        ),
        (
            peer(0, 2),
            Message::Roster {
                delegates: vec![(peer(5, 5), 1)],
            },
        ),
    ];
    let count = unasked.len();
    for (from, message) in unasked {
        cloud.inject(from, peer(0, 3), message);
    }
    let reason = |event: &Event| matches!(event, Event::Ignored { .. });
    let told = &cloud.events[events..];
    assert_eq!(told.len(), count);
    assert!(told.iter().all(|(_, _, event)| reason(event)));
}

#[test]
fn two_nodes_that_refer_to_each_other_come_to_rest() {
    // A delegate whose only contacts are no delegates, and know only nodes that are none either.
    let mut cloud = Cloud::new(3, 4, 6);
    cloud.swim.settle = seconds(1_000.0);
    for node in &mut cloud.nodes {
        node.overlay.swim.settle = seconds(1_000.0);
    }
    cloud.start_all();
    cloud.run(seconds(5.0));
    cloud.add(peer(9, 0));
    let settle = seconds(0.5);
    cloud.node_mut(peer(9, 0)).swim.settle = settle;
    let contacts = vec![peer(1, 0), peer(2, 3)];
    cloud.command(peer(9, 0), crate::Command::Start { contacts });
    cloud.run(seconds(5.0));
    assert!(cloud.node(peer(9, 0)).is_delegate());
    let before = cloud.messages;
    cloud.run(seconds(10.0));
    // Twelve nodes probe and echo; the lonely delegate adds a few attempts to join.
    let each = (cloud.messages - before) as f64 / (13.0 * 10.0);
    assert!(each < 5.0, "{each} messages per node and second");
}
