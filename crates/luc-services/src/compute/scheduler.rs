//! On which host a server runs: filters, then weights. Pure, and the same for the same input.
//!
//! ```text
//! candidates ─▶ ComputeFilter ─▶ … ─▶ DiskFilter ─▶ heard ─▶ weighed ─▶ the heaviest, by name
//! ```
//!
//! Hosts that were not heard since the controller's start are taken only if no other one is left.
//!
//! A [`View`] holds what the choice depends on. It is filled inside the transaction that makes the
//! claim, so the claim fits at every revision; [`View::claim`] lets one transaction place many
//! servers one after the other. If nothing fits, [`NoValidHost`] says which filter removed how many
//! hosts. One choice takes O(hosts).
//!
//! Called by [`super::claim`]. Names and order of the filters are Nova's (`nova/scheduler`).

mod ask;
mod filter;
pub mod labels;
mod specs;
mod weigh;

use std::collections::BTreeMap;
use std::fmt;

pub use ask::{Ask, GroupAsk};
pub use filter::Filter;

use super::host::{Host, Resources};

/// A host as the scheduler sees it.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// The host.
    pub host: &'a Host,
    /// Whether it has been heard lately and is not declared down.
    pub up: bool,
    /// Whether it was not heard yet and is only thought to be up, as after a start of the
    /// controller.
    pub expected: bool,
    /// Its availability zone.
    pub zone: &'a str,
    /// The metadata of the aggregates it is in.
    pub aggregates: Vec<&'a BTreeMap<String, String>>,
    /// What is claimed of it.
    pub claimed: Resources,
    /// How many servers hold a claim.
    pub instances: u64,
    promisable: Resources,
}

impl<'a> Candidate<'a> {
    /// A host in `zone` that nothing is claimed of.
    pub fn new(host: &'a Host, up: bool, zone: &'a str) -> Self {
        Self {
            host,
            up,
            expected: false,
            zone,
            aggregates: Vec::new(),
            claimed: Resources::default(),
            instances: 0,
            promisable: host.promisable(),
        }
    }

    /// What can still be promised.
    pub fn free(&self) -> Resources {
        self.promisable.minus(self.claimed)
    }
}

/// All hosts of the site.
#[derive(Clone, Debug, Default)]
pub struct View<'a> {
    candidates: Vec<Candidate<'a>>,
}

impl<'a> View<'a> {
    /// A view of these hosts.
    pub fn new(mut candidates: Vec<Candidate<'a>>) -> Self {
        candidates.sort_by(|left, right| left.host.name.cmp(&right.host.name));
        Self { candidates }
    }

    /// The hosts, by name.
    pub fn candidates(&self) -> &[Candidate<'a>] {
        &self.candidates
    }

    /// The host for what is asked.
    pub fn choose(&self, ask: &Ask<'_>) -> Result<&'a Host, NoValidHost> {
        let mut left: Vec<&Candidate<'a>> = self.candidates.iter().collect();
        let mut removed = Vec::new();
        for filter in Filter::ALL {
            let before = left.len();
            left.retain(|candidate| filter.passes(candidate, ask));
            if left.len() < before {
                removed.push((filter, before - left.len()));
            }
        }
        if left.iter().any(|candidate| !candidate.expected) {
            left.retain(|candidate| !candidate.expected);
        }
        match weigh::heaviest(&left, ask) {
            Some(chosen) => Ok(chosen.host),
            None => Err(NoValidHost {
                hosts: self.candidates.len(),
                removed,
            }),
        }
    }

    /// Notes that `size` of the host `name` is now claimed.
    pub fn claim(&mut self, name: &str, size: Resources) {
        if let Ok(at) = self
            .candidates
            .binary_search_by(|c| c.host.name.as_str().cmp(name))
        {
            let candidate = &mut self.candidates[at];
            candidate.claimed = candidate.claimed.plus(size);
            candidate.instances += 1;
        }
    }
}

/// No host fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoValidHost {
    /// How many hosts there are.
    pub hosts: usize,
    /// How many each filter removed, in the order in which they were asked.
    pub removed: Vec<(Filter, usize)>,
}

impl fmt::Display for NoValidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.hosts == 1 { "host" } else { "hosts" };
        write!(
            f,
            "There are not enough hosts available: {} {plural}",
            self.hosts
        )?;
        for (position, (filter, count)) in self.removed.iter().enumerate() {
            let separator = if position == 0 { ':' } else { ',' };
            write!(f, "{separator} {} removed {count}", filter.name())?;
        }
        Ok(())
    }
}

impl std::error::Error for NoValidHost {}

#[cfg(test)]
mod tests;
