//! Every figure of a run, computed from its log as a stream of records.
//!
//! One file per group of figures; each takes the records it cares for. The names of the fields are
//! those of the tables of `docs/benchmarks.md` with their units. Nothing here looks at the world.

pub mod distribution;
mod energy;
mod moves;
mod partitions;
mod violations;

use luc_core::time::Instant;
use serde::Serialize;

use crate::index::{NodeIndex, SiteIndex};
use crate::log::{Entry, Header, Record};

pub use distribution::{Distribution, Spread};
pub use energy::Hour;
pub use moves::Moves;
pub use partitions::Partitions;
pub use violations::Violations;

/// The figures of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How long the run lasted, in seconds.
    pub duration_s: f64,
    /// How many nodes there were.
    pub nodes: usize,
    /// How many machines.
    pub vms: u32,
    /// Overloads.
    pub violations: Violations,
    /// Migrations.
    pub moves: Moves,
    /// Partitions, or whatever the algorithm logs as such.
    pub partitions: Partitions,
    /// Energy of the whole run, in kilowatt-hours.
    pub energy_kwh: f64,
    /// Energy that migrations took, in kilowatt-hours; contained in the above.
    pub migration_kwh: f64,
    /// Energy, violation and powered time by the hour of the run.
    pub hours: Vec<Hour>,
    /// Messages sent per node and second.
    pub messages_per_node_s: f64,
    /// Bytes sent per node and second.
    pub bytes_per_node_s: f64,
    /// Messages per second over nodes.
    pub messages_of_nodes: Spread,
    /// Inputs that were not acted upon.
    pub ignored: u64,
    /// Nodes that slept at some time.
    pub sleeps: u64,
}

/// Takes the records of a run, one after the other.
#[derive(Clone, Debug)]
pub struct Metrics {
    header: Header,
    site: Vec<SiteIndex>,
    now: Instant,
    violations: violations::Watch,
    moves: moves::Watch,
    partitions: partitions::Watch,
    energy: energy::Watch,
    messages: Distribution,
    bytes: u64,
    messages_total: u64,
    ignored: u64,
    sleeps: u64,
}

impl Metrics {
    /// The metrics of a run with this header, before its first record.
    pub fn new(header: Header) -> Self {
        let sites = header.sites.iter().enumerate();
        let site: Vec<SiteIndex> = sites
            .flat_map(|(site, count)| (0..*count).map(move |_| SiteIndex(site as u16)))
            .collect();
        Self {
            violations: violations::Watch::new(site.len()),
            moves: moves::Watch::default(),
            partitions: partitions::Watch::new(header.solver_ns_per_step),
            energy: energy::Watch::new(&header),
            site,
            header,
            now: Instant::ORIGIN,
            messages: Distribution::default(),
            bytes: 0,
            messages_total: 0,
            ignored: 0,
            sleeps: 0,
        }
    }

    /// What the run is.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The site of `node`.
    pub fn site(&self, node: NodeIndex) -> SiteIndex {
        self.site[node.at()]
    }

    /// Takes the next record.
    pub fn observe(&mut self, record: &Record) {
        self.now = record.at;
        self.energy.observe(record);
        match &record.entry {
            Entry::ViolationBegan { host } => self.violations.began(*host, record.at),
            Entry::ViolationEnded { host } => self.violations.ended(*host, record.at),
            Entry::MigrationBegan { .. }
            | Entry::MigrationRefused { .. }
            | Entry::MigrationEnded { .. } => self.moves.observe(&record.entry, &self.site),
            Entry::Began { .. }
            | Entry::Grew { .. }
            | Entry::Absorbed { .. }
            | Entry::TookOver { .. }
            | Entry::CapReached { .. }
            | Entry::Computed { .. }
            | Entry::Planned { .. }
            | Entry::Ended { .. }
            | Entry::LeaseExpired { .. } => self.partitions.observe(record, &self.site),
            Entry::Ignored { .. } => self.ignored += 1,
            Entry::Power { state, .. } => {
                self.sleeps += u64::from(*state == crate::world::HostState::Asleep);
            }
            Entry::Traffic {
                messages, bytes, ..
            } => {
                self.messages_total += messages;
                self.bytes += bytes;
                self.messages.add(*messages as f64);
            }
            Entry::Demand { .. }
            | Entry::Expected { .. }
            | Entry::Fault { .. }
            | Entry::Reserved { .. }
            | Entry::Freed { .. }
            | Entry::Finished => {}
        }
    }

    /// The figures up to the last record.
    pub fn summary(&self) -> Summary {
        let duration_s = self.now.as_secs_f64();
        let nodes = self.site.len();
        let node_seconds = (duration_s * nodes as f64).max(1e-9);
        let violations = self.violations.summary(self.now);
        let moves = self.moves.summary(violations.count);
        let energy = self.energy.at(self.now);
        let messages_of_nodes = self.messages.spread().scaled(1.0 / duration_s.max(1e-9));
        Summary {
            duration_s,
            nodes,
            vms: self.header.vms,
            violations,
            moves,
            partitions: self.partitions.summary(),
            energy_kwh: energy.kwh(),
            migration_kwh: energy.migration_kwh(),
            hours: energy.hours(),
            messages_per_node_s: self.messages_total as f64 / node_seconds,
            bytes_per_node_s: self.bytes as f64 / node_seconds,
            messages_of_nodes,
            ignored: self.ignored,
            sleeps: self.sleeps,
        }
    }
}

#[cfg(test)]
mod tests;
