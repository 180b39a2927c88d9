//! Where the nodes are, what each has, and how far they are from each other.

use luc_core::time::Duration;
use luc_core::units::MemoryMib;
use luc_dvms::Cpu;
use serde::{Deserialize, Serialize};

use super::quantity::{self, Mbps, Percent, Rtt};

/// The sites of the four-site experiment of Euro-Par'14, in the order of [`GRID5000`].
pub const GRID5000_SITES: [&str; 4] = ["grenoble", "luxembourg", "nancy", "rennes"];

/// Round-trip times of the same, in microseconds; the diagonal is inside a site.
pub const GRID5000: [[u64; 4]; 4] = [
    [90, 16_550, 14_240, 15_920],
    [16_550, 170, 2_700, 13_820],
    [14_240, 2_700, 270, 11_420],
    [15_920, 13_820, 11_420, 230],
];

/// Sites × nodes, all nodes alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topology {
    /// How many sites.
    pub sites: u32,
    /// How many nodes each site has.
    pub nodes_per_site: u32,
    /// What each node has.
    pub node: Node,
    /// The round trips between nodes.
    pub rtt: Distances,
}

impl Default for Topology {
    fn default() -> Self {
        Self {
            sites: 4,
            nodes_per_site: 32,
            node: Node::default(),
            rtt: Distances::default(),
        }
    }
}

impl Topology {
    /// How many nodes there are.
    pub fn nodes(&self) -> u32 {
        self.sites.saturating_mul(self.nodes_per_site)
    }
}

/// What one node has. The defaults are those of VMPlaceS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// Processor time that machines may have.
    #[serde(with = "quantity::cpu")]
    pub cpu: Cpu,
    /// Memory.
    #[serde(with = "quantity::memory")]
    pub memory: MemoryMib,
    /// Local disk.
    #[serde(with = "quantity::memory")]
    pub disk: MemoryMib,
    /// What migrations may use of its link.
    pub bandwidth: Mbps,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            cpu: Cpu(700),
            memory: MemoryMib(32 * 1024),
            disk: MemoryMib(1024 * 1024),
            bandwidth: Mbps(1000.0),
        }
    }
}

/// The round trips between nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Distances {
    /// One round trip inside every site, one between any two.
    Uniform(Uniform),
    /// The published four sites: Grenoble, Luxembourg, Nancy, Rennes.
    Grid5000,
    /// A square table, one row per site; the diagonal is inside the site.
    Matrix(Vec<Vec<Rtt>>),
    /// Sites on a plane with access links, noise and detours, drawn from the seed.
    Synthetic(Synthetic),
}

impl Default for Distances {
    fn default() -> Self {
        Self::Uniform(Uniform::default())
    }
}

/// One round trip inside every site, one between any two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uniform {
    /// Inside a site.
    #[serde(with = "quantity::duration")]
    pub within: Duration,
    /// Between any two sites.
    #[serde(with = "quantity::duration")]
    pub between: Duration,
}

impl Default for Uniform {
    fn default() -> Self {
        Self {
            within: Duration::from_micros(200),
            between: Duration::from_millis(10),
        }
    }
}

/// Sites on a plane with access links, noise and detours, drawn from the seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Synthetic {
    /// Inside a site.
    #[serde(with = "quantity::duration")]
    pub within: Duration,
    /// The side of the square that sites are placed on.
    #[serde(with = "quantity::duration")]
    pub extent: Duration,
    /// The mean round trip of a site's access link (exponential).
    #[serde(with = "quantity::duration")]
    pub access: Duration,
    /// The σ of the log-normal noise on every pair of sites.
    pub noise: f64,
    /// The share of pairs of sites that violate the triangle inequality by a detour.
    pub detours: Percent,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self {
            within: Duration::from_micros(200),
            extent: Duration::from_millis(60),
            access: Duration::from_millis(2),
            noise: 0.15,
            detours: Percent(5.0),
        }
    }
}
