//! Who decides where machines run, and over which overlay.

use luc_core::time::Duration;
use luc_dvms::star;
use serde::{Deserialize, Serialize};

use super::quantity;

/// Who decides where machines run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Algorithm {
    /// Nobody: machines stay where they were placed.
    None,
    /// DVMS as we build it: the initiator leads, groups grow along the overlay.
    Star(Star),
    /// DVMS as published: the token goes from first-out to first-out.
    Relay(Relay),
    /// One solver over the whole cloud.
    Centralised(Central),
    /// Snooze-like: a leader and group managers, each with a fixed group of nodes.
    Hierarchical(Hierarchical),
    /// Repair with the least reconfiguration and the fewest hosts, as Entropy does it.
    Entropy(Central),
    /// First-fit decreasing: packs everything anew.
    Ffd(Central),
}

impl Default for Algorithm {
    fn default() -> Self {
        Self::Star(Star::default())
    }
}

/// Parameters of `star`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Star {
    /// Nodes of the first group, the initiator among them.
    pub first_group: u16,
    /// Nodes by which a partition grows.
    pub next_group: u16,
    /// The greatest size at first.
    pub cap: u16,
    /// The greatest size when the first was not enough.
    pub cap_max: u16,
    /// Whether lightly loaded nodes are emptied and put to sleep.
    pub energy: bool,
    /// The greatest number of search steps of the solver for one event.
    pub solver_steps: u64,
    /// For proving that the checkers can fail: a rule of the protocol that is switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<BrokenRule>,
}

impl Default for Star {
    fn default() -> Self {
        let usual = star::Config::default();
        Self {
            first_group: usual.first_group,
            next_group: usual.next_group,
            cap: usual.cap,
            cap_max: usual.second_cap,
            energy: false,
            solver_steps: usual.solver_budget,
            broken: None,
        }
    }
}

/// A rule of `star` that is switched off to see whether a checker notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BrokenRule {
    /// Members obey lower ballots too.
    Ballot,
    /// Leases never stop a step.
    Lease,
    /// Two growing partitions take each other in.
    Absorb,
}

/// Parameters of `relay`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Nodes of the first group, the initiator among them; published: 2.
    pub first_group: u16,
    /// The greatest number of search steps of the solver for one event.
    pub solver_steps: u64,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            first_group: 2,
            solver_steps: 20_000,
        }
    }
}

/// Parameters of whoever sees the whole cloud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Central {
    /// What makes it act.
    pub trigger: Trigger,
    /// The time between two rounds if it is periodic.
    #[serde(with = "quantity::duration")]
    pub period: Duration,
    /// The greatest number of search steps of the solver for one round.
    pub solver_steps: u64,
    /// Whether empty nodes are powered down and woken when they are needed.
    pub energy: bool,
}

impl Default for Central {
    fn default() -> Self {
        Self {
            trigger: Trigger::Periodic,
            period: Duration::from_secs(30),
            solver_steps: 200_000,
            energy: false,
        }
    }
}

/// Parameters of the hierarchical baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hierarchical {
    /// Nodes under one group manager; published: 32, 8, 4, 2.
    pub group: u16,
    /// What makes a group manager act.
    pub trigger: Trigger,
    /// The time between two rounds if it is periodic.
    #[serde(with = "quantity::duration")]
    pub period: Duration,
    /// The greatest number of search steps of the solver for one round.
    pub solver_steps: u64,
}

impl Default for Hierarchical {
    fn default() -> Self {
        Self {
            group: 32,
            trigger: Trigger::Periodic,
            period: Duration::from_secs(30),
            solver_steps: 20_000,
        }
    }
}

/// What makes a baseline act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// Every so often, as published.
    #[default]
    Periodic,
    /// When a sample shows an overload, as DVMS does.
    Reactive,
}

/// Which neighbours a node finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlay {
    /// The locality-based overlay: nearest first.
    #[default]
    Spiral,
    /// A ring whose identifiers are hashes: neighbours are anywhere.
    ChordHashed,
    /// A ring whose identifiers follow the sites.
    ChordSiteOrdered,
    /// Random neighbours, as in VMPlaceS.
    Random,
}

/// How nodes know of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Membership {
    /// SWIM in two pools and Vivaldi, at product periods: the full brain.
    Swim,
    /// A shared directory that costs no traffic and knows all coordinates, as VMPlaceS assumes.
    #[default]
    Directory,
}
