//! How many of the nodes that the spiral yields are among the truly nearest, and at what price.

use luc_core::PeerId;

use super::net::{Net, below, site, unit};
use crate::coordinate::Coordinate;
use crate::members::Change;
use crate::search::Config;
use luc_core::entropy::SplitMix64;
use luc_core::time::Duration;

/// Round trips of the published experiment in milliseconds: Grenoble, Luxembourg, Nancy, Rennes.
/// Embedded in a plane by hand: within 1 ms of the table.
const FOUR_SITES: [(f32, f32, f32); 4] = [
    (0.0, 0.0, 0.045),
    (15.2, 6.2, 0.085),
    (14.0, 3.9, 0.135),
    (9.3, 12.8, 0.115),
];

/// How far a node is off its true place, in seconds: some per cent of a typical distance.
const NOISE: f64 = 0.001;

/// A cloud of sites, each at a random place of a square of 60 ms.
fn plane(sites: usize, per_site: usize, seed: u64) -> Vec<(PeerId, Coordinate)> {
    let mut entropy = SplitMix64::new(seed);
    let mut places = Vec::new();
    for number in 0..sites {
        let mut place = Coordinate::origin(0.0001, 0.1);
        place.vector[0] = (unit(&mut entropy) * 0.060) as f32;
        place.vector[1] = (unit(&mut entropy) * 0.060) as f32;
        for node in 0..per_site {
            places.push((PeerId::new(site(number), node as u64), place));
        }
    }
    places
}

fn four_sites() -> Vec<(PeerId, Coordinate)> {
    let mut places = Vec::new();
    for (number, (x, y, height)) in FOUR_SITES.iter().enumerate() {
        let mut place = Coordinate::origin(height / 1000.0, 0.1);
        place.vector[0] = x / 1000.0;
        place.vector[1] = y / 1000.0;
        for node in 0..10 {
            places.push((PeerId::new(site(number), node), place));
        }
    }
    places
}

/// Two delegates per site know `known` random delegates of other sites each.
fn delegate(net: &mut Net, known: usize) {
    let sites = net.introduce_sites();
    let delegates: Vec<usize> = sites
        .iter()
        .flat_map(|nodes| nodes.iter().take(2))
        .copied()
        .collect();
    for node in &delegates {
        let mut chosen: Vec<usize> = Vec::new();
        for _ in 0..known {
            let other = delegates[below(&mut net.entropy, delegates.len())];
            chosen.push(other);
        }
        chosen.retain(|other| net.nodes[*other].me.site != net.nodes[*node].me.site);
        for other in chosen {
            let peer = net.nodes[other].me;
            net.change(*node, Change::Joined(peer));
        }
    }
    net.start();
}

/// Mean recall@`count` over `askers` searches, messages per yielded node, bytes per yielded node.
fn measure(net: &mut Net, askers: usize, count: usize) -> (f64, f64, f64) {
    let (mut hits, mut yielded) = (0, 0);
    let mut spent = (0, 0);
    for _ in 0..askers {
        let asker = below(&mut net.entropy, net.nodes.len());
        let before = (net.messages, net.bytes);
        let found = net.search(asker, count, 4);
        spent.0 += net.messages - before.0;
        spent.1 += net.bytes - before.1;
        yielded += found.len();
        let mut rtts: Vec<Duration> = (0..net.nodes.len())
            .filter(|other| *other != asker)
            .map(|other| net.rtt(asker, other))
            .collect();
        rtts.sort();
        let worst = rtts[count - 1] + Duration::from_nanos(100);
        let near = |peer: PeerId| net.rtt(asker, net.index[&peer]) <= worst;
        hits += found
            .iter()
            .take(count)
            .filter(|one| near(one.peer))
            .count();
    }
    (
        hits as f64 / (askers * count) as f64,
        spent.0 as f64 / yielded as f64,
        spent.1 as f64 / yielded as f64,
    )
}

/// What the same coordinates would give if every node knew all of them.
fn ceiling(net: &mut Net, askers: usize, count: usize) -> f64 {
    let mut hits = 0;
    for _ in 0..askers {
        let asker = below(&mut net.entropy, net.nodes.len());
        let others = |key: &dyn Fn(usize) -> Duration| {
            let mut all: Vec<(Duration, usize)> = (0..net.nodes.len())
                .filter(|other| *other != asker)
                .map(|other| (key(other), other))
                .collect();
            all.sort();
            all
        };
        let worst = others(&|other| net.rtt(asker, other))[count - 1].0 + Duration::from_nanos(100);
        let predicted = others(&|other| net.nodes[asker].place.distance(&net.nodes[other].place));
        hits += predicted[..count]
            .iter()
            .filter(|(_, other)| net.rtt(asker, *other) <= worst)
            .count();
    }
    hits as f64 / (askers * count) as f64
}

/// Recall and messages cold, after a minute of membership traffic, and after every node has
/// searched three times.
fn stages(places: &[(PeerId, Coordinate)], known: usize, learn: bool) -> [(f64, f64, f64); 3] {
    let mut net = Net::new(&Config::default(), places, NOISE, 7);
    delegate(&mut net, known);
    let cold = measure(&mut net, 200, 16);
    net.gossip(60);
    let warm = measure(&mut net, 200, 16);
    if learn {
        for asker in 0..3 * places.len() {
            net.search(asker % places.len(), 16, 4);
        }
    }
    [cold, warm, measure(&mut net, 200, 16)]
}

#[test]
fn at_40_nodes_recall_is_at_least_95_per_cent() {
    for (recall, messages, _) in stages(&four_sites(), 6, true) {
        assert!(recall >= 0.95, "{recall}");
        assert!(messages <= 2.0, "{messages}");
    }
}

#[test]
fn at_1_000_nodes_recall_is_at_least_90_per_cent() {
    for (sites, per_site) in [(100, 10), (200, 5)] {
        let stages = stages(&plane(sites, per_site, 1), 24, true);
        println!("{sites} sites of {per_site}: cold, warm, learnt {stages:.3?}");
        for (recall, messages, _) in stages {
            assert!(recall >= 0.9, "{recall}");
            assert!(messages <= 2.0, "{messages}");
        }
    }
}

#[test]
fn at_10_000_nodes_recall_is_at_least_85_per_cent() {
    let places = plane(1_000, 10, 2);
    let stages = stages(&places, 24, false);
    println!("1 000 sites of 10: cold, warm {stages:.3?}");
    let [cold, warm, _] = stages;
    assert!(warm.0 >= 0.85, "{warm:?}");
    assert!(cold.1 <= 2.0 && warm.1 <= 2.0, "{stages:?}");
    let mut net = Net::new(&Config::default(), &places, NOISE, 7);
    net.introduce_sites();
    let known_to_all = ceiling(&mut net, 100, 16);
    assert!(
        warm.0 > known_to_all,
        "middles and measured round trips beat single coordinates: {} {known_to_all}",
        warm.0
    );
}
