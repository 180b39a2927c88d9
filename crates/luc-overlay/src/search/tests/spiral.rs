//! The spiral among clusters, silent peers and liars; what it keeps and what it drops.

use std::collections::BTreeSet;

use luc_core::PeerId;
use luc_core::entropy::{Entropy, SplitMix64};
use luc_core::time::Duration;
use proptest::prelude::*;

use super::net::{Net, below, site, unit};
use crate::coordinate::Coordinate;
use crate::event::Event;
use crate::members::Change;
use crate::neighbour::{RequestId, Room, Standing};
use crate::search::context::Out;
use crate::search::message::{Entry, Hearsay, Message};
use crate::search::timer::Timer;
use crate::search::{Config, Finder};

/// A node of each site at these places on a line, in milliseconds.
fn line(sites: &[f32], per_site: usize) -> Vec<(PeerId, Coordinate)> {
    let mut places = Vec::new();
    for (number, x) in sites.iter().enumerate() {
        let mut place = Coordinate::origin(0.0001, 0.1);
        place.vector[0] = x / 1000.0;
        places.extend((0..per_site).map(|node| (PeerId::new(site(number), node as u64), place)));
    }
    places
}

fn entry(net: &Net, node: usize) -> Entry {
    Entry {
        peer: net.nodes[node].me,
        place: net.nodes[node].place,
        standing: Standing::Awake,
        room: Room(0),
        age: 0,
        measured_micros: 0,
    }
}

/// Makes `node` know `other`.
fn tell(net: &mut Net, node: usize, other: usize) {
    let hearsay = Hearsay(vec![entry(net, other)]);
    let from = net.nodes[node].me;
    net.with(node, |finder, ctx| finder.on_hearsay(ctx, from, hearsay));
}

/// Six sites of ten, ten milliseconds apart, of which each first node knows the next site's.
fn chain() -> Net {
    let places = line(&[0.0, 10.0, 20.0, 30.0, 40.0, 50.0], 10);
    let mut net = Net::new(&Config::default(), &places, 0.0, 1);
    net.introduce_sites();
    for number in 0..6_usize {
        let first = net.index[&PeerId::new(site(number), 0)];
        for other in [number.wrapping_sub(1), number + 1] {
            if let Some(other) = net.index.get(&PeerId::new(site(other), 0)).copied() {
                tell(&mut net, first, other);
            }
        }
    }
    net
}

fn peers(found: &[crate::neighbour::Neighbour]) -> Vec<PeerId> {
    found.iter().map(|one| one.peer).collect()
}

#[test]
fn nodes_of_the_own_site_come_at_once_and_cost_nothing() {
    let mut net = chain();
    let found = net.search(0, 6, 6);
    assert_eq!(found.len(), 6);
    assert!(
        found
            .iter()
            .all(|one| one.peer.site == net.nodes[0].me.site)
    );
    assert_eq!((net.messages, net.now.as_nanos()), (0, 1_000_000_000));
}

#[test]
fn nobody_waits_for_other_sites_while_there_is_help_at_home() {
    let mut net = chain();
    let start = net.index[&PeerId::new(site(0), 0)];
    let request = net.request();
    net.with(start, |finder, ctx| {
        finder.search(ctx, request, BTreeSet::new(), 30);
    });
    let Some((_, Event::Neighbours { found, .. })) = net.events.first() else {
        panic!("answered at once, not {:?}", net.events);
    };
    assert_eq!(found.len(), 9, "all of the own site, and only they");
    assert!(found.iter().all(|one| one.peer.site == site(0)));
}

#[test]
fn two_neighbours_ask_the_own_site_in_different_orders() {
    let mut net = chain();
    let mut firsts = BTreeSet::new();
    let sites = net.nodes[0].me.site;
    let mates: Vec<usize> = (0..60)
        .filter(|node| net.nodes[*node].me.site == sites)
        .collect();
    for node in mates {
        firsts.insert(net.search(node, 1, 1)[0].peer);
    }
    assert!(firsts.len() >= 4, "ten askers asked only {firsts:?} first");
}

