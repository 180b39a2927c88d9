//! Energy by the hour, from the demand, the migrations and the state of each host.

use luc_core::time::Instant;
use luc_dvms::Cpu;
use serde::Serialize;

use crate::index::NodeIndex;
use crate::log::{Entry, Header, Record};
use crate::power::PowerModel;
use crate::world::HostState;

const HOUR_NS: u64 = 3_600_000_000_000;
const JOULES_PER_KWH: f64 = 3.6e6;

/// What happened in one hour of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Hour {
    /// Energy of all hosts, in kilowatt-hours.
    pub energy_kwh: f64,
    /// Of which by migrations.
    pub migration_kwh: f64,
    /// Violation time of all hosts, in seconds.
    pub violation_s: f64,
    /// Time of all hosts powered on or waking, in seconds.
    pub powered_s: f64,
    /// Migrations that began.
    pub migrations: u64,
}

#[derive(Clone, Copy, Debug)]
struct Meter {
    known: u64,
    state: HostState,
    demand: u32,
    migrations: u16,
    violated: bool,
}

/// Watches the power of all hosts.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    model: PowerModel,
    capacity: Vec<u32>,
    meters: Vec<Meter>,
    hours: Vec<Hour>,
}

impl Watch {
    pub(super) fn new(header: &Header) -> Self {
        let meter = Meter {
            known: 0,
            state: HostState::On,
            demand: 0,
            migrations: 0,
            violated: false,
        };
        Self {
            model: header.power,
            meters: vec![meter; header.capacity.len()],
            capacity: header.capacity.clone(),
            hours: Vec::new(),
        }
    }

    pub(super) fn observe(&mut self, record: &Record) {
        let at = record.at;
        match &record.entry {
            Entry::Demand { host, cpu } => self.meter(*host, at).demand = *cpu,
            Entry::ViolationBegan { host } => self.meter(*host, at).violated = true,
            Entry::ViolationEnded { host } => self.meter(*host, at).violated = false,
            Entry::Power { host, state } => self.meter(*host, at).state = *state,
            Entry::MigrationBegan { source, target, .. } => {
                for host in [source, target] {
                    self.meter(*host, at).migrations += 1;
                }
                self.hour(at.as_nanos()).migrations += 1;
            }
            Entry::MigrationEnded { source, target, .. } => {
                for host in [source, target] {
                    let migrations = &mut self.meter(*host, at).migrations;
                    *migrations = migrations.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    /// The meters read at `now`.
    pub(super) fn at(&self, now: Instant) -> Self {
        let mut read = self.clone();
        for host in 0..read.meters.len() {
            read.meter(NodeIndex(host as u32), now);
        }
        read
    }

    pub(super) fn kwh(&self) -> f64 {
        self.hours.iter().map(|hour| hour.energy_kwh).sum()
    }

    pub(super) fn migration_kwh(&self) -> f64 {
        self.hours.iter().map(|hour| hour.migration_kwh).sum()
    }

    pub(super) fn hours(&self) -> Vec<Hour> {
        self.hours.clone()
    }

    fn hour(&mut self, nanos: u64) -> &mut Hour {
        let hour = (nanos / HOUR_NS) as usize;
        if self.hours.len() <= hour {
            self.hours.resize(hour + 1, Hour::default());
        }
        &mut self.hours[hour]
    }

    /// The meter of `host`, after what it drew until `now` has been counted.
    fn meter(&mut self, host: NodeIndex, now: Instant) -> &mut Meter {
        let meter = self.meters[host.at()];
        let (demand, capacity) = (Cpu(meter.demand), Cpu(self.capacity[host.at()]));
        let watts = |migrations| self.model.watts(meter.state, demand, capacity, migrations);
        let total = watts(meter.migrations);
        let moving = total - watts(0);
        let powered = matches!(meter.state, HostState::On | HostState::Waking);
        let mut from = meter.known;
        while from < now.as_nanos() {
            let until = now.as_nanos().min((from / HOUR_NS + 1) * HOUR_NS);
            let seconds = (until - from) as f64 / 1e9;
            let hour = self.hour(from);
            hour.energy_kwh += total * seconds / JOULES_PER_KWH;
            hour.migration_kwh += moving * seconds / JOULES_PER_KWH;
            hour.violation_s += if meter.violated { seconds } else { 0.0 };
            hour.powered_s += if powered { seconds } else { 0.0 };
            from = until;
        }
        let meter = &mut self.meters[host.at()];
        meter.known = meter.known.max(now.as_nanos());
        meter
    }
}
