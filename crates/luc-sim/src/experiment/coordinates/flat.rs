//! The flat case: in each round every node probes one other, drawn at random.

use luc_core::entropy::{Entropy, SplitMix64};
use luc_core::time::Duration;
use luc_overlay::vivaldi::{Config, Vivaldi};

use super::dabek::Dabek;
use super::truth::{Errors, Truth, median};
use super::{Answers, HIT, NEWCOMERS, USABLE, is_recovered};
use crate::network::matrix::draw;

/// Over how many random pairs an error is taken.
const PAIRS: usize = 50_000;
/// The same for one node's pairs.
const PAIRS_OF_ONE: usize = 500;
/// A newcomer gives up after so many probes.
const PATIENCE: u32 = 100;
/// So many rounds after a step the network gives up.
const ROUNDS_TO_RECOVER: u32 = 2_000;
/// How often the errors are looked at after a step, in rounds.
const LOOK: u32 = 5;

/// What is run.
#[derive(Clone, Debug)]
pub struct Flat {
    /// The network.
    pub truth: Truth,
    /// After how many rounds the nodes count as settled.
    pub rounds: u32,
    /// By how much the access links of some nodes grow then.
    pub step: Duration,
    /// Our constants.
    pub config: Config,
    /// What everything is drawn from.
    pub seed: u64,
}

/// All nodes, each twice: ours and the reference.
pub struct World {
    truth: Truth,
    config: Config,
    ours: Vec<Vivaldi>,
    reference: Vec<Dabek>,
    probes: SplitMix64,
    directions: SplitMix64,
    pairs: SplitMix64,
}

impl Flat {
    /// Runs it: settle, newcomers, step.
    pub fn answer(&self) -> Answers {
        let mut world = World::new(self);
        for _ in 0..self.rounds {
            world.round();
        }
        let (ours, reference) = world.errors();
        let probes_to_usable = world.newcomers();
        let probes_to_recover = world.recover(self.step);
        Answers {
            ours,
            reference,
            probes_to_usable,
            probes_to_recover,
        }
    }
}

impl World {
    /// Everybody at the origin.
    pub fn new(flat: &Flat) -> Self {
        let ours = (0..flat.truth.nodes() as u64)
            .map(|node| Vivaldi::new(flat.config, flat.seed ^ (node << 24)))
            .collect();
        Self {
            config: flat.config,
            ours,
            reference: vec![Dabek::default(); flat.truth.nodes()],
            truth: flat.truth.clone(),
            probes: SplitMix64::new(flat.seed),
            directions: SplitMix64::new(flat.seed ^ 0x0064_6972),
            pairs: SplitMix64::new(flat.seed ^ 0x7061_6972),
        }
    }

    /// Every node probes one other.
    pub fn round(&mut self) {
        for node in 0..self.truth.nodes() {
            let other = self.truth.other_than(node, &mut self.probes);
            self.probe(node, other);
        }
    }

    fn probe(&mut self, node: usize, other: usize) {
        let rtt = self.truth.rtt(node, other);
        let theirs = self.reference[other];
        self.reference[node].observe(&theirs, rtt.as_secs_f64(), &mut self.directions);
        let theirs = *self.ours[other].coordinate();
        // A round trip that is refused teaches nothing; the errors will show it.
        let _ = self.ours[node].observe(self.truth.peer(other), &theirs, rtt);
    }

    /// Ours and the reference's, over the same random pairs.
    pub fn errors(&self) -> (Errors, Errors) {
        let pairs = || {
            let mut entropy = self.pairs.clone();
            move || {
                let left = draw::below(&mut entropy, self.truth.nodes());
                (left, self.truth.other_than(left, &mut entropy))
            }
        };
        let ours = |left: usize, right: usize| self.predict(left, right);
        let reference =
            |left: usize, right: usize| self.reference[left].distance(&self.reference[right]);
        (
            self.truth.errors(PAIRS, pairs(), ours),
            self.truth.errors(PAIRS, pairs(), reference),
        )
    }

    fn predict(&self, left: usize, right: usize) -> f64 {
        let right = self.ours[right].coordinate();
        self.ours[left].coordinate().seconds(right)
    }

    /// How many probes nodes need that start anew among settled ones.
    pub fn newcomers(&mut self) -> Option<u32> {
        let needed = (0..NEWCOMERS.min(self.truth.nodes()))
            .map(|at| self.newcomer(at * self.truth.nodes() / NEWCOMERS.max(1)))
            .collect();
        median(needed)
    }

    fn newcomer(&mut self, node: usize) -> Option<u32> {
        let fresh = Vivaldi::new(self.config, self.directions.next_u64());
        let settled = std::mem::replace(&mut self.ours[node], fresh);
        let reference = self.reference[node];
        let needed = (1..=PATIENCE).find(|_| {
            let other = self.truth.other_than(node, &mut self.probes);
            self.probe(node, other);
            let mut entropy = self.pairs.clone();
            let pairs = || (node, self.truth.other_than(node, &mut entropy));
            let errors = self
                .truth
                .errors(PAIRS_OF_ONE, pairs, |left, right| self.predict(left, right));
            errors.median <= USABLE
        });
        self.ours[node] = settled;
        self.reference[node] = reference;
        needed
    }

    /// How many rounds it takes after a latency step until the nodes that were hit are as well
    /// predicted as before.
    pub fn recover(&mut self, step: Duration) -> Option<u32> {
        let hit = ((HIT * self.truth.nodes() as f64) as usize).max(1);
        let before = self.errors_of(hit).median;
        self.truth.hit(0..hit, step);
        let mut rounds = 0;
        while rounds < ROUNDS_TO_RECOVER {
            for _ in 0..LOOK {
                self.round();
            }
            rounds += LOOK;
            if is_recovered(self.errors_of(hit).median, before) {
                return Some(rounds);
            }
        }
        None
    }

    /// The errors of pairs of which one is among the first `hit` nodes.
    fn errors_of(&self, hit: usize) -> Errors {
        let mut entropy = self.pairs.clone();
        let pairs = || {
            let left = draw::below(&mut entropy, hit);
            (left, self.truth.other_than(left, &mut entropy))
        };
        self.truth
            .errors(PAIRS / 10, pairs, |left, right| self.predict(left, right))
    }
}