#[test]
fn a_chain_of_sites_is_walked_to_its_end_in_order() {
    let mut net = chain();
    let start = net.index[&PeerId::new(site(0), 3)];
    let found = peers(&net.search(start, usize::MAX, 6));
    assert_eq!(found.len(), 59, "everybody but the asker was found");
    let groups: Vec<_> = found
        .chunk_by(|left, right| left.site == right.site)
        .collect();
    let order: Vec<_> = groups.iter().map(|group| group[0].site).collect();
    assert_eq!(
        order,
        (0..6).map(site).collect::<Vec<_>>(),
        "site by site, nearest first"
    );
    assert_eq!(
        net.nodes[start].finder.open_requests(),
        0,
        "exhausted is closed"
    );
}

#[test]
fn a_node_is_never_offered_twice_nor_one_from_the_outside_set() {
    let mut net = chain();
    net.start();
    net.gossip(30);
    let outside: BTreeSet<PeerId> = net.nodes.iter().map(|node| node.me).step_by(3).collect();
    let request = net.request();
    net.with(7, |finder, ctx| {
        finder.search(ctx, request, outside.clone(), 4);
    });
    let mut offered = Vec::new();
    for _ in 0..200 {
        net.run_for(Duration::from_millis(50));
        for (_, event) in std::mem::take(&mut net.events) {
            if let Event::Neighbours { found, .. } = event {
                offered.extend(peers(&found));
                net.with(7, |finder, ctx| finder.more(ctx, request, 4));
            }
        }
    }
    let distinct: BTreeSet<PeerId> = offered.iter().copied().collect();
    assert_eq!(distinct.len(), offered.len());
    assert!(distinct.is_disjoint(&outside) && !distinct.contains(&net.nodes[7].me));
    let expected =
        net.nodes.len() - outside.len() - usize::from(!outside.contains(&net.nodes[7].me));
    assert_eq!(offered.len(), expected);
}

/// A tight cluster of 12 sites that know each other, and 8 sites farther out that know each other;
/// one node of the cluster knows one site of the others as a long link, or not.
fn clusters(long: u16) -> Net {
    let mut sites: Vec<f32> = (0..12).map(|number| number as f32 * 0.5).collect();
    sites.extend((0..8).map(|number| 60.0 + number as f32 * 0.5));
    let mut config = Config::default();
    config.spiral.view.near = 8;
    config.spiral.view.long = long;
    config.spiral.view.per_site = 1;
    let mut net = Net::new(&config, &line(&sites, 2), 0.0, 3);
    net.introduce_sites();
    let of = |net: &Net, number: usize| net.index[&PeerId::new(site(number), 0)];
    for left in 0..20 {
        for right in 0..20 {
            if left != right && (left < 12) == (right < 12) {
                let (left, right) = (of(&net, left), of(&net, right));
                tell(&mut net, left, right);
            }
        }
    }
    // Heard again and again, as hearsay from afar would be.
    for _ in 0..64 {
        for inside in 0..12 {
            let (node, far) = (of(&net, inside), of(&net, 12 + inside % 8));
            tell(&mut net, node, far);
        }
    }
    net
}

#[test]
fn a_closed_cluster_blocks_the_spiral_only_without_long_links() {
    let far = |net: &mut Net| {
        let found = net.search(0, usize::MAX, 4);
        let start = net.nodes[0].truth;
        let far = |one: &&crate::neighbour::Neighbour| {
            let other = &net.nodes[net.index[&one.peer]].truth;
            start.distance(other) > Duration::from_millis(30)
        };
        (found.len(), found.iter().filter(far).count())
    };
    let mut open = clusters(4);
    let (all, others) = far(&mut open);
    assert_eq!((all, others), (39, 16));
    let mut closed = clusters(0);
    let (all, others) = far(&mut closed);
    assert_eq!(
        (all, others),
        (23, 0),
        "without long links the cluster is all there is"
    );
}

#[test]
fn silent_sites_are_skipped_and_block_nobody() {
    let mut net = chain();
    let start = net.index[&PeerId::new(site(0), 0)];
    for node in 0..net.nodes.len() {
        let second = net.nodes[node].me.site == site(1);
        net.nodes[node].mute = second;
    }
    let far = net.index[&PeerId::new(site(2), 0)];
    tell(&mut net, start, far);
    let before = net.now;
    let found = peers(&net.search(start, usize::MAX, 4));
    assert!(
        found.iter().all(|peer| peer.site != site(1)),
        "who is silent is not offered"
    );
    assert!(
        found.iter().any(|peer| peer.site == site(3)),
        "the spiral goes on behind"
    );
    assert!(
        net.now.since(before) < Duration::from_secs(8),
        "{}",
        net.now
    );
}

