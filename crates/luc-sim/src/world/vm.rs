//! The virtual machines of the simulated cloud, a table in columns.
//!
//! A million machines fit into some tens of megabytes. Where a machine runs is written here only;
//! the lists per host are derived from it. The world changes the table, everybody may read it.

use std::sync::Arc;

use luc_core::time::{Duration, Instant};
use luc_dvms::{Cpu, Rules};
use serde::{Deserialize, Serialize};

use crate::index::{NodeIndex, VmIndex};

/// What machines of one class have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmClass {
    /// Memory, in mebibytes.
    pub memory_mib: u32,
    /// Local disk that a block migration copies, in mebibytes; 0 on shared storage.
    #[serde(default)]
    pub disk_mib: u32,
    /// How fast it writes to memory at full load, in thousandths of the speed of a migration.
    pub dirty_permille: u16,
}

/// The machines, one entry per machine in each column.
#[derive(Clone, Debug, Default)]
pub struct Vms {
    pub(crate) host: Vec<NodeIndex>,
    pub(crate) class: Vec<u8>,
    pub(crate) demand: Vec<u16>,
    /// Long-run demand, in hundredths of a core.
    usual: Vec<f32>,
    /// When `usual` was last brought up to date, in milliseconds.
    usual_at_ms: Vec<u32>,
    /// When it last arrived somewhere by a migration, in milliseconds; `u32::MAX` if never.
    pub(crate) moved_at_ms: Vec<u32>,
    /// Where it is migrating to, or [`NOWHERE`].
    pub(crate) target: Vec<NodeIndex>,
    pub(crate) rules: Vec<Option<Arc<Rules>>>,
    pub(crate) classes: Vec<VmClass>,
}

/// The target of a machine that is not being migrated.
pub(crate) const NOWHERE: NodeIndex = NodeIndex(u32::MAX);

/// The time over which demand is averaged into what is usual.
const USUAL_OVER_MS: f32 = 900_000.0;

impl Vms {
    /// Machines of `classes`: `placement` gives host and class of each.
    pub(crate) fn new(classes: Vec<VmClass>, placement: &[(NodeIndex, u8)]) -> Self {
        let count = placement.len();
        Self {
            host: placement.iter().map(|(host, _)| *host).collect(),
            class: placement.iter().map(|(_, class)| *class).collect(),
            demand: vec![0; count],
            usual: vec![0.0; count],
            usual_at_ms: vec![u32::MAX; count],
            moved_at_ms: vec![u32::MAX; count],
            target: vec![NOWHERE; count],
            rules: Vec::new(),
            classes,
        }
    }

    /// How many machines there are.
    pub fn len(&self) -> usize {
        self.host.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.host.is_empty()
    }

    /// Where `vm` runs.
    pub fn host(&self, vm: VmIndex) -> NodeIndex {
        self.host[vm.at()]
    }

    /// What `vm` asks for now.
    pub fn demand(&self, vm: VmIndex) -> Cpu {
        Cpu(u32::from(self.demand[vm.at()]))
    }

    /// What `vm` asks for in the long run: its demand averaged over a quarter of an hour, from
    /// its first load on.
    pub fn usual(&self, vm: VmIndex, now: Instant) -> Cpu {
        Cpu(self.usual_now(vm, millis(now)).round() as u32)
    }

    /// Memory, disk and dirty rate of `vm`.
    pub fn class(&self, vm: VmIndex) -> VmClass {
        self.classes[usize::from(self.class[vm.at()])]
    }

    /// Whether `vm` is being migrated.
    pub fn is_migrating(&self, vm: VmIndex) -> bool {
        self.target[vm.at()] != NOWHERE
    }

    /// Where `vm` is being migrated to, if it is.
    pub fn target(&self, vm: VmIndex) -> Option<NodeIndex> {
        let target = self.target[vm.at()];
        (target != NOWHERE).then_some(target)
    }

    /// Where `vm` may run; absent when anywhere.
    pub fn rules(&self, vm: VmIndex) -> Option<&Arc<Rules>> {
        self.rules.get(vm.at())?.as_ref()
    }

    /// Binds `vm` to `rules` from now on.
    pub fn bind(&mut self, vm: VmIndex, rules: Arc<Rules>) {
        if self.rules.is_empty() {
            self.rules = vec![None; self.len()];
        }
        self.rules[vm.at()] = Some(rules);
    }

    /// How much of a cool-down of `length` is left for `vm`.
    pub fn cool_down(&self, vm: VmIndex, length: Duration, now: Instant) -> Duration {
        let moved_at = self.moved_at_ms[vm.at()];
        if moved_at == u32::MAX {
            return Duration::ZERO;
        }
        let since = Duration::from_millis(u64::from(millis(now).saturating_sub(moved_at)));
        length.saturating_sub(since)
    }

    pub(crate) fn set_demand(&mut self, vm: VmIndex, demand: Cpu, now: Instant) {
        let now_ms = millis(now);
        let usual = self.usual_now(vm, now_ms);
        let first = self.usual_at_ms[vm.at()] == u32::MAX;
        self.usual[vm.at()] = if first { demand.0 as f32 } else { usual };
        if !first || demand.0 > 0 {
            self.usual_at_ms[vm.at()] = now_ms;
        }
        self.demand[vm.at()] = demand.0 as u16;
    }

    pub(crate) fn set_moved(&mut self, vm: VmIndex, host: NodeIndex, now: Instant) {
        self.host[vm.at()] = host;
        self.moved_at_ms[vm.at()] = millis(now);
    }

    fn usual_now(&self, vm: VmIndex, now_ms: u32) -> f32 {
        let at = self.usual_at_ms[vm.at()];
        if at == u32::MAX {
            return 0.0;
        }
        // Linear weight: no transcendental function, so that every machine computes the same.
        let weight = (now_ms.saturating_sub(at) as f32 / USUAL_OVER_MS).min(1.0);
        let usual = self.usual[vm.at()];
        usual + (f32::from(self.demand[vm.at()]) - usual) * weight
    }
}

/// Milliseconds since the origin; enough for seven weeks.
fn millis(time: Instant) -> u32 {
    u32::try_from(time.as_nanos() / 1_000_000).unwrap_or(u32::MAX - 1)
}
