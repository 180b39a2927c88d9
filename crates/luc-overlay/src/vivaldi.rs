//! Learns this node's [`Coordinate`] from round trips that are measured anyway.
//!
//! Each sample pulls or pushes the own place along the line to the peer, by a step that is the
//! larger the less this node trusts itself and the more it trusts the peer. Dabek, Cox, Kaashoek
//! and Morris, "Vivaldi: A Decentralized Network Coordinate System", SIGCOMM 2004, sections 3.4
//! (adaptive step) and 5.4 (height). Hardened as HashiCorp's Serf does: eight dimensions, an
//! adjustment term (Lee et al., IEEE/ACM ToN 18, 2010), gravity towards the origin and a moving
//! median per peer (Ledlie, Gardner and Seltzer, "Network Coordinates in the Wild", NSDI 2007), and
//! a reset when a value leaves the range. Beyond Serf: peers' coordinates are bounded, not only
//! finite, a height's share of a step is bounded, and a run of failed predictions raises the own error at once, so that a node that was
//! moved in the network is not held back by the trust it had earned.
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
        self.missed.clear();
        self.missed_next = 0;
        self.failures = 0;
        Ok(())
    }

    /// Drops what was measured to a peer that is gone.
    pub fn forget(&mut self, peer: PeerId) {
        self.filters.forget(peer);
    }

    /// The spring: own error and place after one sample (Dabek 2004, figure 3).
    fn follow(&mut self, other: &Place, rtt: f64) {
        let config = &self.config;
        let distance = self.place.predicted(other);
        let wrongness = (distance - rtt).abs() / rtt.max(config.wrongness_floor);
        self.watch(wrongness.min(config.error_max));
        let config = &self.config;
        let theirs = other.error.clamp(config.error_min, config.error_max);
        let own = self.place.error.max(config.error_min);
        let weight = own / (own + theirs);
        let share = config.ce * weight;
        let error = wrongness.min(config.error_max) * share + own * (1.0 - share);
        self.place.error = error.clamp(config.error_min, config.error_max);
        let force = config.cc * weight * (rtt - distance);
        self.place.push(other, force, config, &mut self.entropy);
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
            self.failures = 0;
            self.place.error = self.place.error.max(wrongness);
            self.missed.clear();
            self.missed_next = 0;
            self.place.adjustment = 0.0;
        }
    }

    /// The adjustment term: half of what the last samples missed on average.
    fn adjust(&mut self, other: &Place, rtt: f64) {
        let window = usize::from(self.config.adjustment_window);
        if window == 0 {
            return;
        }
        let missed = (rtt - self.place.raw(other)) as f32;
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

    fn reset(&mut self) {
        self.place = Place::origin(&self.config);
        self.missed.clear();
        self.missed_next = 0;
        self.failures = 0;
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
