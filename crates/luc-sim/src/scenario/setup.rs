//! From a scenario to what the simulation takes: the trace, the faults, the constants.

use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};

use super::load::{Count, Start};
use super::network::{Fault, FaultKind};
use super::{Experiment, Percent};
use crate::algorithm::Constants;
use crate::fault::{self, Schedule};
use crate::index::NodeIndex;
use crate::power::PowerModel;
use crate::trace::generator::normal;
use crate::trace::{Generator, GeneratorError, Load, Phase, Trace};
use crate::world::{HostClass, VmClass};

impl Experiment {
    /// The trace that this scenario describes: the same for every algorithm of a seed.
    pub fn trace(&self) -> Result<Trace, GeneratorError> {
        let topology = &self.topology;
        let sites = vec![topology.nodes_per_site; topology.sites as usize];
        let next = |index: usize| {
            let phase = self.load.phases.get(index + 1);
            phase.map_or(Duration::MAX, |phase| phase.from)
        };
        let phases = self.load.phases.iter().enumerate();
        let generator = Generator {
            vms: self.vms.count.total(topology.nodes()),
            sites,
            host: HostClass {
                cpu: topology.node.cpu.0,
                memory_mib: topology.node.memory.0,
                disk_mib: topology.node.disk.0,
                nic_mbps: topology.node.bandwidth.0 as u32,
            },
            vm_classes: self
                .vms
                .dirty
                .iter()
                .map(|class| self.class(*class))
                .collect(),
            change_every: self.load.period,
            phases: phases
                .map(|(index, phase)| Phase {
                    until: next(index),
                    mean: phase.mean.0,
                    deviation: phase.deviation.0,
                })
                .collect(),
            site_means: Vec::new(),
            duration: self.duration,
            seed: self.seed,
        };
        let mut trace = generator.generate()?;
        if let Count::PerSite(counts) = &self.vms.count {
            self.place_by_site(counts, &mut trace);
        }
        if self.load.start == Start::Drawn {
            self.draw_start(&mut trace);
        }
        Ok(trace)
    }

    fn class(&self, dirty: Percent) -> VmClass {
        VmClass {
            memory_mib: self.vms.memory.0 as u32,
            disk_mib: self.vms.disk.0 as u32,
            dirty_permille: (dirty.0 * 10.0).round() as u16,
        }
    }

    /// Machines in turn over the nodes of their site, site after site.
    fn place_by_site(&self, counts: &[u32], trace: &mut Trace) {
        let each = self.topology.nodes_per_site;
        let places = counts.iter().enumerate().flat_map(|(site, count)| {
            let first = site as u32 * each;
            (0..*count).map(move |vm| NodeIndex(first + vm % each))
        });
        for ((host, _), place) in trace.placement.iter_mut().zip(places) {
            *host = place;
        }
    }

    /// Every machine asks for something at once: a draw from the first phase.
    fn draw_start(&self, trace: &mut Trace) {
        let Some(phase) = self.load.phases.first() else {
            return;
        };
        let mut entropy = SplitMix64::new(self.seed ^ 0x7374_6172_7400_0000);
        let drawn = (0..trace.header.vms).map(|vm| {
            let load = phase.mean.0 + phase.deviation.0 * normal(&mut entropy);
            Load {
                at_us: 0,
                vm,
                cpu: (load.clamp(0.0, 100.0) / 10.0).round() as u16 * 10,
            }
        });
        let loads: Vec<Load> = drawn.collect();
        trace.loads.splice(0..0, loads);
    }

    /// What goes wrong: the state of the network from the start, and the faults that are listed.
    pub fn schedule(&self) -> Schedule {
        let mut schedule = Schedule::none();
        let network = &self.network;
        let start = Instant::ORIGIN;
        if network.loss.0 > 0.0 {
            let ppm = ppm(network.loss);
            schedule.add(start, fault::Fault::Loss { ppm });
        }
        if network.duplicate.0 > 0.0 {
            let ppm = ppm(network.duplicate);
            schedule.add(start, fault::Fault::Duplicate { ppm });
        }
        if network.reorder.0 > 0.0 {
            let micros = micros(network.reorder_by);
            let ppm = ppm(network.reorder);
            schedule.add(start, fault::Fault::Reorder { ppm, micros });
        }
        if !network.delay.is_zero() {
            let micros = micros(network.delay);
            schedule.add(start, fault::Fault::Delay { micros });
        }
        for fault in &self.faults {
            self.schedule_one(fault, &mut schedule);
        }
        schedule
    }

