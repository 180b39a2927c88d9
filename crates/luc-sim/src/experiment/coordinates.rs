//! B13: how well coordinates predict round trips, and how soon. Ours and Dabek's 2-D + height see
//! the same network, the same probes and the same measured values.
//!
//! Three cases: *four sites* and *synthetic* are flat (every node probes any other, [`flat`]);
//! *pools* lets the product's own membership decide who probes whom ([`pools`]). Each answers
//! three questions:
//!
//! - the median relative error |predicted − true| / true over random pairs (of different sites in
//!   the pools), once every node has settled;
//! - how many probes a newcomer needs until half of its predictions are within [`USABLE`];
//! - how many probes per node it takes, after the access link of a tenth of the nodes became
//!   longer, until the pairs with such a node are predicted as well as before.
//!
//! It draws everything from a seed and prints nothing; the benchmarks call it.

pub mod dabek;
pub mod flat;
pub mod pools;
mod truth;

use luc_core::time::Duration;
use luc_overlay::SwimConfig;
use luc_overlay::vivaldi::Config;
use serde::Serialize;

use crate::network::matrix::plane::Plane;
use crate::network::matrix::{MatrixError, published};
use flat::Flat;
use pools::Pools;
pub use truth::{Errors, Truth};

/// A node whose median error is at most this can tell near from far.
pub const USABLE: f64 = 0.25;

/// Pairs are predicted as well as before when their median error is at most this many times what
/// it was, or so small that the difference is none in practice.
const RECOVERED: (f64, f64) = (1.25, 0.05);

/// Whether a median error is back to normal.
fn is_recovered(now: f64, before: f64) -> bool {
    now <= (RECOVERED.0 * before).max(RECOVERED.1)
}

/// The share of the nodes that a latency step hits.
const HIT: f64 = 0.1;

/// How many newcomers are tried.
const NEWCOMERS: usize = 25;

/// Nodes per site in the pools, as in the product's benchmarks of scale.
const NODES_PER_SITE: usize = 32;

/// The answers of one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Answers {
    /// Ours.
    pub ours: Errors,
    /// Dabek's 2-D + height, fed by the same probes.
    pub reference: Errors,
    /// Probes of a newcomer (median of [`NEWCOMERS`]) until it is usable; absent if never.
    pub probes_to_usable: Option<u32>,
    /// Probes per node after the latency step until errors are as before; absent if never.
    pub probes_to_recover: Option<u32>,
}

impl Answers {
    /// Our median error divided by the reference's.
    pub fn ratio(&self) -> f64 {
        self.ours.median / self.reference.median
    }
}

/// The published four sites with ten nodes each, flat.
pub fn four_sites(seed: u64) -> Answers {
    let nodes = published::SITES * published::NODES_PER_SITE;
    Flat {
        truth: Truth::new(published::round_trips(), nodes, published::NODES_PER_SITE),
        rounds: 2_000,
        step: Duration::from_millis(10),
        config: Config::default(),
        seed,
    }
    .answer()
}

/// Synthetic hosts on the plane of [`Plane::B13`], flat.
pub fn synthetic(nodes: usize, seed: u64) -> Result<Answers, MatrixError> {
    let times = Plane::B13.round_trips(nodes, 1, seed)?;
    let flat = Flat {
        truth: Truth::new(times, nodes, 1),
        rounds: 2_000,
        step: Duration::from_millis(50),
        config: Config::default(),
        seed,
    };
    Ok(flat.answer())
}

/// The same plane with sites of 32 nodes, through the two pools as shipped. An hour to settle: a
/// node measures the way to another site every 5 to 10 s only, which makes about 400 samples.
pub fn pools(nodes: usize, seed: u64) -> Result<Answers, MatrixError> {
    let sites = nodes.div_ceil(NODES_PER_SITE).max(2);
    let plane = Plane {
        within: Duration::from_micros(200),
        node_access: Duration::from_micros(20),
        ..Plane::B13
    };
    let times = plane.round_trips(sites, NODES_PER_SITE, seed)?;
    let pools = Pools {
        truth: Truth::new(times, sites * NODES_PER_SITE, NODES_PER_SITE),
        settle: Duration::from_secs(3_600),
        recover: Duration::from_secs(1_200),
        step: Duration::from_millis(50),
        swim: SwimConfig::default(),
        config: Config::default(),
        seed,
    };
    Ok(pools.answer())
}

#[cfg(test)]
mod tests;