#[test]
fn an_answer_is_not_waited_for_longer_than_patience_if_there_is_something() {
    let mut net = chain();
    for node in 0..net.nodes.len() {
        net.nodes[node].mute = true;
    }
    let start = net.index[&PeerId::new(site(0), 0)];
    for other in 0..10 {
        let other = net.index[&PeerId::new(site(2), other)];
        tell(&mut net, start, other);
    }
    let request = net.request();
    let outside = (1..10).map(|node| PeerId::new(site(0), node)).collect();
    net.with(start, |finder, ctx| {
        finder.search(ctx, request, outside, 10);
    });
    assert!(net.events.is_empty());
    net.run_for(Duration::from_millis(450));
    let answers: Vec<_> = net
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::Neighbours { .. }))
        .collect();
    assert_eq!(answers.len(), 1);
}

#[test]
fn a_failed_node_is_not_offered_any_more() {
    let mut net = chain();
    let start = net.index[&PeerId::new(site(0), 0)];
    let failed = PeerId::new(site(1), 0);
    net.change(start, Change::Failed(failed));
    let found = peers(&net.search(start, usize::MAX, 4));
    assert!(!found.contains(&failed));
}

#[test]
fn the_end_of_a_request_drops_all_of_it() {
    let mut net = chain();
    let start = net.index[&PeerId::new(site(0), 0)];
    let request = net.request();
    net.with(start, |finder, ctx| {
        finder.search(ctx, request, BTreeSet::new(), 30);
        finder.more(ctx, request, 30);
    });
    net.events.clear();
    assert!(net.messages > 0 && net.nodes[start].finder.open_requests() == 1);
    net.with(start, |finder, ctx| finder.end(ctx, request));
    assert_eq!(net.nodes[start].finder.open_requests(), 0);
    net.run_for(Duration::from_secs(5));
    let told: Vec<_> = net
        .events
        .iter()
        .filter(|(node, _)| *node == start)
        .collect();
    let ignored = |event: &Event| matches!(event, Event::Ignored { .. });
    assert!(told.iter().all(|(_, event)| ignored(event)), "{told:?}");
}

#[test]
fn who_is_asked_learns_the_asker_and_who_asks_learns_the_answer() {
    let mut net = chain();
    let known = |net: &Net, node: usize| match &net.nodes[node].finder {
        Finder::Spiral(spiral) => spiral.view_len(),
        _ => panic!("the spiral was asked for"),
    };
    let asker = net.index[&PeerId::new(site(0), 0)];
    let before: usize = (0..net.nodes.len()).map(|node| known(&net, node)).sum();
    net.search(asker, usize::MAX, 8);
    let after: usize = (0..net.nodes.len()).map(|node| known(&net, node)).sum();
    assert!(known(&net, asker) >= 10, "{}", known(&net, asker));
    assert!(after > before + known(&net, asker), "others learnt too");
}

#[test]
fn hearsay_spreads_and_then_falls_silent() {
    let mut net = chain();
    net.start();
    net.gossip(60);
    let knowing = (0..net.nodes.len()).filter(|node| match &net.nodes[*node].finder {
        Finder::Spiral(spiral) => spiral.view_len() > 0,
        _ => false,
    });
    assert!(
        knowing.count() >= 58,
        "nearly everybody heard of another site"
    );
    let before = net.bytes;
    net.gossip(20);
    assert_eq!(net.bytes - before, 0, "nothing is new, nothing is said");
}

#[test]
fn stale_entries_age_out() {
    let mut net = chain();
    net.start();
    let start = net.index[&PeerId::new(site(0), 0)];
    net.run_for(Duration::from_secs(1_700));
    assert!(net.search(start, usize::MAX, 8).len() > 9);
    let mut net = chain();
    net.start();
    net.run_for(Duration::from_secs(1_900));
    assert_eq!(
        net.search(start, usize::MAX, 8).len(),
        9,
        "only the own site is left"
    );
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let run = || {
        let mut net = chain();
        net.start();
        net.gossip(20);
        let found: Vec<_> = (0..60).flat_map(|node| net.search(node, 20, 3)).collect();
        (found, net.messages, net.bytes)
    };
    assert_eq!(run(), run());
}

