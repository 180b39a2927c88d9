//! Live migrations in flight: three-stage pre-copy over shared links.
//!
//! The model of VMPlaceS and SimGrid (Hirofuji, Lèbre and Pouilloux 2013, "Adding a live migration
//! model into SimGrid"): stage 1 sends all memory; stage 2 sends again what was written meanwhile,
//! round after round, until what is left would take less than 30 ms; stage 3 stops the machine and
//! sends the rest. Memory is written at the speed of the link × the machine's intensity × the share
//! of its core in use, at most 0.9 of its memory per round. Local disk is sent with stage 1.
//! 1 GiB at 1 Gbit/s takes 8.6 s when idle.
//!
//! All migrations of a host share its network interface in equal parts; a migration runs at the
//! lesser share of its two ends. Whenever one begins or ends, the others at these ends change
//! speed. The module moves no machine: the simulation asks when a round is over and acts.

use luc_core::time::{Duration, Instant};
use luc_dvms::Reason;
use luc_dvms::command::MigrationId;

use crate::index::{NodeIndex, VmIndex};

/// What is left is sent with the machine stopped when it takes no longer than this.
const DOWNTIME: f64 = 0.03;
/// No round sends more than this part of the memory again.
const WORKING_SET: f64 = 0.9;
/// After so many rounds the machine is stopped whatever is left (QEMU's operators do the same).
const ROUNDS_MAX: u16 = 30;
const BITS_PER_MIB: f64 = 8.0 * 1_048_576.0;

/// What a live migration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its name.
    pub id: MigrationId,
    /// The machine.
    pub vm: VmIndex,
    /// Where it runs.
    pub source: NodeIndex,
    /// Where it goes.
    pub target: NodeIndex,
    /// Why.
    pub reason: Reason,
}

/// What a live migration has to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burden {
    /// Memory, in mebibytes.
    pub memory_mib: u32,
    /// Disk, in mebibytes.
    pub disk_mib: u32,
    /// Memory written per second of a round, in megabits.
    pub dirty_mbps: f64,
}

/// A place in the table of migrations, with the turn that makes an old notice stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The place.
    pub slot: u32,
    /// The turn.
    pub turn: u32,
}

/// When a round will be over if nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Instant,
    /// What to hand back then.
    pub notice: Notice,
}

/// A migration that is no longer in flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Over {
    /// Which.
    pub migration: Migration,
    /// When it began.
    pub began: Instant,
    /// What was sent, in mebibytes.
    pub sent_mib: f64,
    /// How long the machine stood still.
    pub downtime: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Copying { round: u16 },
    Stopped,
}

#[derive(Clone, Debug)]
struct Flow {
    migration: Migration,
    burden: Burden,
    stage: Stage,
    began: Instant,
    round_began: Instant,
    /// Up to when `left` is true.
    known: Instant,
    left_bits: f64,
    bits_per_second: f64,
    sent_bits: f64,
    turn: u32,
}

/// All live migrations in flight.
#[derive(Clone, Debug)]
pub struct Migrations {
    flows: Vec<Option<Flow>>,
    spare: Vec<u32>,
    /// The places of the flows of each node.
    at_node: Vec<Vec<u32>>,
    nic_bits: Vec<f64>,
    /// A number that no turn had before, so that a reused place makes old notices stale.
    turns: u32,
}

impl Migrations {
    /// No migrations, between nodes with these interfaces in megabits per second.
    pub fn new(nic_mbps: impl Iterator<Item = u32>) -> Self {
        let nic_bits: Vec<f64> = nic_mbps.map(|mbps| f64::from(mbps) * 1e6).collect();
        Self {
            flows: Vec::new(),
            spare: Vec::new(),
            at_node: vec![Vec::new(); nic_bits.len()],
            nic_bits,
            turns: 0,
        }
    }

    /// How many are in flight.
    pub fn len(&self) -> usize {
        self.flows.len() - self.spare.len()
    }

    /// Whether none is in flight.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that have `node` at either end.
    pub fn of_node(&self, node: NodeIndex) -> impl Iterator<Item = &Migration> {
        let places = self.at_node[node.at()].iter();
        places.filter_map(|slot| Some(&self.flows[*slot as usize].as_ref()?.migration))
    }

