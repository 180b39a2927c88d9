//! No step lifts a host's processor demand above capacity or worsens an overloaded one.
//!
//! Judged when a target agrees to take a machine, on what it could know then: its own demand may
//! have changed since its last sample, so the least demand of the last two seconds counts, with
//! all other machines that it expects.

use std::collections::VecDeque;

use luc_core::time::{Duration, Instant};
use luc_dvms::Cpu;

use super::{Invariant, Step};
use crate::index::NodeIndex;
use crate::log::Entry;

/// A sample is at most this old: the period of one second, and the way through a slow program.
const SAMPLE_AGE: Duration = Duration::from_secs(2);

/// The checker.
#[derive(Clone, Debug)]
pub struct CpuNotOverloadedByStep {
    /// Demands of each host with the times at which they ended, the present one not among them.
    past: Vec<VecDeque<(Instant, u32)>>,
    present: Vec<u32>,
}

impl CpuNotOverloadedByStep {
    /// For a cloud of `nodes` nodes.
    pub fn new(nodes: usize) -> Self {
        Self {
            past: vec![VecDeque::new(); nodes],
            present: vec![0; nodes],
        }
    }

    fn least(&mut self, node: NodeIndex, now: Instant) -> u32 {
        let past = &mut self.past[node.at()];
        while past.front().is_some_and(|(end, _)| now - *end > SAMPLE_AGE) {
            past.pop_front();
        }
        let past = past.iter().map(|(_, demand)| *demand);
        past.fold(self.present[node.at()], u32::min)
    }
}

impl Invariant for CpuNotOverloadedByStep {
    fn name(&self) -> &'static str {
        "cpu_not_overloaded_by_step"
    }

    fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        for record in step.records {
            match &record.entry {
                Entry::Demand { host, cpu } => {
                    let before = std::mem::replace(&mut self.present[host.at()], *cpu);
                    self.past[host.at()].push_back((record.at, before));
                    // Keeps the list as short as the window, also where nothing is expected.
                    self.least(*host, step.now);
                }
                Entry::Expected { vm, target, .. } => {
                    let hosts = step.world.hosts();
                    let claims = hosts.claims(*target).iter();
                    let claimed: Cpu = claims.map(|one| one.claim.cpu).sum();
                    let least = self.least(*target, step.now);
                    let capacity = hosts.capacity(*target).cpu;
                    if least + claimed.0 > capacity.0 {
                        return Err(format!(
                            "{target} has {capacity}, serves {least} and expects {claimed}, \
                             {vm} among it"
                        ));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
