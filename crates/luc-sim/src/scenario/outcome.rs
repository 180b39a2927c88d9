//! Runs a scenario: whichever algorithm it names, on its trace, and everything worth keeping of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use luc_dvms::event::PartitionEnd;
use thiserror::Error;

use super::{Algorithm, Experiment};
use crate::algorithm::{self, Nothing};
use crate::baseline::{self, Baseline};
use crate::brains::Brains;
use crate::index::NodeIndex;
use crate::log::{Entry, Header, Partition, Record, Sink};
use crate::metrics::Summary;
use crate::network::matrix::{self, MatrixError};
use crate::simulation::{Setup, SetupError, Simulation};
use crate::trace::{GeneratorError, Trace};

/// Clouds up to this size keep where their nodes are.
const PLACES_MAX: usize = 2000;

/// What is worth keeping of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// All figures.
    pub summary: Summary,
    /// How many events happened.
    pub steps: u64,
    /// How many partitions that carried out a plan had so many members.
    pub sizes: BTreeMap<usize, u64>,
    /// Of small clouds: each node's site and the Euclidean part of its coordinate, in
    /// milliseconds.
    pub places: Vec<(u32, Vec<f64>)>,
    /// Of machines that left their site: the share that went to the nearest site with room
    /// at that time.
    pub to_nearest_site: Option<f64>,
}

/// Why a scenario could not be run.
#[derive(Debug, Error)]
pub enum RunError {
    /// Its trace cannot be drawn.
    #[error("drawing the trace")]
    Trace(#[from] GeneratorError),
    /// Its round trips are impossible.
    #[error("making the network")]
    Network(#[from] MatrixError),
    /// Network, faults and trace do not fit together.
    #[error("preparing the run")]
    Setup(#[from] SetupError),
    /// A given trace is of another cloud.
    #[error("the trace has sites of {trace:?} nodes but the scenario has {scenario:?}")]
    OtherCloud {
        /// Nodes of each site in the trace.
        trace: Vec<u32>,
        /// The same in the scenario.
        scenario: Vec<u32>,
    },
}

impl Experiment {
    /// Runs it on `trace`, or on its own; the log goes to `sink`.
    pub fn run(&self, trace: Option<Arc<Trace>>, sink: Box<dyn Sink>) -> Result<Outcome, RunError> {
        let trace = match trace {
            Some(trace) => trace,
            None => Arc::new(self.trace()?),
        };
        let topology = &self.topology;
        let sites = vec![topology.nodes_per_site; topology.sites as usize];
        if trace.header.sites != sites {
            return Err(RunError::OtherCloud {
                trace: trace.header.sites.clone(),
                scenario: sites,
            });
        }
        let counted = Rc::new(RefCell::new(BTreeMap::new()));
        let setup = Setup {
            trace,
            round_trips: matrix::of(topology, self.seed)?,
            constants: self.constants(),
            faults: self.schedule(),
            seed: self.seed,
            sink: Box::new(Sizes {
                counts: Rc::clone(&counted),
                open: BTreeMap::new(),
                inner: sink,
            }),
        };
        let mut outcome = self.simulated(setup)?;
        outcome.sizes = counted.take();
        Ok(outcome)
    }

    fn simulated(&self, setup: Setup) -> Result<Outcome, RunError> {
        let baseline = match &self.algorithm {
            Algorithm::Star(_) | Algorithm::Relay(_) | Algorithm::None => None,
            Algorithm::Centralised(central) => Some(baseline::Config::centralised(central)),
            Algorithm::Hierarchical(groups) => Some(baseline::Config::hierarchical(groups)),
            Algorithm::Entropy(central) => Some(baseline::Config::entropy(central)),
            Algorithm::Ffd(central) => Some(baseline::Config::ffd(central)),
        };
        if let Some(config) = baseline {
            return Ok(outcome(&finished(setup, Baseline::new(config))?));
        }
        let Some(blueprint) = self.blueprint() else {
            return Ok(outcome(&finished(setup, Nothing)?));
        };
        let simulation = finished(setup, Brains::new(blueprint))?;
        let mut outcome = outcome(&simulation);
        outcome.places = places(&simulation);
        Ok(outcome)
    }
}

/// The share of the machines that left their site that went to the nearest one with room.
fn to_nearest_site(summary: &Summary) -> Option<f64> {
    let moves = &summary.moves;
    (moves.left_site > 0).then(|| moves.left_to_nearest as f64 / moves.left_site as f64)
}

/// What the metrics tell of a run.
fn outcome<A: algorithm::Algorithm>(simulation: &Simulation<A>) -> Outcome {
    let summary = simulation.metrics().summary();
    Outcome {
        to_nearest_site: to_nearest_site(&summary),
        summary,
        steps: simulation.steps(),
        sizes: BTreeMap::new(),
        places: Vec::new(),
    }
}

/// A simulation that has come to its end.
fn finished<A: algorithm::Algorithm>(
    setup: Setup,
    algorithm: A,
) -> Result<Simulation<A>, SetupError> {
    let mut simulation = Simulation::new(setup, algorithm)?;
    simulation.run();
    Ok(simulation)
}

/// Where the nodes of a small cloud believe they are.
fn places(simulation: &Simulation<Brains>) -> Vec<(u32, Vec<f64>)> {
    let context = simulation.context();
    if context.nodes() > PLACES_MAX {
        return Vec::new();
    }
    let nodes = (0..context.nodes() as u32).map(NodeIndex);
    let place = |node: NodeIndex| {
        let brain = simulation.algorithm().brain(node)?;
        let vector = brain.overlay().coordinate().vector;
        let millis = vector.iter().map(|value| f64::from(*value) * 1e3);
        Some((u32::from(context.world().site(node).0), millis.collect()))
    };
    nodes.filter_map(place).collect()
}

/// Counts the sizes of partitions on the way to the log: the greatest that each one had.
struct Sizes {
    counts: Rc<RefCell<BTreeMap<usize, u64>>>,
    open: BTreeMap<Partition, usize>,
    inner: Box<dyn Sink>,
}

impl Sink for Sizes {
    fn header(&mut self, header: &Header) {
        self.inner.header(header);
    }

    fn record(&mut self, record: &Record) {
        match &record.entry {
            Entry::Grew { partition, members } => {
                let size = self.open.entry(*partition).or_default();
                *size = members.len().max(*size);
            }
            Entry::Ended {
                partition,
                end,
                members,
            } => {
                let grown = self.open.remove(partition).unwrap_or(0);
                let size = members.len().max(grown);
                if *end == PartitionEnd::Solved {
                    *self.counts.borrow_mut().entry(size).or_default() += 1;
                }
            }
            _ => {}
        }
        self.inner.record(record);
    }
}
