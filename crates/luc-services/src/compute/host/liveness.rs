//! Which hosts have been heard from lately. Memory only: a restart waits for the next heartbeats.
//!
//! A host whose node was revoked is down whatever is heard; [`super::super::hosts::Keeper`] says
//! which are.

use std::collections::{BTreeMap, BTreeSet};
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
    /// It has said goodbye, or its connection broke, at this moment.
    Lost(Instant),
}

/// The last heartbeats.
#[derive(Debug)]
pub struct Liveness {
    timeout: Duration,
    began: Instant,
    hosts: RwLock<BTreeMap<String, Known>>,
    revoked: RwLock<BTreeMap<String, Instant>>,
}

/// How long after a start hosts of which nothing is known yet count as alive: they outlived the
/// restart of this process, and their next heartbeat is on its way. New servers go to hosts that
/// were heard, if one of them has room.
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
            revoked: RwLock::default(),
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
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(host.to_owned(), Known::Heard(heard));
    }

    /// Notes that `host` is gone, until it is heard again.
    pub fn forget(&self, host: &str) {
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(hosts.get(host), Some(Known::Lost(_))) {
            hosts.insert(host.to_owned(), Known::Lost(Instant::now()));
        }
    }

    /// Sets whose nodes are revoked: these hosts and no others.
    pub fn set_revoked(&self, hosts: BTreeSet<String>) {
        let now = Instant::now();
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        revoked.retain(|host, _| hosts.contains(host));
        for host in hosts {
            revoked.entry(host).or_insert(now);
        }
    }

    fn known(&self, host: &str) -> Option<Known> {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        hosts.get(host).copied()
    }

    /// When `host` was last heard, and what it said.
    pub fn last(&self, host: &str) -> Option<Heard> {
        match self.known(host)? {
            Known::Heard(heard) => Some(heard),
            Known::Lost(_) => None,
        }
    }

    /// For how long `host` has counted as down, whatever an operator declared; `None` if it does
    /// not.
    pub fn down_for(&self, host: &str) -> Option<Duration> {
        let past = |since: Instant, patience: Duration| {
            let beyond = since.elapsed().checked_sub(patience);
            beyond.filter(|beyond| !beyond.is_zero())
        };
        let silent = match self.known(host) {
            Some(Known::Heard(heard)) => past(heard.monotonic, self.timeout),
            Some(Known::Lost(at)) => Some(at.elapsed()),
            None => past(self.began, GRACE.min(self.timeout)),
        };
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        let shut_out = revoked.get(host).map(Instant::elapsed);
        silent.max(shut_out)
    }

    /// Whether `host` has been heard lately, whatever an operator declared.
    pub fn is_heard(&self, host: &str) -> bool {
        self.down_for(host).is_none()
    }

    /// Whether `host` counts as alive only because this process has just begun: nothing was heard
    /// of it yet.
    pub fn is_expected(&self, host: &str) -> bool {
        self.known(host).is_none() && self.is_heard(host)
    }

    /// Whether `host` is up: heard lately and not forced down.
    pub fn is_up(&self, host: &Host) -> bool {
        !host.forced_down && self.is_heard(&host.name)
    }
}