    fn schedule_one(&self, fault: &Fault, schedule: &mut Schedule) {
        let at = Instant::ORIGIN + fault.at;
        let mut pair = |begin, end| schedule.add_pair(at, fault.lasts, begin, end);
        match &fault.what {
            FaultKind::Crash(who) => {
                for node in who.nodes.iter().copied().map(NodeIndex) {
                    pair(fault::Fault::Crash(node), fault::Fault::Restart(node));
                }
            }
            FaultKind::Pause(who) => {
                for node in who.nodes.iter().copied().map(NodeIndex) {
                    pair(fault::Fault::Pause(node), fault::Fault::Resume(node));
                }
            }
            FaultKind::Maintenance(who) => {
                for node in who.nodes.iter().copied().map(NodeIndex) {
                    let begin = fault::Fault::Maintenance { node, on: true };
                    pair(begin, fault::Fault::Maintenance { node, on: false });
                }
            }
            FaultKind::Slow(slow) => {
                for node in slow.nodes.iter().copied().map(NodeIndex) {
                    let micros = micros(slow.delay);
                    let end = fault::Fault::Slow { node, micros: 0 };
                    pair(fault::Fault::Slow { node, micros }, end);
                }
            }
            FaultKind::Skew(skew) => {
                let skewed = |node, fast_ppm| fault::Fault::Skew {
                    node,
                    ahead_micros: 0,
                    fast_ppm,
                };
                let fast = ((skew.rate - 1.0) * 1e6).round() as i32;
                for node in skew.nodes.iter().copied().map(NodeIndex) {
                    pair(skewed(node, fast), skewed(node, 0));
                }
            }
            FaultKind::Split(split) => {
                let each = self.topology.nodes_per_site.max(1);
                let nodes = 0..self.topology.nodes();
                let sides = nodes.map(|node| u8::from(split.sites.contains(&(node / each))));
                let sides = sides.collect();
                pair(fault::Fault::Split { sides }, fault::Fault::Heal);
            }
            FaultKind::Loss(loss) => {
                let usual = ppm(self.network.loss);
                let end = fault::Fault::Loss { ppm: usual };
                pair(fault::Fault::Loss { ppm: ppm(*loss) }, end);
            }
            FaultKind::Delay(delay) => {
                let usual = micros(self.network.delay);
                let begin = fault::Fault::Delay {
                    micros: micros(*delay),
                };
                pair(begin, fault::Fault::Delay { micros: usual });
            }
        }
    }

    /// The constants that shape the log.
    pub fn constants(&self) -> Constants {
        Constants {
            solver_step: self.solver_step,
            sample_every: self.monitor,
            cool_down: self.cool_down,
            power: PowerModel {
                idle_watts: self.power.idle.0,
                full_watts: self.power.full.0,
                off_watts: self.power.off.0,
                migration_watts: self.power.migration.0,
                wake_ms: self.power.wake.as_millis() as u64,
            },
        }
    }
}

fn ppm(share: Percent) -> u32 {
    (share.0 * 1e4).round() as u32
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(text: &str) -> Experiment {
        Experiment::parse("a.toml", &format!("name = \"a\"\n{text}")).expect("it is right")
    }

    #[test]
    fn machines_of_a_site_are_spread_over_its_nodes() {
        let text = "[topology]\nsites = 2\nnodes_per_site = 2\n[vms.count]\nper_site = [3, 1]\n";
        let trace = scenario(text).trace().expect("it can be drawn");
        let hosts: Vec<u32> = trace.placement.iter().map(|(host, _)| host.0).collect();
        assert_eq!(hosts, [0, 1, 0, 2]);
    }

    #[test]
    fn a_drawn_start_loads_every_machine_at_once() {
        let idle = scenario("").trace().expect("it can be drawn");
        let drawn = scenario("[load]\nstart = \"drawn\"\n");
        let drawn = drawn.trace().expect("it can be drawn");
        assert_eq!(drawn.loads.len(), idle.loads.len() + 1280);
        assert_eq!(
            drawn.loads[1280..],
            idle.loads,
            "later changes are the same"
        );
        let sum: u32 = drawn.loads[..1280]
            .iter()
            .map(|load| u32::from(load.cpu))
            .sum();
        assert!((sum / 1280).abs_diff(60) <= 3, "{sum}");
    }

    #[test]
    fn the_algorithm_does_not_change_the_trace_and_the_seed_does() {
        let star = scenario("");
        let relay = scenario("overlay = \"random\"\n[algorithm.relay]\n");
        assert_eq!(star.trace(), relay.trace());
        assert_ne!(star.trace(), scenario("seed = 2\n").trace());
    }

    #[test]
    fn a_fault_begins_and_ends() {
        let text = "[network]\nloss = \"1 %\"\n[[faults]]\nat = \"60 s\"\nlasts = \"30 s\"\n\
                    what = { split = { sites = [1] } }\n[[faults]]\nat = \"10 s\"\n\
                    lasts = \"5 s\"\nwhat = { loss = \"20 %\" }\n";
        let schedule = scenario(text).schedule();
        let seconds: Vec<f64> = schedule
            .faults()
            .iter()
            .map(|(at, _)| at.as_secs_f64())
            .collect();
        assert_eq!(seconds, [0.0, 10.0, 15.0, 60.0, 90.0]);
        let usual = fault::Fault::Loss { ppm: 10_000 };
        assert_eq!(schedule.faults()[2].1, usual, "it is as before");
        let fault::Fault::Split { sides } = &schedule.faults()[3].1 else {
            panic!("a split");
        };
        let cut: u32 = sides.iter().map(|side| u32::from(*side)).sum();
        assert_eq!(cut, 32);
    }
}
