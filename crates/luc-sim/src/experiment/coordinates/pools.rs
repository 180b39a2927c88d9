//! The case as shipped: whole overlays with SWIM in two pools decide who probes whom.
//!
//! Nodes begin with the members that a cloud that has long been running would know, and without
//! coordinates. Messages take half a round trip. The reference learns whenever ours did: from the
//! same peer and the same round trip. Errors are over pairs of different sites, most of which never
//! probe each other.

use luc_core::entropy::{Entropy, SplitMix64};
use luc_core::protocol::{Effect, Effects, Input, Protocol as _};
use luc_core::time::{Duration, Instant};
use luc_overlay::vivaldi::Config;
use luc_overlay::{
    Coordinate, Kept, Membership, Message, Overlay, Seed, SwimConfig, Timer, search,
};

use super::dabek::Dabek;
use super::truth::{Errors, Truth, median};
use super::{Answers, HIT, NEWCOMERS, USABLE, is_recovered};
use crate::index::NodeIndex;
use crate::network::matrix::draw;
use crate::queue::Queue;

/// Over how many random pairs an error is taken.
const PAIRS: usize = 20_000;
/// The same for one node's pairs.
const PAIRS_OF_ONE: usize = 300;
/// How often errors are looked at while waiting for a recovery.
const LOOK: Duration = Duration::from_secs(10);
/// A newcomer gives up after so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is run.
#[derive(Clone, Debug)]
pub struct Pools {
    /// The network.
    pub truth: Truth,
    /// After how long the nodes count as settled.
    pub settle: Duration,
    /// How long a recovery may take.
    pub recover: Duration,
    /// By how much the access links of some sites grow after that.
    pub step: Duration,
    /// How membership is timed.
    pub swim: SwimConfig,
    /// Our constants.
    pub config: Config,
    /// What everything is drawn from.
    pub seed: u64,
}

enum Happening {
    Arrives {
        from: usize,
        to: usize,
        message: Message,
    },
    Due {
        node: usize,
        /// Which life of the node asked for it.
        life: u32,
        timer: Timer,
    },
}

struct Run<'a> {
    pools: &'a Pools,
    truth: Truth,
    now: Instant,
    queue: Queue<Happening>,
    overlays: Vec<Overlay>,
    lives: Vec<u32>,
    incarnations: Vec<Kept>,
    reference: Vec<Dabek>,
    effects: Effects<Overlay>,
    directions: SplitMix64,
    pairs: SplitMix64,
}

impl Pools {
    /// Runs it: settle, newcomers, step.
    pub fn answer(&self) -> Answers {
        let mut run = Run::new(self);
        run.until(Instant::ORIGIN + self.settle);
        let (ours, reference) = run.errors();
        let probes_to_usable = run.newcomers();
        let probes_to_recover = run.recover();
        Answers {
            ours,
            reference,
            probes_to_usable,
            probes_to_recover,
        }
    }
}

impl<'a> Run<'a> {
    fn new(pools: &'a Pools) -> Self {
        let nodes = pools.truth.nodes();
        let overlay = |node| Overlay::new(config(pools, node, 0), Kept::default());
        let mut run = Self {
            pools,
            truth: pools.truth.clone(),
            now: Instant::ORIGIN,
            queue: Queue::new(),
            overlays: (0..nodes).map(overlay).collect(),
            lives: vec![0; nodes],
            incarnations: vec![Kept::default(); nodes],
            reference: vec![Dabek::default(); nodes],
            effects: Effects::new(),
            directions: SplitMix64::new(pools.seed ^ 0x0064_6972),
            pairs: SplitMix64::new(pools.seed ^ 0x7061_6972),
        };
        run.seed();
        run
    }

    /// Gives every node the members of its site and the delegates of all.
    fn seed(&mut self) {
        let per_site = self.truth.nodes_per_site();
        let named = |node: usize| (self.truth.peer(node), None::<Coordinate>);
        let all: Vec<_> = (0..self.truth.nodes()).map(named).collect();
        let sites = all.chunks(per_site);
        let first = usize::from(self.pools.swim.delegates);
        let delegates: Vec<_> = sites
            .flat_map(|site| site.iter().take(first))
            .copied()
            .collect();
        for node in 0..all.len() {
            let site = node / per_site * per_site;
            let seed = Seed {
                site: &all[site..(site + per_site).min(all.len())],
                delegates: &delegates,
            };
            self.overlays[node].seed(self.now, &seed, &mut self.effects);
            self.carry_out(node);
        }
    }

    fn until(&mut self, end: Instant) {
        while self.queue.next_time().is_some_and(|next| next <= end) {
            let Some((now, happening)) = self.queue.pop() else {
                break;
            };
            self.now = now;
            self.happen(happening);
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives { from, to, message } => {
                let before = self.overlays[to].samples();
                let peer = self.truth.peer(from);
                let input = Input::Message {
                    from: peer,
                    message,
                };
                self.tell(to, input);
                if self.overlays[to].samples() > before {
                    let theirs = self.reference[from];
                    let rtt = self.truth.rtt(to, from).as_secs_f64();
                    self.reference[to].observe(&theirs, rtt, &mut self.directions);
                }
            }
            Happening::Due { node, life, timer } => {
                if life == self.lives[node] {
                    self.tell(node, Input::Timer(timer));
                }
            }
        }
    }

