//! Known networks, Serf's bounds, and inputs that must not be believed.

use luc_core::entropy::Entropy;
use luc_core::{PeerId, SitePrefix};

use super::*;

mod hostile;
mod truth;

fn peer(node: usize) -> PeerId {
    PeerId::new(SitePrefix::from_bytes([0; 6]), node as u64)
}

fn below(entropy: &mut SplitMix64, bound: usize) -> usize {
    (entropy.next_u64() % bound as u64) as usize
}

/// Round trips in seconds between all pairs of nodes.
struct Truth {
    nodes: usize,
    rtt: Vec<f64>,
}

impl Truth {
    fn new(nodes: usize, rtt: impl Fn(usize, usize) -> f64) -> Self {
        let pair = |at: usize| (at / nodes, at % nodes);
        let rtt = (0..nodes * nodes)
            .map(pair)
            .map(|(left, right)| rtt(left.min(right), left.max(right)))
            .collect();
        Self { nodes, rtt }
    }

    fn rtt(&self, left: usize, right: usize) -> f64 {
        self.rtt[left * self.nodes + right]
    }
}

/// A network of learners that probe each other at random.
struct Crowd {
    nodes: Vec<Vivaldi>,
    entropy: SplitMix64,
}

/// Relative errors over all pairs.
#[derive(Debug)]
struct Errors {
    mean: f64,
    max: f64,
}

impl Crowd {
    fn new(nodes: usize, seed: u64) -> Self {
        let node = |at| Vivaldi::new(Config::default(), seed ^ (at as u64) << 32);
        Self {
            nodes: (0..nodes).map(node).collect(),
            entropy: SplitMix64::new(seed),
        }
    }

    /// In each cycle every node probes one random other one.
    fn run(&mut self, truth: &Truth, cycles: usize) {
        for _ in 0..cycles {
            for node in 0..truth.nodes {
                let other = below(&mut self.entropy, truth.nodes);
                if other == node {
                    continue;
                }
                let theirs = *self.nodes[other].coordinate();
                let rtt = Duration::from_secs_f64(truth.rtt(node, other));
                self.nodes[node].observe(peer(other), &theirs, rtt).unwrap();
            }
        }
    }

    fn errors(&self, truth: &Truth) -> Errors {
        let mut sum = 0.0;
        let mut max = 0.0f64;
        let mut pairs = 0.0;
        for left in 0..truth.nodes {
            for right in left + 1..truth.nodes {
                let actual = truth.rtt(left, right);
                let distance = self.nodes[left].distance(self.nodes[right].coordinate());
                let error = (distance.as_secs_f64() - actual).abs() / actual;
                sum += error;
                max = max.max(error);
                pairs += 1.0;
            }
        }
        Errors {
            mean: sum / pairs,
            max,
        }
    }
}
