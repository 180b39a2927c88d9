//! Doubles of the ports for tests: a clock that is set by hand, randomness that counts, a host's
//! facts.
//!
//! For the tests of this crate and of those that plug it together; the product uses none of it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use luc_api::Operation;
use luc_core::id::{NodeId, ServerId};
use luc_core::time::Timestamp;
use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use serde_json::Value;

use crate::compute::host::{AllocationRatios, CpuInfo, Resources};
use crate::compute::hosts::HostFacts;
use crate::compute::ports::{AskError, Hosts};
use crate::ports::{Clock, Observer, Randomness};

/// When every test begins: 2026-01-01T00:00:00Z, in seconds.
pub const BEGINNING: i64 = 1_767_225_600;

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct StoppedClock(AtomicI64);

impl Default for StoppedClock {
    fn default() -> Self {
        Self(AtomicI64::new(BEGINNING))
    }
}

impl StoppedClock {
    /// Lets `seconds` pass; a negative number turns it back.
    pub fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_secs(self.0.load(Ordering::Relaxed))
    }
}

/// Never the same twice; not random at all.
#[derive(Debug)]
pub struct Counted(AtomicU64);

impl Counted {
    /// Begins at `count`. Two that begin far apart have nothing in common.
    #[must_use]
    pub fn from(count: u64) -> Self {
        Self(AtomicU64::new(count))
    }
}

impl Randomness for Counted {
    fn next_u64(&self) -> u64 {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        count.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31)
    }
}

/// Nobody is told how requests went.
#[derive(Clone, Copy, Debug)]
pub struct Deaf;

impl Observer for Deaf {
    fn answered(&self, _: Option<Operation>, _: u16, _: Duration) {}
}

/// There are no hosts that could be asked.
#[derive(Clone, Copy, Debug)]
pub struct NoHosts;

#[async_trait]
impl Hosts for NoHosts {
    async fn console_output(
        &self,
        host: &str,
        _: &ServerId,
        _: Option<u64>,
    ) -> Result<String, AskError> {
        let host = host.to_owned();
        Err(AskError::Unreachable { host })
    }

    async fn diagnostics(&self, host: &str, _: &ServerId) -> Result<Value, AskError> {
        let host = host.to_owned();
        Err(AskError::Unreachable { host })
    }
}

/// What the host `name`, run by `node`, says of itself: 4 cores, 8 GiB, nothing overcommitted.
#[must_use]
pub fn host_facts(name: &str, node: NodeId) -> HostFacts {
    HostFacts {
        name: name.to_owned(),
        node,
        hypervisor_hostname: "host.example".to_owned(),
        hypervisor_type: "fake".to_owned(),
        hypervisor_version: 1,
        cpu: CpuInfo {
            arch: "x86_64".to_owned(),
            model: "m".to_owned(),
            vendor: "v".to_owned(),
            features: Vec::new(),
            sockets: 1,
            cores: 4,
            threads: 1,
        },
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        capacity: Resources {
            vcpus: Vcpus(4),
            memory: MemoryMib(8192),
            disk: DiskGib(100),
        },
        ratios: AllocationRatios {
            vcpus: 1.0,
            memory: 1.0,
            disk: 1.0,
        },
    }
}
