//! Traces of the VMPlaceS model (Lèbre, Pastor and Südholt 2015, Euro-Par'15, section 4).
//!
//! One event process for the whole cloud: inter-arrival times are exponential with a rate of one
//! change per machine and period; each event takes a random machine and gives it a new load, drawn
//! from a normal distribution, clipped to 0–100 % of a core and rounded to steps of 10. Machines
//! begin at 0 and are placed in turn. Mean and deviation may change by phase (the energy day) and
//! the mean by site of first placement (the overfull site).

use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_core::time::Duration;
use thiserror::Error;

use super::{FORMAT, Header, Load, Trace, VERSION};
use crate::index::{NodeIndex, SiteIndex};
use crate::world::{HostClass, VmClass};

/// Loads are drawn from this distribution for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// Until when, since the beginning of the trace.
    pub until: Duration,
    /// The mean load, in per cent of a core.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
}

/// What to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Generator {
    /// How many nodes each site has.
    pub sites: Vec<u32>,
    /// How many machines there are.
    pub vms: u32,
    /// What each host has.
    pub host: HostClass,
    /// The classes of machines; each machine is of a random one.
    pub vm_classes: Vec<VmClass>,
    /// Every machine changes its load so often on average.
    pub change_every: Duration,
    /// The phases, in the order of time; the last one lasts to the end of the trace.
    pub phases: Vec<Phase>,
    /// Means of machines that were first placed at these sites, in place of the phases' means.
    pub site_means: Vec<(SiteIndex, f64)>,
    /// How long the trace lasts.
    pub duration: Duration,
    /// What all chance comes from.
    pub seed: u64,
}

/// A trace that cannot be generated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GeneratorError {
    /// No site, or a site without nodes.
    #[error("there must be at least one site, and each must have a node")]
    NoNodes,
    /// No phase, or one with an impossible distribution, or not in the order of time.
    #[error(
        "phases must be given in the order of time, with means of 0 to 100 and deviations >= 0"
    )]
    Phases,
    /// No class of machines.
    #[error("there must be at least one class of machines")]
    NoClasses,
    /// Loads that never change, or a trace without length.
    #[error("the trace and the time between changes must be longer than nothing")]
    NoTime,
    /// Machines need more memory than their host has.
    #[error("{vms} machines a host need {needed} MiB of memory, it has {capacity}")]
    Memory {
        /// Machines at one host.
        vms: u64,
        /// What they need.
        needed: u64,
        /// What there is.
        capacity: u64,
    },
}

impl Generator {
    /// The published workload: N(60, 20), one change per machine and 300 s, 1800 s, 1 GB machines
    /// in eight classes from 0 to 80 % of dirty pages.
    pub fn vmplaces(sites: Vec<u32>, vms_per_node: u32, seed: u64) -> Self {
        let nodes: u32 = sites.iter().sum();
        Self {
            vms: nodes * vms_per_node,
            sites,
            host: HostClass::VMPLACES,
            vm_classes: Self::dirty_classes(1_024),
            change_every: Duration::from_secs(300),
            phases: vec![Phase {
                until: Duration::MAX,
                mean: 60.0,
                deviation: 20.0,
            }],
            site_means: Vec::new(),
            duration: Duration::from_secs(1_800),
            seed,
        }
    }

    /// Eight classes of machines, dirty rates from 0 to 80 % in equal steps.
    pub fn dirty_classes(memory_mib: u32) -> Vec<VmClass> {
        let class = |step: u16| VmClass {
            memory_mib,
            disk_mib: 0,
            dirty_permille: step * 800 / 7,
        };
        (0..8).map(class).collect()
    }

    /// Draws the trace.
    pub fn generate(&self) -> Result<Trace, GeneratorError> {
        self.check()?;
        let mut entropy = SplitMix64::new(self.seed ^ 0x7472_6163_6500_0000);
        let nodes: u32 = self.sites.iter().sum();
        let classes = self.vm_classes.len() as u64;
        let placement = (0..self.vms)
            .map(|vm| (NodeIndex(vm % nodes), (entropy.next_u64() % classes) as u8))
            .collect();
        let mut trace = Trace {
            header: Header {
                format: FORMAT.into(),
                version: VERSION,
                description: self.describe(),
                sites: self.sites.clone(),
                host_classes: vec![self.host],
                hosts: Vec::new(),
                vm_classes: self.vm_classes.clone(),
                vms: self.vms,
                duration_ms: self.duration.as_millis() as u64,
            },
            placement,
            loads: Vec::new(),
        };
        let sites = trace.sites_of_nodes();
        let rate_per_us = f64::from(self.vms) / (self.change_every.as_micros() as f64);
        let mut at_us = 0.0;
        if self.vms == 0 {
            return Ok(trace);
        }
        loop {
            at_us += -unit(&mut entropy).ln() / rate_per_us;
            let at = Duration::from_micros(at_us as u64);
            if at >= self.duration {
                break;
            }
            let vm = (entropy.next_u64() % u64::from(self.vms)) as u32;
            let (mean, deviation) = self.load_at(at, sites[(vm % nodes) as usize]);
            let load = mean + deviation * normal(&mut entropy);
            trace.loads.push(Load {
                at_us: at_us as u64,
                vm,
                cpu: (load.clamp(0.0, 100.0) / 10.0).round() as u16 * 10,
            });
        }
        Ok(trace)
    }

