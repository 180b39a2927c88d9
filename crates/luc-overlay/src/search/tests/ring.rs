//! The ring under joins, leaves and crashes, and walks along it.

use luc_core::PeerId;
use luc_core::time::Duration;

use super::net::{Net, below, site};
use crate::coordinate::Coordinate;
use crate::members::Change;
use crate::search::point::{Assignment, Point};
use crate::search::{Config, Finder, Kind};

const ASSIGNMENTS: [Assignment; 2] = [Assignment::Hashed, Assignment::SiteOrdered];

fn config(assignment: Assignment) -> Config {
    Config {
        kind: Kind::Chord { assignment },
        ..Config::default()
    }
}

/// A cloud of sites on a line, 5 ms apart.
fn places(sites: usize, per_site: usize) -> Vec<(PeerId, Coordinate)> {
    let mut places = Vec::new();
    for number in 0..sites {
        let mut place = Coordinate::origin(0.0001, 0.1);
        place.vector[0] = number as f32 * 0.005;
        places.extend((0..per_site).map(|node| (PeerId::new(site(number), node as u64), place)));
    }
    places
}

/// A ring whose nodes know their site, and each first node of a site that of the next.
fn ring(sites: usize, per_site: usize, assignment: Assignment, seed: u64) -> Net {
    let mut net = Net::new(&config(assignment), &places(sites, per_site), 0.0, seed);
    let groups = net.introduce_sites();
    net.start();
    for (index, group) in groups.iter().enumerate() {
        let first = groups[(index + 1) % groups.len()][0];
        let contact = net.nodes[first].me;
        for node in group {
            net.change(*node, Change::Contact(contact));
        }
    }
    net
}

fn successors(net: &Net, node: usize) -> &[PeerId] {
    match &net.nodes[node].finder {
        Finder::Chord(chord) => chord.successors(),
        _ => panic!("the ring was asked for"),
    }
}

/// The live nodes in ring order.
fn naive(net: &Net, assignment: Assignment) -> Vec<PeerId> {
    let live = net.nodes.iter().filter(|node| node.alive);
    let mut live: Vec<PeerId> = live.map(|node| node.me).collect();
    live.sort_by_key(|peer| Point::of(*peer, assignment));
    live
}

/// Which share of the live nodes has the right successor.
fn right(net: &Net, assignment: Assignment) -> f64 {
    let ring = naive(net, assignment);
    let right = ring.iter().enumerate().filter(|(place, peer)| {
        let follower = ring[(place + 1) % ring.len()];
        let expected = (follower != **peer).then_some(follower);
        successors(net, net.index[peer]).first().copied() == expected
    });
    right.count() as f64 / ring.len() as f64
}

/// A crash of which membership tells nobody: the ring has to find out by itself.
fn crash(net: &mut Net, node: usize) {
    net.nodes[node].alive = false;
}

fn leave(net: &mut Net, node: usize) {
    net.with(node, Finder::leave);
    net.nodes[node].alive = false;
    tell_site(net, node, Change::Left);
}

fn tell_site(net: &mut Net, node: usize, change: fn(PeerId) -> Change) {
    let me = net.nodes[node].me;
    for other in 0..net.nodes.len() {
        if other != node && net.nodes[other].alive && net.nodes[other].me.site == me.site {
            net.change(other, change(me));
        }
    }
}

fn join(net: &mut Net, node: usize) {
    net.nodes[node].alive = true;
    let site = net.nodes[node].me.site;
    let mates = (0..net.nodes.len())
        .filter(|other| *other != node && net.nodes[*other].alive)
        .filter(|other| net.nodes[*other].me.site == site);
    let mates: Vec<usize> = mates.collect();
    net.introduce(node, mates);
    let config = match &net.nodes[node].finder {
        Finder::Chord(_) => net.config,
        _ => panic!("the ring was asked for"),
    };
    net.nodes[node].finder = Finder::new(&config, net.nodes[node].me, false);
    net.with(node, Finder::start);
    tell_site(net, node, Change::Joined);
}