fn any_coordinate(entropy: &mut SplitMix64) -> Coordinate {
    let mut place = Coordinate::origin(0.0001, 0.1);
    for part in &mut place.vector {
        *part = match below(entropy, 8) {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => f32::MAX,
            _ => (unit(entropy) * 0.2 - 0.1) as f32,
        };
    }
    place.height = if below(entropy, 5) == 0 { -1.0 } else { 0.001 };
    place.error = f32::from_bits(entropy.next_u64() as u32);
    place
}

fn any_entry(entropy: &mut SplitMix64) -> Entry {
    Entry {
        peer: PeerId::new(site(below(entropy, 200)), entropy.next_u64() % 12),
        place: any_coordinate(entropy),
        standing: if below(entropy, 4) == 0 {
            Standing::Asleep
        } else {
            Standing::Awake
        },
        room: Room(entropy.next_u64() as i8),
        age: entropy.next_u64() as u16,
        measured_micros: entropy.next_u64() as u32,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whoever answers, and whatever: requests end, offers are new, the view stays small.
    #[test]
    fn liars_cannot_keep_a_request_open(seed in any::<u64>()) {
        let mut entropy = SplitMix64::new(seed);
        let mut net = chain();
        let start = net.index[&PeerId::new(site(0), 0)];
        let me = net.nodes[start].me;
        let request = RequestId(77);
        let mut out = Vec::new();
        let mut offered = BTreeSet::new();
        let mut exhausted = false;
        call(&mut net, start, &mut out, |finder, ctx| {
            finder.search(ctx, request, BTreeSet::new(), 6);
        });
        let mut steps = 0;
        // At most six rounds of at most 24 questions, each answered, or timed out, or both.
        while let Some(effect) = out.pop() {
            steps += 1;
            prop_assert!(steps < 4_000, "the request goes on for ever");
            match effect {
                Out::Send { to, message: Message::ViewWanted { request, ask, .. } } => {
                    let count = below(&mut entropy, 150);
                    let entries: Vec<Entry> = (0..count).map(|_| any_entry(&mut entropy)).collect();
                    let view = Message::View { request, ask, entries };
                    if below(&mut entropy, 3) > 0 {
                        let copy = view.clone();
                        call(&mut net, start, &mut out, |finder, ctx| {
                            finder.on_message(ctx, to, copy);
                        });
                    }
                    if below(&mut entropy, 3) == 0 {
                        call(&mut net, start, &mut out, |finder, ctx| {
                            finder.on_message(ctx, to, view);
                        });
                    }
                }
                Out::Send { .. } | Out::Schedule { timer: Timer::Upkeep { .. }, .. } => {}
                Out::Schedule { timer, .. } => {
                    call(&mut net, start, &mut out, |finder, ctx| finder.on_timer(ctx, timer));
                }
                Out::Emit(Event::Neighbours { found, .. }) => {
                    prop_assert!(!found.is_empty() && found.len() <= 6);
                    for one in found {
                        prop_assert!(one.peer != me);
                        prop_assert!(offered.insert(one.peer), "offered twice");
                    }
                    if offered.len() < 36 {
                        call(&mut net, start, &mut out, |finder, ctx| finder.more(ctx, request, 6));
                    }
                }
                Out::Emit(Event::Exhausted { .. }) => exhausted = true,
                Out::Emit(_) => {}
            }
        }
        prop_assert!(exhausted || offered.len() >= 36);
        if let Finder::Spiral(spiral) = &net.nodes[start].finder {
            prop_assert!(spiral.view_len() <= 64);
        }
    }
}

/// Calls a finder and keeps what it wants instead of carrying it out.
fn call(
    net: &mut Net,
    node: usize,
    out: &mut Vec<Out>,
    act: impl FnOnce(&mut Finder, &mut crate::search::Context<'_>),
) {
    net.with(node, |finder, ctx| {
        act(finder, ctx);
        // Timers come last: a question is answered before it times out, if it is answered.
        let wanted = std::mem::take(ctx.out);
        let (timers, others): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|one| matches!(one, Out::Schedule { .. }));
        out.splice(0..0, timers);
        out.extend(others);
    });
}
