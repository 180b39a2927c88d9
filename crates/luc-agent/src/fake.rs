//! The driver without a hypervisor: servers that are only written down.
//!
//! Instant by default, or with delays and failures from a seed; with a directory its servers
//! survive a restart, as real ones do. Guests have a demand for processor time
//! ([`FakeDriver::set_demand`]), the host gives what it has. Good for 5 000 servers in one process.
//! It is no simulator of hypervisors: it has no disks, no memory, no network.
//!
//! Metadata of a server can steer it: [`FAULT_KEY`] makes steps fail, [`DEAF_KEY`] makes the guest
//! deaf to requests to shut down, [`LOAD_KEY`] is its demand in processors after it has started.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use luc_core::id::ServerId;
use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use tokio::sync::mpsc;

pub use faults::{Delays, FAULT_KEY, FaultKind, FaultRule};
pub use load::{Demand, HostUsage};

use crate::desired::Generation;
use crate::driver::{DriverError, StartLimit, Step};
use crate::observed::PowerState;
use faults::{Fate, Try};
use load::Load;
use servers::{FakeServer, Servers};

mod console;
mod faults;
mod load;
mod servers;
mod steps;

/// Metadata key of a guest that does not hear a request to shut down: `ignored`, or `ignored:2` for
/// the first two.
pub const DEAF_KEY: &str = "luc:fake-acpi";
/// Metadata key of a guest's demand in processors (`0.5`).
pub const LOAD_KEY: &str = "luc:load";

/// How a fake host behaves.
#[derive(Clone, Debug)]
pub struct FakeConfig {
    /// The host's name.
    pub hostname: String,
    /// Its processors.
    pub vcpus: Vcpus,
    /// Its memory.
    pub memory: MemoryMib,
    /// Its disk.
    pub disk: DiskGib,
    /// Where servers are written down; without it they end with the process.
    pub directory: Option<PathBuf>,
    /// What delays and failures follow from.
    pub seed: u64,
    /// How long steps take.
    pub delays: Delays,
    /// Which steps fail.
    pub faults: Vec<FaultRule>,
    /// How many guests may boot at once.
    pub start_limit: Option<StartLimit>,
}

impl Default for FakeConfig {
    fn default() -> Self {
        Self {
            hostname: "fake".into(),
            vcpus: Vcpus(64),
            memory: MemoryMib(256 * 1024),
            disk: DiskGib(4096),
            directory: None,
            seed: 0,
            delays: Delays::none(),
            faults: Vec::new(),
            start_limit: None,
        }
    }
}

/// The driver without a hypervisor.
#[derive(Clone)]
pub struct FakeDriver {
    inner: Arc<Inner>,
}

struct Inner {
    config: FakeConfig,
    fate: Fate,
    state: Mutex<State>,
}

struct State {
    servers: Servers,
    load: Load,
    subscribers: Vec<mpsc::UnboundedSender<ServerId>>,
}

