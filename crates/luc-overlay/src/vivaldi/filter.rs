//! The moving median of each peer's last round trips (Ledlie 2007, section 4.1).
//!
//! One long sample (a queue, a pause) does not move the node; a lasting change does after the
//! second. The number of peers is bounded: who was heard of longest ago is forgotten first.

use luc_core::PeerId;
use luc_core::time::Duration;

use super::config::Config;

/// The longest median window; a third value is what a median needs to outvote one outlier.
const WINDOW_MAX: usize = 3;

#[derive(Clone, Copy, Debug)]
struct Filter {
    peer: PeerId,
    /// The last round trips in seconds, oldest first.
    last: [f32; WINDOW_MAX],
    len: u8,
    /// When it was last used, in samples of this node.
    used: u32,
}

impl Filter {
    /// The median; of two values the lower one, since delays only ever add to a round trip.
    fn median(&self) -> f32 {
        let mut sorted = self.last;
        let values = &mut sorted[..usize::from(self.len)];
        values.sort_by(f32::total_cmp);
        values[(values.len() - 1) / 2]
    }
}

/// The filters of all peers that were measured lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters {
    filters: Vec<Filter>,
    clock: u32,
}

impl Filters {
    /// Adds a sample of `peer` and gives the median of its last ones, in seconds.
    pub(super) fn push(&mut self, peer: PeerId, rtt: Duration, config: &Config) -> f64 {
        let window = usize::from(config.latency_filter).clamp(1, WINDOW_MAX);
        self.clock = self.clock.wrapping_add(1);
        let at = self.slot(peer, usize::from(config.peers_max).max(1));
        let filter = &mut self.filters[at];
        filter.used = self.clock;
        if usize::from(filter.len) >= window {
            filter.last.copy_within(1..window, 0);
            filter.len = window as u8 - 1;
        }
        filter.last[usize::from(filter.len)] = rtt.as_secs_f32();
        filter.len += 1;
        f64::from(filter.median())
    }

    /// The shortest median of all peers, in seconds; zero without any.
    pub(super) fn nearest(&self) -> f64 {
        let nearest = self.filters.iter().map(Filter::median).reduce(f32::min);
        f64::from(nearest.unwrap_or(0.0))
    }

    pub(super) fn forget(&mut self, peer: PeerId) {
        self.filters.retain(|filter| filter.peer != peer);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.filters.len()
    }

    /// The place of `peer`'s filter, made if need be.
    fn slot(&mut self, peer: PeerId, peers_max: usize) -> usize {
        if let Some(at) = self.filters.iter().position(|filter| filter.peer == peer) {
            return at;
        }
        let fresh = Filter {
            peer,
            last: [0.0; WINDOW_MAX],
            len: 0,
            used: self.clock,
        };
        if self.filters.len() < peers_max {
            self.filters.push(fresh);
            return self.filters.len() - 1;
        }
        let clock = self.clock;
        let oldest = (0..self.filters.len())
            .max_by_key(|at| clock.wrapping_sub(self.filters[*at].used))
            .unwrap_or(0);
        self.filters[oldest] = fresh;
        oldest
    }
}
