//! Overloads: how many, how long.

use luc_core::time::Instant;
use serde::Serialize;

use super::distribution::{Distribution, Spread};
use crate::index::NodeIndex;

/// Violations of the capacity of hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Violations {
    /// How many began.
    pub count: u64,
    /// How long they lasted, in seconds; those that did not end are counted up to the end.
    pub seconds: Spread,
    /// Violation time per host of the cloud, in seconds.
    pub seconds_per_host: f64,
    /// How many had not ended at the end.
    pub open: u64,
}

/// Watches the violations of all hosts.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    since: Vec<Option<Instant>>,
    seconds: Distribution,
    count: u64,
}

impl Watch {
    pub(super) fn new(hosts: usize) -> Self {
        Self {
            since: vec![None; hosts],
            seconds: Distribution::default(),
            count: 0,
        }
    }

    pub(super) fn began(&mut self, host: NodeIndex, at: Instant) {
        self.count += 1;
        self.since[host.at()] = Some(at);
    }

    pub(super) fn ended(&mut self, host: NodeIndex, at: Instant) {
        if let Some(since) = self.since[host.at()].take() {
            self.seconds.add((at - since).as_secs_f64());
        }
    }

    pub(super) fn summary(&self, now: Instant) -> Violations {
        let mut seconds = self.seconds.clone();
        let open = self.since.iter().flatten();
        for since in open.clone() {
            seconds.add((now - *since).as_secs_f64());
        }
        let spread = seconds.spread();
        Violations {
            count: self.count,
            seconds: spread,
            seconds_per_host: spread.sum / self.since.len().max(1) as f64,
            open: open.count() as u64,
        }
    }
}
