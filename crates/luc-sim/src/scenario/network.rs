//! What the network does to messages, what nodes draw, and what goes wrong when.

use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

use super::quantity::{self, Percent, Watts};
use crate::power::PowerModel;

/// What the network does to a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The share of messages that are lost.
    pub loss: Percent,
    /// The share of messages that are delivered twice.
    pub duplicate: Percent,
    /// The share of messages that are held back so that later ones overtake them.
    pub reorder: Percent,
    /// For how long they are held back at most.
    #[serde(with = "quantity::duration")]
    pub reorder_by: Duration,
    /// By how much every message is late.
    #[serde(with = "quantity::duration")]
    pub delay: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            loss: Percent(0.0),
            duplicate: Percent(0.0),
            reorder: Percent(0.0),
            reorder_by: Duration::from_millis(50),
            delay: Duration::ZERO,
        }
    }
}

/// What nodes draw. Between idle and full the power follows the load of the processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Power {
    /// Of a node without load.
    pub idle: Watts,
    /// Of a node whose usable processor time is all used.
    pub full: Watts,
    /// Of a node that sleeps.
    pub off: Watts,
    /// Of a migration, at either end, while it lasts.
    pub migration: Watts,
    /// How long a node takes to wake.
    #[serde(with = "quantity::duration")]
    pub wake: Duration,
}

impl Default for Power {
    fn default() -> Self {
        let model = PowerModel::default();
        Self {
            idle: Watts(model.idle_watts),
            full: Watts(model.full_watts),
            off: Watts(model.off_watts),
            migration: Watts(model.migration_watts),
            wake: model.wake(),
        }
    }
}

/// One thing that goes wrong at a known time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When.
    #[serde(with = "quantity::duration")]
    pub at: Duration,
    /// For how long; a crashed node comes back then with nothing but what was durable.
    #[serde(with = "quantity::duration")]
    pub lasts: Duration,
    /// What.
    pub what: FaultKind,
}

/// What can go wrong. Nodes and sites are counted from 0; node n is of site n / nodes per site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultKind {
    /// Nodes lose power.
    Crash(Nodes),
    /// Nodes stand still and then go on, their timers late.
    Pause(Nodes),
    /// Nodes take so many times as long for everything.
    Slow(Slow),
    /// Clocks of nodes run fast or slow.
    Skew(Skew),
    /// Sites on one side cannot reach those on the other.
    Split(Split),
    /// Hosts are to be emptied.
    Maintenance(Nodes),
    /// The network loses this share of messages.
    Loss(Percent),
    /// Every message is late by this.
    Delay(#[serde(with = "quantity::duration")] Duration),
}

/// Some nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nodes {
    /// Which, counted from 0.
    pub nodes: Vec<u32>,
}

/// Nodes that are slow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    /// Which, counted from 0.
    pub nodes: Vec<u32>,
    /// How much is added to everything they do.
    #[serde(with = "quantity::duration")]
    pub delay: Duration,
}

/// Nodes whose clocks are wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skew {
    /// Which, counted from 0.
    pub nodes: Vec<u32>,
    /// How fast their clocks run: 1.05 is 5 % fast.
    pub rate: f64,
}

/// Sites cut off from the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The sites of one side, counted from 0; all others are the other side.
    pub sites: Vec<u32>,
}