impl FakeDriver {
    /// Opens the fake host with whatever its directory holds.
    pub fn open(config: FakeConfig) -> Result<Self, DriverError> {
        let servers = Servers::open(config.directory.as_deref())?;
        let mut load = Load::new(config.vcpus);
        for server in servers
            .iter()
            .filter(|server| server.power == PowerState::Running)
        {
            load.set(&server.id, server.demand());
        }
        let (delays, rules) = (config.delays.clone(), config.faults.clone());
        let fate = Fate {
            seed: config.seed,
            delays,
            rules,
        };
        let state = Mutex::new(State {
            servers,
            load,
            subscribers: Vec::new(),
        });
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                fate,
                state,
            }),
        })
    }

    /// What the server's guest would use of the host from now on.
    pub fn set_demand(&self, id: &ServerId, demand: Demand) -> Result<(), DriverError> {
        let mut state = self.lock();
        let mut server = state.server(id)?.clone();
        let cpu = demand.cpu.clamp(0.0, server.shape.vcpus.get() as f64);
        server.demand_cpu = cpu;
        server.demand_dirty = demand.dirty;
        if server.power == PowerState::Running {
            state.load.set(id, server.demand());
        }
        state.servers.put(server)
    }

    /// What the guests use together.
    pub fn host_usage(&self) -> HostUsage {
        self.lock().load.usage()
    }

    /// The guest shuts down from inside.
    pub fn shut_down_from_inside(&self, id: &ServerId) -> Result<(), DriverError> {
        self.lock().change_power(id, PowerState::Shutdown)
    }

    /// The guest panics.
    pub fn crash(&self, id: &ServerId) -> Result<(), DriverError> {
        self.lock().change_power(id, PowerState::Crashed)
    }

    /// The host goes down under its guests and comes back.
    pub fn lose_power(&self) -> Result<(), DriverError> {
        let mut state = self.lock();
        for id in state.servers.ids() {
            let mut server = state.server(&id)?.clone();
            if matches!(server.power, PowerState::Running | PowerState::Paused) {
                server.power = PowerState::Shutdown;
                server.marks.settled = Generation(0);
                state.keep(server)?;
            }
            state.tell(&id);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as this try takes and lets it fail if it is to fail.
    async fn suffer(&self, id: &ServerId, step: Step) -> Result<(), DriverError> {
        let (delay, verdict) = {
            let mut state = self.lock();
            let mut server = state.server(id)?.clone();
            let count = server.tries.get(&step).copied().unwrap_or(0);
            let (name, metadata) = (server.name.as_str(), Some(&server.metadata));
            let tried = Try {
                id,
                name,
                metadata,
                step,
                count,
            };
            let judged = (self.inner.fate.delay(&tried), self.inner.fate.judge(&tried));
            server.tries.insert(step, count + 1);
            state.servers.remember(server);
            judged
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        verdict
    }

    /// One step from one of the states `from`; nothing to do in state `to`.
    async fn go(
        &self,
        id: &ServerId,
        step: Step,
        from: &[PowerState],
        to: PowerState,
    ) -> Result<(), DriverError> {
        if self.lock().built(id)?.power == to {
            return Ok(());
        }
        self.suffer(id, step).await?;
        let mut state = self.lock();
        let mut server = state.built(id)?.clone();
        if server.power != to && !from.contains(&server.power) {
            let message = format!("cannot {step} a server that is {:?}", server.power);
            return Err(DriverError::transient(message));
        }
        server.power = to;
        state.keep(server)
    }

    /// One step on a server that is off.
    async fn alter(
        &self,
        id: &ServerId,
        step: Step,
        change: impl FnOnce(&mut FakeServer) -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        self.suffer(id, step).await?;
        let mut state = self.lock();
        let mut server = state.built(id)?.clone();
        if server.power != PowerState::Shutdown {
            return Err(DriverError::transient(format!(
                "cannot {step}: the server is not off"
            )));
        }
        change(&mut server)?;
        state.keep(server)
    }
}

impl State {
    fn server(&self, id: &ServerId) -> Result<&FakeServer, DriverError> {
        self.servers
            .get(id)
            .ok_or_else(|| DriverError::transient(format!("server {id} is not on this host")))
    }

    fn built(&self, id: &ServerId) -> Result<&FakeServer, DriverError> {
        let server = self.server(id)?;
        if server.build.is_none() {
            return Err(DriverError::transient(format!(
                "server {id} has no complete disks"
            )));
        }
        Ok(server)
    }

    /// Whether the guest does not hear a request to shut down; counts the request.
    fn is_deaf(&mut self, id: &ServerId) -> Result<bool, DriverError> {
        let mut server = self.built(id)?.clone();
        let asked = server.tries.entry(Step::AskShutdown).or_default();
        let deaf = match server.metadata.get(DEAF_KEY).map(String::as_str) {
            None => false,
            Some("ignored") => true,
            Some(text) => text
                .strip_prefix("ignored:")
                .and_then(|times| times.parse().ok())
                .is_some_and(|times: u32| *asked < times),
        };
        if deaf {
            *asked += 1;
            self.servers.remember(server);
        }
        Ok(deaf)
    }

    /// Keeps a server and brings its load in line with its power state.
    fn keep(&mut self, server: FakeServer) -> Result<(), DriverError> {
        if server.power == PowerState::Running {
            self.load.set(&server.id, server.demand());
        } else {
            self.load.remove(&server.id);
        }
        self.servers.put(server)
    }

    fn change_power(&mut self, id: &ServerId, power: PowerState) -> Result<(), DriverError> {
        let mut server = self.built(id)?.clone();
        if server.power != PowerState::Running {
            return Err(DriverError::transient(format!("server {id} does not run")));
        }
        server.power = power;
        self.keep(server)?;
        self.tell(id);
        Ok(())
    }

    fn tell(&mut self, id: &ServerId) {
        self.subscribers
            .retain(|subscriber| subscriber.send(id.clone()).is_ok());
    }
}
