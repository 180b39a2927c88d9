//! Where nodes of a cloud that has long been running believe they are.
//!
//! Springs between sites (Dabek et al. 2004, section 3.2) are relaxed once before the run, from
//! the round trips of the network: one body per site, or one per node where the network is given
//! node by node. Within a site a node's height is half the round trip to its neighbours. Every
//! node is a few per cent off, as measured coordinates are, so that not all nodes of a site see
//! the same order.

use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_overlay::Coordinate;
use luc_overlay::coordinate::DIMENSIONS;

use super::Brains;
use crate::context::Context;
use crate::index::NodeIndex;

/// How often every body looks at others, and at how many each time.
const ROUNDS: u32 = 60;
const OTHERS: u64 = 12;
/// How far a node's coordinate is off, as a share of the way to its neighbours.
const BLUR: f64 = 0.1;

type Vector = [f64; DIMENSIONS];

/// The coordinates of all nodes, in their order.
pub(super) fn learn(context: &Context<Brains>) -> Vec<Coordinate> {
    let nodes = context.nodes();
    let by_node = context.network().is_by_node();
    let mut entropy = SplitMix64::new(0x706C_6163_6573);
    let bodies: Vec<NodeIndex> = if by_node {
        (0..nodes).map(|node| NodeIndex(node as u32)).collect()
    } else {
        first_of_sites(context)
    };
    let heights: Vec<f64> = bodies
        .iter()
        .map(|body| inside(context, *body, by_node) / 2.0)
        .collect();
    let places = relax(context, &bodies, &heights, &mut entropy);
    let mut body = 0;
    (0..nodes as u32)
        .map(|node| {
            let node = NodeIndex(node);
            while bodies.get(body + 1).is_some_and(|next| *next <= node) {
                body += 1;
            }
            let blur = BLUR * heights[body];
            let mut vector = [0.0f32; DIMENSIONS];
            for (axis, value) in vector.iter_mut().enumerate() {
                *value = (places[body][axis] + blur * unit(&mut entropy)) as f32;
            }
            Coordinate {
                vector,
                height: (heights[body] * (1.0 + BLUR * unit(&mut entropy))).max(10e-6) as f32,
                adjustment: 0.0,
                error: 0.1,
            }
        })
        .collect()
}

/// The first node of each site.
fn first_of_sites(context: &Context<Brains>) -> Vec<NodeIndex> {
    let world = context.world();
    let nodes = (0..context.nodes() as u32).map(NodeIndex);
    nodes
        .filter(|node| node.0 == 0 || world.site(*node) != world.site(NodeIndex(node.0 - 1)))
        .collect()
}

/// The round trip to the next node of the same site, in seconds.
fn inside(context: &Context<Brains>, body: NodeIndex, by_node: bool) -> f64 {
    let next = NodeIndex(body.0 + 1);
    let world = context.world();
    if by_node || next.at() >= context.nodes() || world.site(next) != world.site(body) {
        return 0.0002;
    }
    context.network().rtt(body, next).as_secs_f64()
}

/// Lets every body be pulled and pushed by some others until they have settled.
fn relax(
    context: &Context<Brains>,
    bodies: &[NodeIndex],
    heights: &[f64],
    entropy: &mut SplitMix64,
) -> Vec<Vector> {
    let mut places: Vec<Vector> = bodies
        .iter()
        .map(|_| std::array::from_fn(|_| 0.01 * unit(entropy)))
        .collect();
    if bodies.len() < 2 {
        return places;
    }
    for round in 0..ROUNDS {
        // The steps grow smaller, so that the bodies come to rest.
        let step = 0.25 * (1.0 - f64::from(round) / f64::from(ROUNDS)) + 0.01;
        for one in 0..bodies.len() {
            for _ in 0..OTHERS {
                let other = (entropy.next_u64() % bodies.len() as u64) as usize;
                if other == one {
                    continue;
                }
                let wanted = context
                    .network()
                    .rtt(bodies[one], bodies[other])
                    .as_secs_f64();
                let wanted = (wanted - heights[one] - heights[other]).max(0.0);
                pull(&mut places, one, other, wanted, step);
            }
        }
    }
    places
}

/// Moves `one` by a part of what its distance to `other` is off.
fn pull(places: &mut [Vector], one: usize, other: usize, wanted: f64, step: f64) {
    let away: Vector = std::array::from_fn(|axis| places[one][axis] - places[other][axis]);
    let distance = away.iter().map(|part| part * part).sum::<f64>().sqrt();
    if distance < 1e-9 {
        return;
    }
    let force = step * (wanted - distance) / distance;
    for (axis, part) in away.iter().enumerate() {
        places[one][axis] += force * part;
    }
}

/// A number from −1 to 1.
fn unit(entropy: &mut SplitMix64) -> f64 {
    (entropy.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}
