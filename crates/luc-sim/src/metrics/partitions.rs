//! Partitions: how many, how large, how long to a valid configuration, how much computation.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::time::Instant;
use luc_dvms::event::PartitionEnd;
use serde::Serialize;

use super::distribution::{Distribution, Spread};
use crate::index::SiteIndex;
use crate::log::{Entry, Partition, Record};

/// Partitions, from the first reservation to the last.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Partitions {
    /// How many began.
    pub began: u64,
    /// How many ended with their plan carried out.
    pub solved: u64,
    /// How many ended because the event had gone away.
    pub stale: u64,
    /// How many ended without a solution.
    pub unsolved: u64,
    /// How many made way for others that grew beside them, to come back in a moment.
    pub contended: u64,
    /// How many were taken in by others.
    pub absorbed: u64,
    /// How many ran out of lease.
    pub expired: u64,
    /// How many times another node took the lead.
    pub taken_over: u64,
    /// How many reached the greatest size.
    pub capped: u64,
    /// How many leases ended with migrations under way.
    pub leases_expired: u64,
    /// Members when the solver was last asked, of those that carried out a plan.
    pub size: Spread,
    /// Sites of these members.
    pub sites: Spread,
    /// From the beginning to the first plan, in milliseconds, of those that got one.
    pub to_plan_ms: Spread,
    /// Simulated time of all solver runs of one partition, in milliseconds.
    pub computation_ms: Spread,
    /// From the first plan to the end, in seconds, of those that carried out a plan.
    pub reconfiguration_s: Spread,
    /// From the beginning to the end, in seconds.
    pub life_s: Spread,
    /// How many runs of a solver.
    pub solver_runs: u64,
    /// Search steps of all runs.
    pub solver_steps: u64,
}

/// A partition that has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    began: Instant,
    planned: Option<Instant>,
    steps: u64,
    size: usize,
    sites: usize,
}

/// Watches partitions.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    ns_per_step: u64,
    open: BTreeMap<Partition, Open>,
    counts: Partitions,
    size: Distribution,
    sites: Distribution,
    to_plan_ms: Distribution,
    computation_ms: Distribution,
    reconfiguration_s: Distribution,
    life_s: Distribution,
}

impl Watch {
    pub(super) fn new(ns_per_step: u64) -> Self {
        Self {
            ns_per_step,
            ..Self::default()
        }
    }

    pub(super) fn observe(&mut self, record: &Record, site: &[SiteIndex]) {
        match &record.entry {
            Entry::Began { partition, .. } => {
                self.counts.began += 1;
                let open = Open {
                    began: record.at,
                    planned: None,
                    steps: 0,
                    size: 1,
                    sites: 1,
                };
                self.open.insert(*partition, open);
            }
            Entry::Grew { partition, members } => {
                if let Some(open) = self.open.get_mut(partition) {
                    let sites: BTreeSet<SiteIndex> =
                        members.iter().map(|node| site[node.at()]).collect();
                    open.size = members.len();
                    open.sites = sites.len();
                }
            }
            Entry::TookOver { partition, from } => {
                self.counts.taken_over += 1;
                if let Some(open) = self.open.remove(from) {
                    self.open.insert(*partition, open);
                }
            }
            Entry::CapReached { .. } => self.counts.capped += 1,
            Entry::LeaseExpired { .. } => self.counts.leases_expired += 1,
            Entry::Computed {
                partition, steps, ..
            } => {
                self.counts.solver_runs += 1;
                self.counts.solver_steps += steps;
                if let Some(open) = self.open.get_mut(partition) {
                    open.steps += steps;
                }
            }
            Entry::Planned { partition, .. } => {
                if let Some(open) = self.open.get_mut(partition)
                    && open.planned.is_none()
                {
                    open.planned = Some(record.at);
                    let waited = record.at - open.began;
                    self.to_plan_ms.add(waited.as_secs_f64() * 1e3);
                }
            }
            Entry::Ended { partition, end, .. } => {
                self.count_end(*end);
                self.on_end(*partition, *end, record.at);
            }
            _ => {}
        }
    }

    fn count_end(&mut self, end: PartitionEnd) {
        let count = match end {
            PartitionEnd::Solved => &mut self.counts.solved,
            PartitionEnd::Stale => &mut self.counts.stale,
            PartitionEnd::Unsolved => &mut self.counts.unsolved,
            PartitionEnd::Contended => &mut self.counts.contended,
            PartitionEnd::Absorbed => &mut self.counts.absorbed,
            PartitionEnd::Expired => &mut self.counts.expired,
        };
        *count += 1;
    }

    fn on_end(&mut self, partition: Partition, end: PartitionEnd, at: Instant) {
        let Some(open) = self.open.remove(&partition) else {
            return;
        };
        self.life_s.add((at - open.began).as_secs_f64());
        if open.steps > 0 {
            let nanos = open.steps.saturating_mul(self.ns_per_step);
            self.computation_ms.add(nanos as f64 / 1e6);
        }
        if let (PartitionEnd::Solved, Some(planned)) = (end, open.planned) {
            self.reconfiguration_s.add((at - planned).as_secs_f64());
            self.size.add(open.size as f64);
            self.sites.add(open.sites as f64);
        }
    }

    pub(super) fn summary(&self) -> Partitions {
        Partitions {
            size: self.size.spread(),
            sites: self.sites.spread(),
            to_plan_ms: self.to_plan_ms.spread(),
            computation_ms: self.computation_ms.spread(),
            reconfiguration_s: self.reconfiguration_s.spread(),
            life_s: self.life_s.spread(),
            ..self.counts.clone()
        }
    }
}