#[test]
fn a_cloud_started_at_once_is_one_ring_within_ten_seconds() {
    for assignment in ASSIGNMENTS {
        for (sites, per_site) in [(1, 1), (1, 2), (1, 40), (4, 10), (40, 5)] {
            let mut net = ring(sites, per_site, assignment, 1);
            net.run_for(Duration::from_secs(10));
            let right = right(&net, assignment);
            assert!(right >= 1.0, "{assignment:?} {sites}x{per_site}: {right}");
        }
    }
}

#[test]
fn ten_seconds_after_the_last_change_every_successor_is_the_naive_one() {
    for seed in 0..20 {
        let assignment = ASSIGNMENTS[seed as usize % 2];
        let mut net = ring(8, 8, assignment, seed);
        net.run_for(Duration::from_secs(15));
        for _ in 0..12 {
            let node = below(&mut net.entropy, net.nodes.len());
            match (net.nodes[node].alive, below(&mut net.entropy, 2)) {
                (true, 0) => crash(&mut net, node),
                (true, _) => leave(&mut net, node),
                (false, _) => join(&mut net, node),
            }
            let pause = below(&mut net.entropy, 3_000);
            net.run_for(Duration::from_millis(pause as u64));
        }
        net.run_for(Duration::from_secs(10));
        let right = right(&net, assignment);
        assert!(right >= 1.0, "seed {seed}: {right}");
    }
}

#[test]
fn seven_neighbours_may_crash_at_once() {
    for assignment in ASSIGNMENTS {
        for seed in 0..5 {
            let mut net = ring(6, 8, assignment, seed);
            net.run_for(Duration::from_secs(20));
            let order = naive(&net, assignment);
            let first = below(&mut net.entropy, order.len());
            for step in 0..7 {
                let peer = order[(first + step) % order.len()];
                let node = net.index[&peer];
                crash(&mut net, node);
            }
            net.run_for(Duration::from_secs(10));
            let right = right(&net, assignment);
            assert!(right >= 1.0, "{assignment:?} seed {seed}: {right}");
        }
    }
}

#[test]
fn at_one_change_per_node_hour_99_per_cent_of_successors_are_right() {
    let assignment = Assignment::Hashed;
    let mut net = ring(20, 10, assignment, 3);
    net.run_for(Duration::from_secs(20));
    let (mut sum, mut samples) = (0.0, 0);
    // 200 nodes, one change per node-hour: one change per 18 s.
    for _ in 0..60 {
        let node = below(&mut net.entropy, net.nodes.len());
        if net.nodes[node].alive {
            crash(&mut net, node);
        } else {
            join(&mut net, node);
        }
        for _ in 0..18 {
            net.run_for(Duration::from_secs(1));
            sum += right(&net, assignment);
            samples += 1;
        }
    }
    let mean = sum / f64::from(samples);
    assert!(mean >= 0.99, "{mean}");
}

#[test]
fn a_walk_yields_the_ring_in_order_and_each_node_once() {
    let assignment = Assignment::Hashed;
    let mut net = ring(6, 8, assignment, 5);
    net.run_for(Duration::from_secs(15));
    let order = naive(&net, assignment);
    let walked: Vec<PeerId> = net
        .search(7, usize::MAX, 5)
        .iter()
        .map(|one| one.peer)
        .collect();
    let me = net.nodes[7].me;
    let place = order
        .iter()
        .position(|peer| *peer == me)
        .expect("it is on the ring");
    let expected: Vec<PeerId> = (1..order.len())
        .map(|step| order[(place + step) % order.len()])
        .collect();
    assert_eq!(walked, expected);
}

#[test]
fn a_walk_passes_over_the_dead_and_ends() {
    let assignment = Assignment::Hashed;
    let mut net = ring(6, 8, assignment, 6);
    net.run_for(Duration::from_secs(15));
    for node in (0..net.nodes.len()).filter(|node| node % 3 == 1) {
        crash(&mut net, node);
    }
    let walked = net.search(0, usize::MAX, 4);
    let mut peers: Vec<PeerId> = walked.iter().map(|one| one.peer).collect();
    let live = peers
        .iter()
        .filter(|peer| net.nodes[net.index[peer]].alive)
        .count();
    assert!(live >= 20, "{live} of 31 live nodes were offered");
    peers.sort();
    let total = peers.len();
    peers.dedup();
    assert_eq!(peers.len(), total, "none is offered twice");
}
