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

/// The last heartbeats.
#[derive(Debug)]
pub struct Liveness {
    timeout: Duration,
    heard: RwLock<BTreeMap<String, Heard>>,
}

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
            heard: RwLock::default(),
        }
    }

    /// Notes that `host` was heard just now; `at` is the wall clock's word for it.
    pub fn note(&self, host: &str, at: Timestamp, heartbeat: Heartbeat) {
        let heard = Heard {
            at,
            heartbeat,
            monotonic: Instant::now(),
        };
        let mut table = self.heard.write().unwrap_or_else(PoisonError::into_inner);
        table.insert(host.to_owned(), heard);
    }

    /// Forgets `host`: it has said goodbye.
    pub fn forget(&self, host: &str) {
        self.heard
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(host);
    }

    /// When `host` was last heard, and what it said.
    pub fn last(&self, host: &str) -> Option<Heard> {
        self.heard
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(host)
            .copied()
    }

    /// Whether `host` has been heard lately, whatever an operator declared.
    pub fn is_heard(&self, host: &str) -> bool {
        self.last(host)
            .is_some_and(|heard| heard.monotonic.elapsed() <= self.timeout)
    }

    /// Whether `host` is up: heard lately and not forced down.
    pub fn is_up(&self, host: &Host) -> bool {
        !host.forced_down && self.is_heard(&host.name)
    }
}
