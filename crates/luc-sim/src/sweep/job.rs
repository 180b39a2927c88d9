//! One cell of a benchmark's table: what is run, and how often.

use crate::scenario::{Algorithm, BrokenRule, Experiment, Membership};

/// What a row of a table is, which decides how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The product's default.
    Ours,
    /// The published algorithm, rebuilt: `relay`, random overlay, first group of 2.
    Replica,
    /// Everything else.
    Baseline,
}

/// What is run.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A simulation of this experiment.
    Run(Box<Experiment>),
    /// Coordinates alone, on a matrix of round trips (B13).
    Coordinates(Coordinates),
    /// The search of the overlay alone: does it find the true nearest?
    Recall {
        /// How many nodes.
        nodes: u32,
    },
    /// Random faults against a protocol with one rule switched off, until a checker notices.
    Caught {
        /// The rule.
        rule: BrokenRule,
        /// After so many seeds it is given up.
        seeds: u64,
    },
    /// Random faults over so many seeds, from the job's seed on (B8).
    Check {
        /// How many.
        seeds: u64,
    },
}

/// On which round trips and how coordinates are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// The four sites with ten nodes each; every node probes any other.
    FourSites,
    /// 1 740 synthetic hosts; every node probes any other.
    Synthetic {
        /// How many hosts.
        nodes: u32,
    },
    /// The same hosts as sites of nodes, probed through the two pools of the membership only.
    Pools {
        /// How many nodes.
        nodes: u32,
    },
}

/// One cell: a row, a column, and what is run for it.
#[derive(Clone, Debug)]
pub struct Job {
    /// The row of the benchmark's tables.
    pub row: String,
    /// The column.
    pub column: String,
    /// What the row is.
    pub role: Role,
    /// What is run. The seed of an experiment is set by [`Job::seeded`].
    pub work: Work,
    /// Over how many seeds, from 1 on.
    pub seeds: u32,
}

impl Job {
    /// The job that runs `experiment` for a row and a column.
    pub(super) fn run(
        row: &str,
        column: &(impl ToString + ?Sized),
        role: Role,
        experiment: Experiment,
        seeds: u32,
    ) -> Self {
        Self {
            row: row.to_owned(),
            column: column.to_string(),
            role,
            work: Work::Run(Box::new(experiment)),
            seeds,
        }
    }

    /// The work under one seed.
    pub fn seeded(&self, seed: u64) -> Work {
        let mut work = self.work.clone();
        if let Work::Run(experiment) = &mut work {
            experiment.seed = seed;
        }
        work
    }

    /// Names the work, whatever it is called and whatever its seed: equal work of two benchmarks
    /// is run once, and changed work is run again.
    pub fn key(&self) -> String {
        let mut work = self.seeded(0);
        if let Work::Run(experiment) = &mut work {
            experiment.name = String::new();
        }
        format!("{:016x}", fnv(format!("{work:?}").as_bytes()))
    }

    /// How many nodes it simulates.
    pub fn nodes(&self) -> u32 {
        match &self.work {
            Work::Run(experiment) => experiment.topology.nodes(),
            Work::Coordinates(Coordinates::FourSites) => 40,
            Work::Coordinates(Coordinates::Synthetic { nodes } | Coordinates::Pools { nodes })
            | Work::Recall { nodes } => *nodes,
            Work::Check { .. } | Work::Caught { .. } => 64,
        }
    }

    /// How long one seed takes, in seconds, roughly: for the order of work and the time left.
    pub fn weight(&self) -> f64 {
        match &self.work {
            Work::Run(experiment) => run_weight(experiment),
            Work::Coordinates(Coordinates::FourSites) => 0.02,
            Work::Caught { .. } => 1.0,
            Work::Coordinates(Coordinates::Synthetic { nodes }) => f64::from(*nodes) * 1.2e-3,
            Work::Coordinates(Coordinates::Pools { nodes }) => f64::from(*nodes) * 0.027,
            Work::Recall { nodes } => f64::from(*nodes) * 1.5e-3,
            Work::Check { seeds } => *seeds as f64 * 0.048,
        }
    }
}

/// Seconds of one run, roughly, as measured on one core of 2024.
fn run_weight(experiment: &Experiment) -> f64 {
    let nodes = f64::from(experiment.topology.nodes());
    let node_seconds = nodes * experiment.duration.as_secs_f64();
    let swim = experiment.membership == Membership::Swim;
    let (each, start) = match &experiment.algorithm {
        // The more nodes there are, the less of what they know is near the processor; delegates of
        // all sites learn each other's names at the start.
        Algorithm::Star(_) | Algorithm::Relay(_) if swim => {
            let sites = f64::from(experiment.topology.sites);
            (4.5e-7 * nodes.powf(0.35), 1.4e-9 * sites.powi(3))
        }
        Algorithm::Star(_) | Algorithm::Relay(_) => (1.2e-8 * nodes.powf(0.25), 0.0),
        // Whoever sees the whole cloud thinks the longer the greater it is, and the longest about
        // who may sleep.
        Algorithm::Centralised(central) | Algorithm::Entropy(central) | Algorithm::Ffd(central) => {
            let sleep = if central.energy { 1.6e-6 } else { 0.0 };
            (nodes * 1.7e-10 + sleep, 0.0)
        }
        Algorithm::Hierarchical(_) | Algorithm::None => (2e-8, 0.0),
    };
    0.01 + start + node_seconds * each
}

/// Fowler, Noll and Vo's hash, variant 1a, 64 bits: stable over versions and machines.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_follows_the_work_and_not_its_name_or_seed() {
        let job = |name: &str, seed, nodes| {
            let mut experiment = Experiment {
                name: name.to_owned(),
                seed,
                ..Experiment::default()
            };
            experiment.topology.nodes_per_site = nodes;
            Job::run("row", "128", Role::Ours, experiment, 5).key()
        };
        assert_eq!(job("a", 1, 32), job("b", 2, 32));
        assert_ne!(job("a", 1, 32), job("a", 1, 31));
    }

    #[test]
    fn the_reference_values_of_the_hash_hold() {
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
