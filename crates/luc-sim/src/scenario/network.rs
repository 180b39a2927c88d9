//! What the network does to messages, what migrations cost, and what goes wrong when.

use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

use super::quantity::{self, Joules, Percent, Watts};

/// What the network does to a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The greatest extra delay of a message, as a share of its one-way delay (uniform).
    pub jitter: Percent,
    /// The share of messages that are lost.
    pub loss: Percent,
    /// The share of messages that are delivered twice.
    pub duplicate: Percent,
    /// The share of messages that are held back so that later ones overtake them.
    pub reorder: Percent,
}

/// What a live migration costs: the three stages of VMPlaceS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Migration {
    /// The stop-and-copy stage may last this long.
    #[serde(with = "quantity::duration")]
    pub downtime: Duration,
    /// The greatest share of memory that is written to again and again.
    pub working_set: Percent,
}

impl Default for Migration {
    fn default() -> Self {
        Self {
            downtime: Duration::from_millis(30),
            working_set: Percent(90.0),
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
    /// How long a node takes to wake; it draws full power while it does.
    #[serde(with = "quantity::duration")]
    pub wake: Duration,
    /// Of one migration, on top of the load, for each mebibyte that is sent.
    pub migration_per_mib: Joules,
    /// Of one migration, whatever its size.
    pub migration: Joules,
}

impl Default for Power {
    fn default() -> Self {
        Self {
            idle: Watts(90.0),
            full: Watts(240.0),
            off: Watts(10.0),
            wake: Duration::from_secs(60),
            // Liu et al., "Performance and energy modeling for live migration of virtual
            // machines", HPDC'11: E = 0.512 J per MB sent + 20.165 J.
            migration_per_mib: Joules(0.512),
            migration: Joules(20.165),
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
    /// The whole network loses this share of messages on top.
    Loss(Percent),
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
