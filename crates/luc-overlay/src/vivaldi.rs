//! Learns this node's [`Coordinate`] from round trips that are measured anyway.
//!
//! Each sample pulls or pushes the own place along the line to the peer, by a step that is the
//! larger the less this node trusts itself and the more it trusts the peer. Dabek, Cox, Kaashoek
//! and Morris, "Vivaldi: A Decentralized Network Coordinate System", SIGCOMM 2004, sections 3.4
//! (adaptive step) and 5.4 (height). Hardened as HashiCorp's Serf does: eight dimensions, an
//! adjustment term (Lee et al., IEEE/ACM ToN 18, 2010), gravity towards the origin and a moving
//! median per peer (Ledlie, Gardner and Seltzer, "Network Coordinates in the Wild", NSDI 2007), and
//! a reset when a value leaves the range.
//!
//! Beyond Serf: peers' coordinates are bounded, not only finite; a height's share of a step is
//! bounded; a run of failed predictions raises the own error at once, so that a node that was moved
//! in the network is not held back by the trust it had earned. And in a network that scatters (a
//! settled node that still predicts badly) steps shrink with the number of samples, detours are
//! cut, long round trips count less, and heights learn as fast as vectors do: on the plane with
//! noise of experiment B13 that takes the median error from 0.160 to 0.117 after 1 000 probes. In a
//! network that does not, the plain rules hold and converge sooner. Neighbours on the LAN of a node
//! that knows its way to other sites hold it close, but say nothing about its error: counted alike,
//! they drown what the few samples of other sites teach (pools of B13 after 1 800 s: 0.13 to 0.15
//! alike, 0.12 to 0.14 apart).
//!
//! Two coordinates are kept, as Ledlie proposes: [`Vivaldi::coordinate`] follows every sample and
//! travels on probes; [`Vivaldi::published`] is what services and disks see and changes only when
//! the node has moved far enough.
//!
//! Called by the overlay's protocol with each measured round trip. It sends nothing and reads no
//! clock.

mod config;
mod filter;
mod rejected;
mod space;

pub use config::Config;
pub use rejected::Rejected;

use luc_core::PeerId;
use luc_core::entropy::SplitMix64;
use luc_core::time::Duration;

use crate::coordinate::Coordinate;
use filter::Filters;
use space::Place;

/// A node that is wrong by more than this share of what it predicts is lost.
const LOST: f64 = 0.5;

/// Round trips below this share of the root mean square of all are near.
const NEAR: f64 = 0.05;

/// How much one sample counts in the moving average of round trips.
const USUAL_SHARE: f64 = 0.02;

/// What an accepted sample did to the published coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It was replaced: worth keeping and telling.
    Far,
    /// It stands.
    Little,
}

/// The learner.
#[derive(Clone, Debug)]
pub struct Vivaldi {
    config: Config,
    place: Place,
    current: Coordinate,
    published: Coordinate,
    /// What the last samples missed, oldest overwritten first; grows to the configured window.
    missed: Vec<f32>,
    missed_next: u8,
    /// Samples in a row that the own coordinate predicted badly.
    failures: u8,
    /// Samples since the node started or lost its place.
    settled: u16,
    /// The moving average of round trips that are not near, in seconds.
    usual_rtt: f64,
    /// The moving average of the squares of all round trips.
    reach_square: f64,
    resets: u32,
    samples: u64,
    filters: Filters,
    entropy: SplitMix64,
}

impl Vivaldi {
    /// A node that knows nothing yet. `seed` decides which way it leaves a peer that sits at the
    /// very same place.
    pub fn new(config: Config, seed: u64) -> Self {
        let place = Place::origin(&config);
        let current = place.coordinate();
        Self {
            config,
            place,
            current,
            published: current,
            missed: Vec::new(),
            missed_next: 0,
            failures: 0,
            settled: 0,
            usual_rtt: 0.0,
            reach_square: 0.0,
            resets: 0,
            samples: 0,
            filters: Filters::default(),
            entropy: SplitMix64::new(seed),
        }
    }