    /// All of them, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Migration> {
        self.flows.iter().flatten().map(|flow| &flow.migration)
    }

    /// Begins a migration; `due` receives when rounds will be over from now on.
    pub fn begin(
        &mut self,
        migration: Migration,
        burden: Burden,
        now: Instant,
        due: &mut Vec<Due>,
    ) {
        let flow = Flow {
            migration,
            burden,
            stage: Stage::Copying { round: 1 },
            began: now,
            round_began: now,
            known: now,
            left_bits: f64::from(burden.memory_mib + burden.disk_mib) * BITS_PER_MIB,
            bits_per_second: 0.0,
            sent_bits: 0.0,
            turn: 0,
        };
        let slot = self.spare.pop().unwrap_or_else(|| {
            self.flows.push(None);
            self.flows.len() as u32 - 1
        });
        self.flows[slot as usize] = Some(flow);
        for node in [migration.source, migration.target] {
            self.at_node[node.at()].push(slot);
        }
        self.share(&migration, now, due);
    }

    /// A round of the migration of `notice` may be over: the migration, if it has ended by that.
    pub fn round_over(&mut self, notice: Notice, now: Instant, due: &mut Vec<Due>) -> Option<Over> {
        let flow = self.flows.get_mut(notice.slot as usize)?.as_mut()?;
        if flow.turn != notice.turn {
            return None;
        }
        flow.progress(now);
        match flow.stage {
            Stage::Stopped => return self.end(notice.slot, now, due),
            Stage::Copying { round } => flow.next_round(round, now),
        }
        self.turns += 1;
        flow.turn = self.turns;
        due.push(flow.due(notice.slot, now));
        None
    }

    /// Ends all migrations that `doomed` says, before their time.
    pub fn abort(
        &mut self,
        doomed: impl Fn(&Migration) -> bool,
        now: Instant,
        due: &mut Vec<Due>,
    ) -> Vec<Over> {
        let is_doomed = |flow: &Flow| doomed(&flow.migration);
        let slots: Vec<u32> = (0..self.flows.len())
            .filter(|slot| self.flows[*slot].as_ref().is_some_and(is_doomed))
            .map(|slot| slot as u32)
            .collect();
        let mut over = Vec::new();
        for slot in slots {
            if let Some(flow) = &mut self.flows[slot as usize] {
                flow.progress(now);
            }
            over.extend(self.end(slot, now, due));
        }
        over
    }

    fn end(&mut self, slot: u32, now: Instant, due: &mut Vec<Due>) -> Option<Over> {
        let flow = self.flows[slot as usize].take()?;
        self.spare.push(slot);
        for node in [flow.migration.source, flow.migration.target] {
            self.at_node[node.at()].retain(|other| *other != slot);
        }
        self.share(&flow.migration, now, due);
        let stopped = flow.stage == Stage::Stopped;
        Some(Over {
            migration: flow.migration,
            began: flow.began,
            sent_mib: flow.sent_bits / BITS_PER_MIB,
            downtime: if stopped {
                now - flow.round_began
            } else {
                Duration::ZERO
            },
        })
    }

    /// Gives all flows at the ends of `changed` their new share.
    fn share(&mut self, changed: &Migration, now: Instant, due: &mut Vec<Due>) {
        for node in [changed.source, changed.target] {
            for place in 0..self.at_node[node.at()].len() {
                let slot = self.at_node[node.at()][place];
                let Some(flow) = &mut self.flows[slot as usize] else {
                    continue;
                };
                let part = |end: NodeIndex| {
                    self.nic_bits[end.at()] / self.at_node[end.at()].len().max(1) as f64
                };
                let speed = part(flow.migration.source).min(part(flow.migration.target));
                if speed.to_bits() != flow.bits_per_second.to_bits() {
                    flow.progress(now);
                    flow.bits_per_second = speed;
                    self.turns += 1;
                    flow.turn = self.turns;
                    due.push(flow.due(slot, now));
                }
            }
        }
    }
}

impl Flow {
    /// Counts what was sent until `now`.
    fn progress(&mut self, now: Instant) {
        let sent = self.bits_per_second * (now - self.known).as_secs_f64();
        let sent = sent.min(self.left_bits);
        self.left_bits -= sent;
        self.sent_bits += sent;
        self.known = now;
    }

    /// What was written during the round that is over has to be sent.
    fn next_round(&mut self, round: u16, now: Instant) {
        // The rounding of times to nanoseconds may have left some bits.
        self.sent_bits += self.left_bits;
        let seconds = (now - self.round_began).as_secs_f64();
        let memory_bits = f64::from(self.burden.memory_mib) * BITS_PER_MIB;
        self.left_bits = (self.burden.dirty_mbps * 1e6 * seconds).min(WORKING_SET * memory_bits);
        self.round_began = now;
        let stops = self.left_bits <= self.bits_per_second * DOWNTIME || round >= ROUNDS_MAX;
        self.stage = if stops {
            Stage::Stopped
        } else {
            Stage::Copying { round: round + 1 }
        };
    }

    fn due(&self, slot: u32, now: Instant) -> Due {
        let nanos = (self.left_bits / self.bits_per_second * 1e9).ceil();
        Due {
            at: now + Duration::from_nanos(nanos as u64),
            notice: Notice {
                slot,
                turn: self.turn,
            },
        }
    }
}

#[cfg(test)]
mod tests;
