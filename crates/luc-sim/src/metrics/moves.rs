//! Migrations: how many, how much, how far.

use std::collections::BTreeMap;

use serde::Serialize;

use super::distribution::{Distribution, Spread};
use crate::index::SiteIndex;
use crate::log::Entry;

/// Live migrations.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Moves {
    /// How many began.
    pub begun: u64,
    /// How many ended with the machine at its target.
    pub moved: u64,
    /// How many broke off.
    pub failed: u64,
    /// How many the hosts refused before they began.
    pub refused: u64,
    /// Begun, per violation.
    pub per_violation: f64,
    /// What was sent, in gigabytes of 2^30 bytes.
    pub sent_gib: f64,
    /// How long they took, in seconds.
    pub seconds: Spread,
    /// How long machines stood still, in milliseconds.
    pub downtime_ms: Spread,
    /// The share of moves whose ends are at one site; 1 if there are none.
    pub intra_site: f64,
    /// How many began towards another site.
    pub left_site: u64,
    /// How many of these went to the nearest other site that had room then.
    pub left_to_nearest: u64,
    /// Moves from site to site.
    pub between_sites: Vec<Between>,
}

/// How many machines went from one site to another, or stayed at one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Between {
    /// From which site.
    pub source: SiteIndex,
    /// To which site.
    pub target: SiteIndex,
    /// How many.
    pub moves: u64,
}

/// Watches migrations.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    begun: u64,
    left_site: u64,
    left_to_nearest: u64,
    failed: u64,
    refused: u64,
    sent_mib: u64,
    seconds: Distribution,
    downtime_ms: Distribution,
    between: BTreeMap<(SiteIndex, SiteIndex), u64>,
}

impl Watch {
    pub(super) fn observe(&mut self, entry: &Entry, site: &[SiteIndex]) {
        match entry {
            Entry::MigrationBegan {
                source,
                target,
                nearer_sites,
                ..
            } => {
                self.begun += 1;
                let left = site[source.at()] != site[target.at()];
                self.left_site += u64::from(left);
                self.left_to_nearest += u64::from(left && *nearer_sites == 0);
            }
            Entry::MigrationRefused { .. } => self.refused += 1,
            Entry::MigrationEnded {
                source,
                target,
                moved,
                sent_mib,
                took_ms,
                downtime_us,
                ..
            } => {
                self.sent_mib += u64::from(*sent_mib);
                if *moved {
                    self.seconds.add(f64::from(*took_ms) / 1e3);
                    self.downtime_ms.add(f64::from(*downtime_us) / 1e3);
                    let ends = (site[source.at()], site[target.at()]);
                    *self.between.entry(ends).or_default() += 1;
                } else {
                    self.failed += 1;
                }
            }
            _ => {}
        }
    }

    pub(super) fn summary(&self, violations: u64) -> Moves {
        let inside = self
            .between
            .iter()
            .filter(|((source, target), _)| source == target);
        let inside: u64 = inside.map(|(_, moves)| moves).sum();
        let moved: u64 = self.between.values().sum();
        let between = self.between.iter();
        Moves {
            begun: self.begun,
            moved,
            failed: self.failed,
            refused: self.refused,
            per_violation: self.begun as f64 / violations.max(1) as f64,
            sent_gib: self.sent_mib as f64 / 1_024.0,
            seconds: self.seconds.spread(),
            downtime_ms: self.downtime_ms.spread(),
            intra_site: if moved == 0 {
                1.0
            } else {
                inside as f64 / moved as f64
            },
            left_site: self.left_site,
            left_to_nearest: self.left_to_nearest,
            between_sites: between
                .map(|((source, target), moves)| Between {
                    source: *source,
                    target: *target,
                    moves: *moves,
                })
                .collect(),
        }
    }
}