    /// Where this node is after the last sample; what probes carry.
    pub const fn coordinate(&self) -> &Coordinate {
        &self.current
    }

    /// Where this node was when it last moved far; what services and disks see.
    pub const fn published(&self) -> &Coordinate {
        &self.published
    }

    /// The expected round trip to a node at `other`.
    pub fn distance(&self, other: &Coordinate) -> Duration {
        self.current.distance(other)
    }

    /// How often the own coordinate had to be thrown away.
    pub const fn resets(&self) -> u32 {
        self.resets
    }

    /// How many samples were accepted since the start.
    pub const fn samples(&self) -> u64 {
        self.samples
    }

    /// Takes one measured round trip to `peer`, which says that it is at `theirs`.
    pub fn observe(
        &mut self,
        peer: PeerId,
        theirs: &Coordinate,
        rtt: Duration,
    ) -> Result<Moved, Rejected> {
        rejected::check_coordinate(theirs, &self.config)?;
        rejected::check_round_trip(rtt, &self.config)?;
        let filtered = self.filters.push(peer, rtt, &self.config);
        let other = Place::of(theirs);
        self.follow(&other, filtered);
        self.adjust(&other, filtered);
        self.place.fall(&self.config, &mut self.entropy);
        self.samples += 1;
        if !self.place.is_sound(&self.config) {
            self.reset();
        }
        self.current = self.place.coordinate();
        Ok(self.publish())
    }

    /// Starts from a coordinate that was kept over a restart. A damaged one is refused and the
    /// node starts from nothing.
    pub fn restore(&mut self, kept: Coordinate) -> Result<(), Rejected> {
        rejected::check_coordinate(&kept, &self.config)?;
        self.place = Place::of(&kept);
        self.place.height = self.place.height.max(self.config.height_min);
        // The network may have changed meanwhile: known, but open to doubt.
        let doubt = self.place.error.max(self.config.restored_error);
        self.place.error = doubt.min(self.config.error_max);
        self.current = self.place.coordinate();
        self.published = self.current;
        self.unsettle();
        Ok(())
    }

    /// Drops what was measured to a peer that is gone.
    pub fn forget(&mut self, peer: PeerId) {
        self.filters.forget(peer);
    }

    /// The spring: own error and place after one sample (Dabek 2004, figure 3).
    fn follow(&mut self, other: &Place, rtt: f64) {
        let distance = self.place.predicted(other);
        if self.is_near(rtt) {
            return self.huddle(other, rtt - distance);
        }
        let wrongness = (distance - rtt).abs() / rtt.max(self.config.wrongness_floor);
        let wrongness = wrongness.min(self.config.error_max);
        self.watch(wrongness);
        let (least, most) = (self.config.error_min, self.config.error_max);
        let bounded = |error: f64| error.clamp(least, most);
        let (own, theirs) = (bounded(self.place.error), bounded(other.error));
        let weight = own / (own + theirs);
        let share = self.config.ce * weight;
        let believed = self.believed(rtt - distance, distance, theirs);
        let force = self.gain(rtt) * weight * believed;
        self.place.error = bounded(wrongness * share + own * (1.0 - share));
        let least = if self.is_noisy() {
            self.config.height_share
        } else {
            0.0
        };
        self.place
            .push(other, force, least, &self.config, &mut self.entropy);
    }

    /// Whether a sample is of another scale than those that place the node: a neighbour on the LAN
    /// of a node that knows its way to other sites. What such samples say is precise in
    /// milliseconds and tells nothing about how well far nodes are predicted.
    fn is_near(&mut self, rtt: f64) -> bool {
        let square = rtt * rtt;
        if self.reach_square <= 0.0 {
            self.reach_square = square;
        }
        self.reach_square += USUAL_SHARE * (square - self.reach_square);
        square < NEAR * NEAR * self.reach_square
    }

    /// Keeps together with a near neighbour: no word about errors, no haste, no doubt.
    fn huddle(&mut self, other: &Place, missing: f64) {
        let weight = self.place.error / (self.place.error + other.error).max(f64::MIN_POSITIVE);
        let force = self.config.cc * weight * missing;
        self.place
            .push(other, force, 0.0, &self.config, &mut self.entropy);
    }

