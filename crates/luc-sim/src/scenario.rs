//! What is simulated: one experiment as data, and the TOML files that describe it.
//!
//! Every field has a default, which is the published model of VMPlaceS (TPDS 2019, section 5), so
//! a file says only what differs. Unknown fields, wrong units and impossible topologies are refused
//! with file, line, column and reason. `docs/simulator.md` lists all fields; a test compares it
//! with these types. This module reads text that it is given; it opens no file and runs nothing.

mod algorithm;
mod brains;
mod check;
mod error;
mod load;
mod network;
mod outcome;
mod quantity;
mod setup;
mod topology;

pub use algorithm::{
    Algorithm, BrokenRule, Central, Hierarchical, Membership, Overlay, Relay, Star, Trigger,
};
pub use error::{Place, ScenarioError};
pub use load::{Count, Load, Phase, Start, Vms};
pub use network::{Fault, FaultKind, Network, Nodes, Power, Skew, Slow, Split};
pub use outcome::{Outcome, RunError};
pub use quantity::{Mbps, Percent, Rtt, Watts};
pub use topology::{Distances, GRID5000, GRID5000_SITES, Node, Synthetic, Topology, Uniform};

use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::algorithm::Constants;

/// One experiment: everything that a run depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Experiment {
    /// What it is called, in logs and reports.
    pub name: String,
    /// What all randomness is drawn from.
    pub seed: u64,
    /// How long it lasts, in simulated time.
    #[serde(with = "quantity::duration")]
    pub duration: Duration,
    /// The time between two samples of a host.
    #[serde(with = "quantity::duration")]
    pub monitor: Duration,
    /// How long one search step of a solver takes, in simulated time.
    #[serde(with = "quantity::duration")]
    pub solver_step: Duration,
    /// How long a machine that was moved is left alone.
    #[serde(with = "quantity::duration")]
    pub cool_down: Duration,
    /// Which neighbours a node finds.
    pub overlay: Overlay,
    /// How nodes know of each other.
    pub membership: Membership,
    /// Where the nodes are.
    pub topology: Topology,
    /// Which machines there are.
    pub vms: Vms,
    /// How their demand changes.
    pub load: Load,
    /// Who decides where they run.
    pub algorithm: Algorithm,
    /// What the network does to messages.
    pub network: Network,
    /// What nodes draw.
    pub power: Power,
    /// What goes wrong, and when.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Default for Experiment {
    fn default() -> Self {
        let constants = Constants::default();
        Self {
            name: String::new(),
            seed: 1,
            duration: Duration::from_secs(1800),
            monitor: constants.sample_every,
            solver_step: constants.solver_step,
            cool_down: constants.cool_down,
            overlay: Overlay::default(),
            membership: Membership::default(),
            topology: Topology::default(),
            vms: Vms::default(),
            load: Load::default(),
            algorithm: Algorithm::default(),
            network: Network::default(),
            power: Power::default(),
            faults: Vec::new(),
        }
    }
}

impl Experiment {
    /// The experiment that `text`, read from `file`, describes.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        let experiment: Self =
            toml::from_str(text).map_err(|error| ScenarioError::of_toml(file, text, &error))?;
        check::check(&experiment).map_err(|broken| ScenarioError::of_rule(file, text, broken))?;
        Ok(experiment)
    }

    /// Whether the experiment can be run; what [`Self::parse`] checks of one that was not read.
    pub fn check(&self) -> Result<(), ScenarioError> {
        check::check(self).map_err(|broken| ScenarioError::of_rule(&self.name, "", broken))
    }

    /// The text that describes this experiment, defaults included.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

#[cfg(test)]
mod tests;
