//! The random overlay: everybody is drawn about equally often.

use luc_core::PeerId;

use super::net::{Net, below, site};
use crate::coordinate::Coordinate;
use crate::members::Change;
use crate::search::{Config, Kind};

/// Sites of ten; each first node knows that of the next site.
fn cloud(sites: usize) -> Net {
    let mut places = Vec::new();
    for number in 0..sites {
        let place = Coordinate::origin(0.001, 0.1);
        places.extend((0..10).map(|node| (PeerId::new(site(number), node), place)));
    }
    let config = Config {
        kind: Kind::Random,
        ..Config::default()
    };
    let mut net = Net::new(&config, &places, 0.0, 9);
    let groups = net.introduce_sites();
    net.start();
    for index in 0..groups.len() {
        let contact = net.nodes[groups[(index + 1) % groups.len()][0]].me;
        let first = groups[index][0];
        net.change(first, Change::Contact(contact));
    }
    net
}

#[test]
fn draws_reach_every_site_about_equally_often() {
    let mut net = cloud(12);
    net.gossip(300);
    let mut drawn = vec![0_u32; net.nodes.len()];
    for _ in 0..3_000 {
        let node = below(&mut net.entropy, net.nodes.len());
        for one in net.search(node, 2, 2) {
            drawn[net.index[&one.peer]] += 1;
        }
        if below(&mut net.entropy, 10) == 0 {
            net.gossip(1);
        }
    }
    let mut of_site = vec![0; 12];
    for (node, count) in drawn.iter().enumerate() {
        let number = (0..12).position(|number| site(number) == net.nodes[node].me.site);
        of_site[number.expect("every node has a site")] += count;
    }
    let mean = of_site.iter().sum::<u32>() / 12;
    assert!(mean >= 450, "{of_site:?}");
    let fair = |count: &u32| (mean / 2..mean * 2).contains(count);
    assert!(of_site.iter().all(fair), "{of_site:?}");
    let never = drawn.iter().filter(|count| **count == 0).count();
    assert!(never <= 6, "{never} of 120 nodes were never drawn");
}

#[test]
fn a_draw_of_everybody_ends_and_offers_nobody_twice() {
    let mut net = cloud(3);
    net.gossip(200);
    let mut found: Vec<PeerId> = net
        .search(4, usize::MAX, 5)
        .iter()
        .map(|one| one.peer)
        .collect();
    found.sort();
    let total = found.len();
    found.dedup();
    assert_eq!(found.len(), total);
    assert_eq!(total, 29, "the sample of 32 holds this whole cloud");
    assert_eq!(net.nodes[4].finder.open_requests(), 0);
}

#[test]
fn silent_nodes_do_not_block_a_draw() {
    let mut net = cloud(6);
    net.gossip(100);
    for node in 0..net.nodes.len() {
        net.nodes[node].mute = node % 2 == 0;
    }
    for node in [1, 3, 5] {
        assert!(net.search(node, 20, 4).len() >= 20);
    }
}