    /// Whether samples scatter around a place that the node has had time to find. A node that is
    /// lost believes them whatever they say, and so does one that is precise: for both the plain
    /// rules are the quickest.
    fn is_noisy(&self) -> bool {
        let scattered = self.config.precise..=LOST;
        self.settled >= self.config.patience && scattered.contains(&self.place.error)
    }

    /// What a sample says is missing, cut where it is more than the two errors explain.
    fn believed(&self, missing: f64, distance: f64, theirs: f64) -> f64 {
        if !self.is_noisy() {
            return missing;
        }
        let most = self.config.outlier * (self.place.error + theirs) * distance;
        // Not `clamp`, which panics where something is not a number; that is found later.
        missing.max(-most).min(most)
    }

    /// The share of what is missing that this sample may move the node by: falls as the node
    /// settles, so that noise averages out, and is less for long round trips.
    fn gain(&mut self, rtt: f64) -> f64 {
        self.settled = self.settled.saturating_add(1);
        if self.usual_rtt <= 0.0 {
            self.usual_rtt = rtt;
        }
        self.usual_rtt += USUAL_SHARE * (rtt - self.usual_rtt);
        let config = &self.config;
        if !self.is_noisy() {
            return config.cc;
        }
        let patience = f64::from(config.patience) / f64::from(self.settled);
        // The error of a round trip grows with its length; the weight is the inverse variance.
        let usual = self.usual_rtt / rtt;
        config.cc * patience.max(config.noisy_share) * (usual * usual).clamp(config.far_share, 1.0)
    }

    /// Raises the own error when predictions keep failing that the own error says are good.
    fn watch(&mut self, wrongness: f64) {
        let expected = self.config.failing_least.max(2.0 * self.place.error);
        if wrongness <= expected {
            self.failures = 0;
            return;
        }
        self.failures += 1;
        if self.failures >= self.config.failing_run {
            self.place.error = self.place.error.max(wrongness);
            self.place.adjustment = 0.0;
            self.unsettle();
        }
    }

    /// The adjustment term: half of what the last samples missed on average.
    fn adjust(&mut self, other: &Place, rtt: f64) {
        let window = usize::from(self.config.adjustment_window);
        if window == 0 {
            return;
        }
        let raw = self.place.raw(other);
        let missed = self.believed(rtt - raw, raw, other.error) as f32;
        if self.missed.len() < window {
            self.missed.push(missed);
        } else if let Some(oldest) = self.missed.get_mut(usize::from(self.missed_next)) {
            *oldest = missed;
            self.missed_next = (self.missed_next + 1) % self.config.adjustment_window;
        }
        let sum: f64 = self.missed.iter().copied().map(f64::from).sum();
        // Divided by the whole window: a few first samples must not bend much.
        self.place.adjustment = sum / (2.0 * window as f64);
    }

    /// Forgets what made the node sure of its place.
    fn unsettle(&mut self) {
        self.missed.clear();
        self.missed_next = 0;
        self.failures = 0;
        self.settled = 0;
        self.usual_rtt = 0.0;
    }

    fn reset(&mut self) {
        self.place = Place::origin(&self.config);
        self.unsettle();
        self.filters = Filters::default();
        self.resets += 1;
    }

    /// Replaces the published coordinate when it misleads by more than both thresholds, or when
    /// the node has become much surer (or less sure) than it said.
    fn publish(&mut self) -> Moved {
        let drift = space::drift(&self.current, &self.published);
        let surer = self.current.error * 2.0 < self.published.error;
        let doubtful = self.current.error > self.published.error * 2.0;
        let far = drift > self.config.moved_absolute
            && drift > self.config.moved_relative * self.filters.nearest();
        if far || surer || doubtful {
            self.published = self.current;
            Moved::Far
        } else {
            Moved::Little
        }
    }
}

#[cfg(test)]
mod tests;