    fn load_at(&self, at: Duration, site: SiteIndex) -> (f64, f64) {
        let last = self.phases.len() - 1;
        let phase = self.phases.iter().position(|phase| at < phase.until);
        let phase = self.phases[phase.unwrap_or(last)];
        let own = self.site_means.iter().find(|(one, _)| *one == site);
        (own.map_or(phase.mean, |(_, mean)| *mean), phase.deviation)
    }

    fn check(&self) -> Result<(), GeneratorError> {
        if self.sites.is_empty() || self.sites.contains(&0) {
            return Err(GeneratorError::NoNodes);
        }
        let possible = |phase: &Phase| {
            (0.0..=100.0).contains(&phase.mean) && (0.0..1_000.0).contains(&phase.deviation)
        };
        let ordered = self.phases.is_sorted_by_key(|phase| phase.until);
        if self.phases.is_empty() || !ordered || !self.phases.iter().all(possible) {
            return Err(GeneratorError::Phases);
        }
        if self.duration.as_millis() == 0 || self.change_every.as_micros() == 0 {
            return Err(GeneratorError::NoTime);
        }
        let nodes: u32 = self.sites.iter().sum();
        let largest = self.vm_classes.iter().map(|class| class.memory_mib).max();
        let largest = u64::from(largest.ok_or(GeneratorError::NoClasses)?);
        let vms = u64::from(self.vms.div_ceil(nodes));
        let (needed, capacity) = (vms * largest, self.host.memory_mib);
        if needed > capacity {
            return Err(GeneratorError::Memory {
                vms,
                needed,
                capacity,
            });
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let phase = |phase: &Phase| format!("N({}, {})", phase.mean, phase.deviation);
        let phases: Vec<String> = self.phases.iter().map(phase).collect();
        format!(
            "{} machines, one change per machine and {} s, {}, seed {}",
            self.vms,
            self.change_every.as_secs(),
            phases.join(" then "),
            self.seed
        )
    }
}

/// A number above 0, at most 1.
fn unit(entropy: &mut SplitMix64) -> f64 {
    ((entropy.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// A draw from N(0, 1) (Box and Muller 1958).
pub(crate) fn normal(entropy: &mut SplitMix64) -> f64 {
    let radius = (-2.0 * unit(entropy).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(entropy)).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_have_the_mean_and_rate_that_were_asked_for() {
        let generator = Generator::vmplaces(vec![32; 4], 10, 1);
        let trace = generator.generate().unwrap();
        let count = trace.loads.len() as f64;
        let mean = trace
            .loads
            .iter()
            .map(|load| f64::from(load.cpu))
            .sum::<f64>()
            / count;
        assert!((mean - 60.0).abs() < 1.0, "{mean}");
        // 1280 machines, six periods of 300 s.
        assert!((count - 7_680.0).abs() < 300.0, "{count}");
        assert!(
            trace
                .loads
                .iter()
                .all(|load| load.cpu % 10 == 0 && load.cpu <= 100)
        );
        assert!(trace.loads.is_sorted_by_key(|load| load.at_us));
    }

    #[test]
    fn phases_and_sites_have_their_own_means() {
        let mut generator = Generator::vmplaces(vec![10, 10], 10, 2);
        generator.phases = vec![
            Phase {
                until: Duration::from_secs(900),
                mean: 20.0,
                deviation: 10.0,
            },
            Phase {
                until: Duration::from_secs(1_800),
                mean: 40.0,
                deviation: 5.0,
            },
        ];
        generator.site_means = vec![(SiteIndex(1), 80.0)];
        let trace = generator.generate().unwrap();
        let mean = |from: u64, to: u64, site: u32| {
            let loads: Vec<f64> = trace
                .loads
                .iter()
                .filter(|load| (from..to).contains(&(load.at_us / 1_000_000)))
                .filter(|load| load.vm % 20 / 10 == site)
                .map(|load| f64::from(load.cpu))
                .collect();
            loads.iter().sum::<f64>() / loads.len() as f64
        };
        assert!((mean(0, 900, 0) - 20.0).abs() < 2.0);
        assert!((mean(900, 1_800, 0) - 40.0).abs() < 2.0);
        assert!((mean(0, 1_800, 1) - 80.0).abs() < 2.0);
    }

    #[test]
    fn an_impossible_wish_is_refused() {
        let good = Generator::vmplaces(vec![2], 10, 1);
        let refusal = |change: fn(&mut Generator)| {
            let mut bad = good.clone();
            change(&mut bad);
            bad.generate().unwrap_err()
        };
        assert_eq!(refusal(|bad| bad.sites.clear()), GeneratorError::NoNodes);
        assert_eq!(
            refusal(|bad| bad.phases[0].mean = 160.0),
            GeneratorError::Phases
        );
        assert_eq!(
            refusal(|bad| bad.phases[0].deviation = f64::NAN),
            GeneratorError::Phases
        );
        assert_eq!(
            refusal(|bad| bad.duration = Duration::ZERO),
            GeneratorError::NoTime
        );
        assert!(matches!(
            refusal(|bad| bad.vms = 80),
            GeneratorError::Memory { .. }
        ));
    }
}