    fn tell(&mut self, node: usize, input: Input<Overlay>) {
        self.overlays[node].handle(self.now, input, &mut self.effects);
        self.carry_out(node);
    }

    fn carry_out(&mut self, node: usize) {
        for effect in self.effects.drain() {
            match effect {
                Effect::Persist(record) => self.incarnations[node].replay(record),
                Effect::Send { to, message } => {
                    let to = NodeIndex::of_peer(to).at();
                    let arrives = self.now + self.truth.rtt(node, to) / 2;
                    let from = node;
                    self.queue
                        .push(arrives, Happening::Arrives { from, to, message });
                }
                Effect::Schedule { after, timer } => {
                    let life = self.lives[node];
                    self.queue
                        .push(self.now + after, Happening::Due { node, life, timer });
                }
                Effect::Emit(_) => {}
            }
        }
    }

    /// Ours and the reference's, over the same random pairs of different sites.
    fn errors(&self) -> (Errors, Errors) {
        let pairs = || {
            let mut entropy = self.pairs.clone();
            move || {
                let left = draw::below(&mut entropy, self.truth.nodes());
                (left, self.truth.far_from(left, &mut entropy))
            }
        };
        let reference =
            |left: usize, right: usize| self.reference[left].distance(&self.reference[right]);
        (
            self.truth
                .errors(PAIRS, pairs(), |left, right| self.predict(left, right)),
            self.truth.errors(PAIRS, pairs(), reference),
        )
    }

    fn predict(&self, left: usize, right: usize) -> f64 {
        let right = self.overlays[right].coordinate();
        self.overlays[left].coordinate().seconds(right)
    }

    /// Nodes that forget all and start again among settled ones, one at a time.
    fn newcomers(&mut self) -> Option<u32> {
        let step = (self.truth.nodes() / NEWCOMERS).max(1);
        let needed = (0..self.truth.nodes())
            .step_by(step)
            .take(NEWCOMERS)
            .map(|node| self.newcomer(node))
            .collect();
        median(needed)
    }

    fn newcomer(&mut self, node: usize) -> Option<u32> {
        self.lives[node] += 1;
        let kept = Kept {
            coordinate: None,
            ..self.incarnations[node]
        };
        let config = config(self.pools, node, self.lives[node]);
        self.overlays[node] = Overlay::new(config, kept);
        let mate = node ^ 1;
        let far = self.truth.far_from(node, &mut self.directions);
        let contacts = vec![self.truth.peer(mate), self.truth.peer(far)];
        self.tell(
            node,
            Input::Command(luc_overlay::Command::Start { contacts }),
        );
        let end = self.now + PATIENCE;
        let mut samples = 0;
        while self.now < end {
            self.until(self.now + Duration::from_millis(100));
            if self.overlays[node].samples() > samples {
                samples = self.overlays[node].samples();
                if self.errors_of_one(node).median <= USABLE {
                    return Some(samples as u32);
                }
            }
        }
        None
    }

    fn errors_of_one(&self, node: usize) -> Errors {
        let mut entropy = self.pairs.clone();
        let pairs = || (node, self.truth.far_from(node, &mut entropy));
        self.truth
            .errors(PAIRS_OF_ONE, pairs, |left, right| self.predict(left, right))
    }

    /// The access links of the first sites grow: how many samples per node it takes until they are
    /// predicted as well as before.
    fn recover(&mut self) -> Option<u32> {
        let sites = self.truth.nodes() / self.truth.nodes_per_site();
        let hit = ((HIT * sites as f64) as usize).max(1) * self.truth.nodes_per_site();
        let before = self.errors_of(hit).median;
        let samples = self.samples();
        // Each way between a node of such a site and another site grows; inside it nothing does.
        self.truth.hit_sites(0..hit, self.pools.step);
        let end = self.now + self.pools.recover;
        while self.now < end {
            self.until(self.now + LOOK);
            if is_recovered(self.errors_of(hit).median, before) {
                let nodes = self.truth.nodes() as u64;
                return Some(((self.samples() - samples) / nodes) as u32);
            }
        }
        None
    }

    fn samples(&self) -> u64 {
        self.overlays.iter().map(Overlay::samples).sum()
    }

    fn errors_of(&self, hit: usize) -> Errors {
        let mut entropy = self.pairs.clone();
        let pairs = || {
            let left = draw::below(&mut entropy, hit);
            (left, self.truth.far_from(left, &mut entropy))
        };
        self.truth
            .errors(PAIRS / 10, pairs, |left, right| self.predict(left, right))
    }
}

fn config(pools: &Pools, node: usize, life: u32) -> luc_overlay::Config {
    let mut seed = SplitMix64::new(pools.seed ^ (node as u64) << 20 ^ u64::from(life));
    luc_overlay::Config {
        me: pools.truth.peer(node),
        seed: seed.next_u64(),
        membership: Membership::Swim(pools.swim),
        search: search::Config::default(),
        vivaldi: pools.config,
    }
}
