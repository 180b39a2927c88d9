//! The fake driver's model of processor load: what guests want, and what the host can give.
//!
//! Each running guest has a demand in processors, bounded by its own. When the demands of a host
//! exceed its processors every guest gets the same share of its demand. Time a guest has received
//! is the integral of that share; since the share is common to all, one integral for the host is
//! enough and a change costs the same for 5 guests as for 5 000.

use std::collections::BTreeMap;

use luc_core::id::ServerId;
use luc_core::time::Duration;
use luc_core::units::{Bytes, Vcpus};
use tokio::time::Instant;

/// What a guest would use of the host if it could.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    /// Processors, from 0 to the guest's own number.
    pub cpu: f64,
    /// Memory it would write each second.
    pub dirty: Bytes,
}

/// What the guests of a host use together, in processors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostUsage {
    /// What the host has.
    pub capacity: f64,
    /// What the running guests would use.
    pub demanded: f64,
    /// What they get.
    pub granted: f64,
}

/// The load of one host.
#[derive(Debug)]
pub(crate) struct Load {
    capacity: f64,
    running: BTreeMap<ServerId, Meter>,
    /// The sum of all demands in millionths of a processor: whole numbers never drift.
    demanded_micro: u64,
    /// Seconds of processor time that a demand of one has received.
    share_secs: f64,
    at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Meter {
    demand: Demand,
    received_secs: f64,
    share_secs_before: f64,
    wanted_secs: f64,
    since: Instant,
}

impl Meter {
    /// What it has asked for until `now`, in processor seconds.
    fn wanted(&self, now: Instant) -> f64 {
        self.wanted_secs + (now - self.since).as_secs_f64() * self.demand.cpu
    }
}

/// What a guest has used so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Used {
    /// Processor time it got.
    pub(crate) cpu_time: Duration,
    /// Processor time it asked for and did not get.
    pub(crate) cpu_waited: Duration,
    /// What it writes to memory each second.
    pub(crate) dirty: Bytes,
}

impl Load {
    pub(crate) fn new(capacity: Vcpus) -> Self {
        Self {
            capacity: capacity.get() as f64,
            running: BTreeMap::new(),
            demanded_micro: 0,
            share_secs: 0.0,
            at: Instant::now(),
        }
    }

    /// The guest runs from now on with `demand`, or changes its demand.
    pub(crate) fn set(&mut self, id: &ServerId, demand: Demand) {
        self.advance();
        let share_secs_before = self.share_secs;
        let idle = Demand::default();
        let now = self.at;
        let fresh = Meter {
            demand: idle,
            received_secs: 0.0,
            share_secs_before,
            wanted_secs: 0.0,
            since: now,
        };
        let meter = self.running.entry(id.clone()).or_insert(fresh);
        meter.received_secs += (share_secs_before - meter.share_secs_before) * meter.demand.cpu;
        meter.share_secs_before = share_secs_before;
        meter.wanted_secs = meter.wanted(now);
        meter.since = now;
        self.demanded_micro -= micro(meter.demand);
        meter.demand = demand;
        self.demanded_micro += micro(demand);
    }

    /// The guest does not run any more.
    pub(crate) fn remove(&mut self, id: &ServerId) {
        self.advance();
        if let Some(meter) = self.running.remove(id) {
            self.demanded_micro -= micro(meter.demand);
        }
    }

    /// What the guest has used; none if it does not run.
    pub(crate) fn of(&mut self, id: &ServerId) -> Option<Used> {
        self.advance();
        let meter = self.running.get(id)?;
        let more = (self.share_secs - meter.share_secs_before) * meter.demand.cpu;
        let received = meter.received_secs + more;
        let time = |secs: f64| Duration::try_from_secs_f64(secs).unwrap_or_default();
        Some(Used {
            cpu_time: time(received),
            cpu_waited: time(meter.wanted(self.at) - received),
            dirty: Bytes((meter.demand.dirty.get() as f64 * self.share()) as u64),
        })
    }

    pub(crate) fn usage(&self) -> HostUsage {
        let (capacity, demanded) = (self.capacity, self.demanded());
        HostUsage {
            capacity,
            demanded,
            granted: demanded.min(capacity),
        }
    }

    /// The part of its demand that every guest gets.
    fn share(&self) -> f64 {
        let demanded = self.demanded();
        if demanded > self.capacity {
            self.capacity / demanded
        } else {
            1.0
        }
    }

    fn demanded(&self) -> f64 {
        self.demanded_micro as f64 / 1e6
    }

    fn advance(&mut self) {
        let now = Instant::now();
        self.share_secs += (now - self.at).as_secs_f64() * self.share();
        self.at = now;
    }
}

fn micro(demand: Demand) -> u64 {
    (demand.cpu.max(0.0) * 1e6).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ServerId {
        ServerId::parse(name).unwrap()
    }

    fn cpu(cpu: f64) -> Demand {
        Demand {
            cpu,
            dirty: Bytes(1000),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_on_an_idle_host_gets_what_it_wants() {
        let mut load = Load::new(Vcpus(2));
        load.set(&id("a"), cpu(0.5));
        tokio::time::advance(Duration::from_secs(10)).await;
        let used = Used {
            cpu_time: Duration::from_secs(5),
            cpu_waited: Duration::ZERO,
            dirty: Bytes(1000),
        };
        assert_eq!(load.of(&id("a")), Some(used));
        assert_eq!(load.of(&id("b")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn guests_on_an_overloaded_host_share_it_in_proportion() {
        let mut load = Load::new(Vcpus(2));
        load.set(&id("a"), cpu(3.0));
        load.set(&id("b"), cpu(1.0));
        assert_eq!(
            load.usage(),
            HostUsage {
                capacity: 2.0,
                demanded: 4.0,
                granted: 2.0
            }
        );
        tokio::time::advance(Duration::from_secs(10)).await;
        let used = Used {
            cpu_time: Duration::from_secs(15),
            cpu_waited: Duration::from_secs(15),
            dirty: Bytes(500),
        };
        assert_eq!(load.of(&id("a")), Some(used));
        assert_eq!(load.of(&id("b")).unwrap().cpu_time, Duration::from_secs(5));
        load.remove(&id("a"));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(load.of(&id("b")).unwrap().cpu_time, Duration::from_secs(15));
    }

    #[tokio::test(start_paused = true)]
    async fn time_received_before_a_change_of_demand_is_kept() {
        let mut load = Load::new(Vcpus(4));
        load.set(&id("a"), cpu(1.0));
        tokio::time::advance(Duration::from_secs(10)).await;
        load.set(&id("a"), cpu(2.0));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(load.of(&id("a")).unwrap().cpu_time, Duration::from_secs(30));
    }
}
