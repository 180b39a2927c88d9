//! Carries out the faults of the schedule.

use luc_core::time::Duration;

use super::Context;
use crate::algorithm::Algorithm;
use crate::fault::Fault;
use crate::index::NodeIndex;
use crate::log::Entry;
use crate::world::HostState;

/// What a fault asks the simulation to tell the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing.
    Nothing,
    /// The node has crashed.
    Crashed(NodeIndex),
    /// The node starts again.
    Restarted(NodeIndex),
}

impl<A: Algorithm> Context<A> {
    /// Carries out the next fault of the schedule.
    pub(crate) fn next_fault(&mut self) -> Told {
        let Some((_, fault)) = self.faults.faults().get(self.next_fault).cloned() else {
            return Told::Nothing;
        };
        self.next_fault += 1;
        self.record(Entry::Fault {
            fault: fault.clone(),
        });
        self.carry_out(fault)
    }

    fn carry_out(&mut self, fault: Fault) -> Told {
        let mut weather = *self.network.weather();
        match fault {
            Fault::Loss { ppm } => weather.loss_ppm = ppm,
            Fault::Delay { micros } => weather.delay = Duration::from_micros(micros),
            Fault::Duplicate { ppm } => weather.duplication_ppm = ppm,
            Fault::Reorder { ppm, micros } => {
                weather.reorder_ppm = ppm;
                weather.reorder_by = Duration::from_micros(micros);
            }
            Fault::Pause(node) => self.programs[node.at()].paused = true,
            Fault::Resume(node) => {
                self.programs[node.at()].paused = false;
                if self.is_listening(node) {
                    self.release(node);
                }
            }
            Fault::Slow { node, micros } => {
                self.programs[node.at()].slow_micros = u32::try_from(micros).unwrap_or(u32::MAX);
            }
            Fault::Crash(node) => return self.crash(node),
            Fault::Restart(node) => return self.restart(node),
            Fault::Split { sides } => {
                self.network.split(sides);
                let sides = self.network.sides().clone();
                self.abort_migrations(|one| !sides.reaches(one.source, one.target));
            }
            Fault::Heal => self.network.split(Vec::new()),
            Fault::Skew {
                node,
                ahead_micros,
                fast_ppm,
            } => {
                let ahead = Duration::from_micros(ahead_micros);
                let nodes = self.programs.len();
                self.clocks
                    .skew(nodes, node.at(), self.now, ahead, fast_ppm);
            }
            Fault::Maintenance { node, on } => self.world.set_maintenance(node, on),
        }
        self.network.set_weather(weather);
        Told::Nothing
    }

    fn crash(&mut self, node: NodeIndex) -> Told {
        if self.world.hosts().state(node) == HostState::Crashed {
            return Told::Nothing;
        }
        self.held.remove(&node);
        let program = &mut self.programs[node.at()];
        program.incarnation = program.incarnation.wrapping_add(1);
        program.sampling = false;
        self.set_state(node, HostState::Crashed);
        self.world.unclaim_all(node);
        self.abort_migrations(|one| one.source == node || one.target == node);
        Told::Crashed(node)
    }

    fn restart(&mut self, node: NodeIndex) -> Told {
        if self.world.hosts().state(node) != HostState::Crashed {
            return Told::Nothing;
        }
        self.set_state(node, HostState::On);
        self.sample_now(node);
        Told::Restarted(node)
    }
}
