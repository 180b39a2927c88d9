//! Which hosts have been heard from lately. Memory only: a restart waits for the next heartbeats.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use luc_core::time::Timestamp;
use tokio::time::Instant;

use super::Host;

/// What a host says each time it is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heartbeat {
    /// How long its operating system has been up.
    pub uptime: Option<Duration>,
    /// The load averages over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// How many VMs run on it.
    pub running_vms: u32,
}

/// When a host was last heard, and what it said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// On the wall clock, to be shown.
    pub at: Timestamp,
    /// What it said.
    pub heartbeat: Heartbeat,
    monotonic: Instant,
}

/// What is known of a host.
#[derive(Clone, Copy, Debug)]
enum Known {
    Heard(Heard),
    /// It has said goodbye, or its connection broke.
    Lost,
}

/// The last heartbeats.
#[derive(Debug)]
pub struct Liveness {
    timeout: Duration,
    began: Instant,
    hosts: RwLock<BTreeMap<String, Known>>,
}

/// How long after a start hosts of which nothing is known yet count as alive: they outlived the
/// restart of this process, and their next heartbeat is on its way.
const GRACE: Duration = Duration::from_secs(15);

impl Default for Liveness {
    /// Nova's `service_down_time`.
    fn default() -> Self {
        Self::new(Duration::from_secs(60))
    }
}

impl Liveness {
    /// Hosts that are silent for longer than `timeout` count as down.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            began: Instant::now(),
            hosts: RwLock::default(),
        }
    }

    /// Notes that `host` was heard just now; `at` is the wall clock's word for it.
    pub fn note(&self, host: &str, at: Timestamp, heartbeat: Heartbeat) {
        let monotonic = Instant::now();
        let heard = Heard {
            at,
            heartbeat,
            monotonic,
        };
        self.set(host, Known::Heard(heard));
    }

    /// Notes that `host` is gone, until it is heard again.
    pub fn forget(&self, host: &str) {
        self.set(host, Known::Lost);
    }

    fn set(&self, host: &str, known: Known) {
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(host.to_owned(), known);
    }

    fn known(&self, host: &str) -> Option<Known> {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        hosts.get(host).copied()
    }

    /// When `host` was last heard, and what it said.
    pub fn last(&self, host: &str) -> Option<Heard> {
        match self.known(host)? {
            Known::Heard(heard) => Some(heard),
            Known::Lost => None,
        }
    }

    /// Whether `host` has been heard lately, whatever an operator declared.
    pub fn is_heard(&self, host: &str) -> bool {
        match self.known(host) {
            Some(Known::Heard(heard)) => heard.monotonic.elapsed() <= self.timeout,
            Some(Known::Lost) => false,
            None => self.began.elapsed() <= GRACE.min(self.timeout),
        }
    }

    /// Whether `host` is up: heard lately and not forced down.
    pub fn is_up(&self, host: &Host) -> bool {
        !host.forced_down && self.is_heard(&host.name)
    }
}
