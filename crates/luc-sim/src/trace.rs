//! A trace: hosts, machines, who runs where at first, and every change of load with its time.
//!
//! A trace is generated once and replayed on every algorithm, so that all are compared on the very
//! same events. It is a value here; whoever has a file feeds its lines to a [`Reader`] and writes
//! what [`Trace::lines`] gives. The format is JSON lines, described in `docs/trace-format.md`: one
//! header, then one `place` per machine, then one `load` per change in the order of time.

pub mod generator;
pub mod reader;

use luc_core::time::Instant;
use luc_dvms::Cpu;
use serde::{Deserialize, Serialize};

use crate::index::{NodeIndex, SiteIndex, VmIndex};
use crate::world::{HostClass, VmClass};

pub use generator::{Generator, GeneratorError, Phase};
pub use reader::{Reader, TraceError, TraceErrorKind};

/// The name of the format, which opens every trace.
pub const FORMAT: &str = "luc-trace";
/// Its version.
pub const VERSION: u32 = 1;

/// What stands in the first line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`VERSION`].
    pub version: u32,
    /// How the trace was made, for people.
    #[serde(default)]
    pub description: String,
    /// How many nodes each site has; nodes are numbered through all sites in this order.
    pub sites: Vec<u32>,
    /// The classes of hosts.
    pub host_classes: Vec<HostClass>,
    /// The class of each node; empty when all are of the first.
    #[serde(default)]
    pub hosts: Vec<u8>,
    /// The classes of machines.
    pub vm_classes: Vec<VmClass>,
    /// How many machines there are.
    pub vms: u32,
    /// How long the run lasts, in milliseconds.
    pub duration_ms: u64,
}

/// One change of a machine's demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// When, in microseconds since the beginning.
    pub at_us: u64,
    /// The machine.
    pub vm: u32,
    /// What it asks for from then on, in hundredths of a core.
    pub cpu: u16,
}

impl Load {
    /// When.
    pub const fn at(&self) -> Instant {
        Instant::from_nanos(self.at_us * 1_000)
    }

    /// The machine.
    pub const fn vm(&self) -> VmIndex {
        VmIndex(self.vm)
    }

    /// What it asks for.
    pub const fn cpu(&self) -> Cpu {
        Cpu(self.cpu as u32)
    }
}

/// Where a machine runs at first, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    pub(crate) vm: u32,
    pub(crate) host: u32,
    pub(crate) class: u8,
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    Trace(Header),
    Place(Place),
    Load(Load),
}

/// A whole trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The cloud.
    pub header: Header,
    /// Host and class of each machine.
    pub placement: Vec<(NodeIndex, u8)>,
    /// The changes of load, in the order of time.
    pub loads: Vec<Load>,
}

impl Trace {
    /// The site of each node.
    pub fn sites_of_nodes(&self) -> Vec<SiteIndex> {
        let sites = self.header.sites.iter().enumerate();
        sites
            .flat_map(|(site, count)| (0..*count).map(move |_| SiteIndex(site as u16)))
            .collect()
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.header.sites.iter().map(|count| *count as usize).sum()
    }

    /// What the node with this number has.
    pub fn host_class(&self, node: usize) -> HostClass {
        let class = self.header.hosts.get(node).copied().unwrap_or(0);
        self.header.host_classes[usize::from(class)]
    }

    /// When the run ends.
    pub const fn end(&self) -> Instant {
        Instant::from_nanos(self.header.duration_ms * 1_000_000)
    }

    /// The lines of the file, without line ends.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let header = std::iter::once(Line::Trace(self.header.clone()));
        let places = self.placement.iter().enumerate();
        let places = places.map(|(vm, (host, class))| {
            Line::Place(Place {
                vm: vm as u32,
                host: host.0,
                class: *class,
            })
        });
        let loads = self.loads.iter().map(|load| Line::Load(*load));
        // A line holds numbers and strings only, which always have a JSON form.
        let text = |line: Line| serde_json::to_string(&line).unwrap_or_default();
        header.chain(places).chain(loads).map(text)
    }
}
