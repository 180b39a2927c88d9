//! What is true of the network, and how far predictions are from it.

use luc_core::PeerId;
use luc_core::entropy::SplitMix64;
use luc_core::time::Duration;
use serde::Serialize;

use crate::index::{NodeIndex, SiteIndex};
use crate::network::matrix::draw;
use crate::network::round_trips::RoundTrips;

/// The true round trips, which a latency step can make longer.
#[derive(Clone, Debug)]
pub struct Truth {
    times: RoundTrips,
    nodes: usize,
    nodes_per_site: usize,
    /// What the access link of each node adds since the step.
    late: Vec<Duration>,
    /// Whether that holds between nodes of one site too.
    late_within: bool,
}

/// Relative errors over random pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Errors {
    /// Half of the pairs are predicted better than this.
    pub median: f64,
    /// Nine of ten are.
    pub p90: f64,
}

impl Truth {
    /// Node n is of site n / `nodes_per_site`.
    pub fn new(times: RoundTrips, nodes: usize, nodes_per_site: usize) -> Self {
        Self {
            times,
            nodes,
            nodes_per_site,
            late: vec![Duration::ZERO; nodes],
            late_within: true,
        }
    }

    /// How many nodes there are.
    pub const fn nodes(&self) -> usize {
        self.nodes
    }

    /// How many nodes a site has.
    pub const fn nodes_per_site(&self) -> usize {
        self.nodes_per_site
    }

    /// The site of a node.
    pub const fn site(&self, node: usize) -> SiteIndex {
        SiteIndex((node / self.nodes_per_site) as u16)
    }

    /// The name of a node.
    pub const fn peer(&self, node: usize) -> PeerId {
        NodeIndex(node as u32).peer(self.site(node))
    }

    /// The round trip between two nodes.
    pub fn rtt(&self, left: usize, right: usize) -> Duration {
        let end = |node: usize| (NodeIndex(node as u32), self.site(node));
        let rtt = self.times.between(end(left), end(right));
        if !self.late_within && self.site(left) == self.site(right) {
            return rtt;
        }
        rtt + self.late[left] + self.late[right]
    }

    /// Makes the access links of these nodes longer.
    pub fn hit(&mut self, nodes: std::ops::Range<usize>, by: Duration) {
        for late in &mut self.late[nodes] {
            *late += by;
        }
    }

    /// Makes the uplinks of the sites of these nodes longer: inside a site nothing changes.
    pub fn hit_sites(&mut self, nodes: std::ops::Range<usize>, by: Duration) {
        self.late_within = false;
        self.hit(nodes, by);
    }

    /// The relative errors of `predict`, which gives seconds, over `pairs` pairs that `draw` draws.
    pub fn errors(
        &self,
        pairs: usize,
        mut draw: impl FnMut() -> (usize, usize),
        predict: impl Fn(usize, usize) -> f64,
    ) -> Errors {
        let mut errors: Vec<f64> = (0..pairs)
            .map(|_| {
                let (left, right) = draw();
                let rtt = self.rtt(left, right).as_secs_f64();
                (predict(left, right) - rtt).abs() / rtt
            })
            .collect();
        errors.sort_by(f64::total_cmp);
        let at = |share: f64| errors[(share * (errors.len() - 1) as f64) as usize];
        Errors {
            median: at(0.5),
            p90: at(0.9),
        }
    }

    /// A random node that is not `node`.
    pub fn other_than(&self, node: usize, entropy: &mut SplitMix64) -> usize {
        let other = draw::below(entropy, self.nodes - 1);
        other + usize::from(other >= node)
    }

    /// A random node of another site than `node`'s.
    pub fn far_from(&self, node: usize, entropy: &mut SplitMix64) -> usize {
        let other = draw::below(entropy, self.nodes - self.nodes_per_site);
        let before = other < self.site(node).at() * self.nodes_per_site;
        other + if before { 0 } else { self.nodes_per_site }
    }
}

/// The middle one; absent counts as never and comes last.
pub(super) fn median(mut values: Vec<Option<u32>>) -> Option<u32> {
    values.sort_by_key(|value| value.unwrap_or(u32::MAX));
    values.get(values.len() / 2).copied().flatten()
}
