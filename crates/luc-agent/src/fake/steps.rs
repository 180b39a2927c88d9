//! The fake driver's steps, as a driver's.

use async_trait::async_trait;
use luc_core::id::ServerId;
use luc_core::time::Timestamp;
use luc_core::units::Bytes;
use tokio::sync::mpsc;

use super::load::Demand;
use super::servers::FakeServer;
use super::{FakeDriver, console};
use crate::controller::Images;
use crate::desired::DesiredServer;
use crate::driver::{Actual, Driver, DriverError, Marks, StartLimit, Stats, Step};
use crate::host::{CpuInfo, HostFacts};
use crate::observed::PowerState;
use crate::reconcile;

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_unix_micros(since.map_or(0, |since| since.as_micros() as i64))
}

/// The demand that a server's metadata asks for.
fn demand_of(wish: &DesiredServer) -> Demand {
    let load = wish
        .boot
        .metadata
        .get("luc:load")
        .and_then(|text| text.parse::<f64>().ok());
    let cpu = load
        .unwrap_or(0.0)
        .clamp(0.0, wish.shape.vcpus.get() as f64);
    Demand {
        cpu,
        dirty: Bytes::ZERO,
    }
}

#[async_trait]
impl Driver for FakeDriver {
    fn hypervisor_type(&self) -> &'static str {
        "fake"
    }

    fn hypervisor_version(&self) -> u64 {
        1_000
    }

    fn host_facts(&self) -> HostFacts {
        let config = &self.inner.config;
        HostFacts {
            hostname: config.hostname.clone(),
            vcpus: config.vcpus,
            memory: config.memory,
            memory_available: config.memory,
            disk: config.disk,
            disk_free: config.disk,
            cpu: CpuInfo {
                arch: "x86_64".into(),
                vendor: "fake".into(),
                model: "fake".into(),
                sockets: 1,
                cores: config.vcpus.get(),
                threads: 1,
                features: Vec::new(),
            },
            ..HostFacts::default()
        }
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![("seed", self.inner.config.seed.to_string())]
    }

    fn start_limit(&self) -> Option<StartLimit> {
        self.inner.config.start_limit
    }

    fn subscribe(&self, changed: mpsc::UnboundedSender<ServerId>) {
        self.lock().subscribers.push(changed);
    }

    async fn list(&self) -> Result<Vec<ServerId>, DriverError> {
        Ok(self.lock().servers.ids())
    }

    async fn inspect(&self, id: &ServerId) -> Result<Actual, DriverError> {
        Ok(self
            .lock()
            .servers
            .get(id)
            .map_or(Actual::Absent, FakeServer::actual))
    }

    async fn prepare(&self, _: &DesiredServer, _: &dyn Images) -> Result<(), DriverError> {
        Ok(())
    }

    async fn build(&self, wish: &DesiredServer) -> Result<(), DriverError> {
        {
            let mut state = self.lock();
            let before = state.servers.get(&wish.id);
            let running = before.is_some_and(|before| {
                matches!(before.power, PowerState::Running | PowerState::Paused)
            });
            if running {
                return Err(DriverError::transient(
                    "cannot build: the server is not off",
                ));
            }
            let server = FakeServer::unbuilt(wish, before, demand_of(wish));
            state.keep(server)?;
        }
        self.suffer(&wish.id, Step::Build).await?;
        let mut state = self.lock();
        let mut server = state.server(&wish.id)?.clone();
        server.build = Some(wish.build);
        state.keep(server)
    }

    async fn start(&self, wish: &DesiredServer) -> Result<(), DriverError> {
        if self.lock().built(&wish.id)?.power == PowerState::Running {
            return Ok(());
        }
        self.alter(&wish.id, Step::Start, |server| {
            server.power = PowerState::Running;
            server.boots += 1;
            server.marks.rebooted = reconcile::rebooted(wish, server.marks);
            server.nic.clone_from(&wish.nic);
            server.launched_at = server.launched_at.or_else(|| Some(now()));
            Ok(())
        })
        .await
    }

    async fn ask_shutdown(&self, id: &ServerId) -> Result<(), DriverError> {
        if self.lock().is_deaf(id)? {
            return Ok(());
        }
        let driver = self.clone();
        let id = id.clone();
        let obey = async move {
            driver.suffer(&id, Step::AskShutdown).await?;
            // It may have been cut off meanwhile, which is just as well.
            let _ = driver.lock().change_power(&id, PowerState::Shutdown);
            Ok(())
        };
        if self.inner.config.delays.is_none(Step::AskShutdown) {
            return obey.await;
        }
        tokio::spawn(obey);
        Ok(())
    }

    async fn power_off(&self, id: &ServerId) -> Result<(), DriverError> {
        let from = [
            PowerState::Running,
            PowerState::Paused,
            PowerState::Crashed,
            PowerState::Suspended,
        ];
        self.go(id, Step::PowerOff, &from, PowerState::Shutdown)
            .await
    }

    async fn pause(&self, id: &ServerId) -> Result<(), DriverError> {
        self.go(id, Step::Pause, &[PowerState::Running], PowerState::Paused)
            .await
    }

    async fn unpause(&self, id: &ServerId) -> Result<(), DriverError> {
        self.go(
            id,
            Step::Unpause,
            &[PowerState::Paused],
            PowerState::Running,
        )
        .await
    }

    async fn suspend(&self, id: &ServerId) -> Result<(), DriverError> {
        let from = [PowerState::Running, PowerState::Paused];
        self.go(id, Step::Suspend, &from, PowerState::Suspended)
            .await
    }

    async fn resume(&self, wish: &DesiredServer) -> Result<(), DriverError> {
        self.go(
            &wish.id,
            Step::Resume,
            &[PowerState::Suspended],
            PowerState::Running,
        )
        .await
    }

    async fn resize(&self, wish: &DesiredServer) -> Result<(), DriverError> {
        self.alter(&wish.id, Step::Resize, |server| {
            if server.shape == wish.shape {
                return Ok(());
            }
            if wish.shape.root_disk < server.shape.root_disk {
                return Err(DriverError::permanent(format!(
                    "cannot shrink the root disk from {} to {}",
                    server.shape.root_disk, wish.shape.root_disk
                )));
            }
            server.previous = wish.keep_previous.then_some(server.shape);
            server.shape = wish.shape;
            Ok(())
        })
        .await
    }

    async fn revert_resize(&self, id: &ServerId) -> Result<(), DriverError> {
        self.alter(id, Step::RevertResize, |server| {
            if let Some(previous) = server.previous.take() {
                server.shape = previous;
            }
            Ok(())
        })
        .await
    }

    async fn confirm_resize(&self, id: &ServerId) -> Result<(), DriverError> {
        self.suffer(id, Step::ConfirmResize).await?;
        let mut state = self.lock();
        let mut server = state.built(id)?.clone();
        server.previous = None;
        state.servers.put(server)
    }

    async fn destroy(&self, id: &ServerId) -> Result<(), DriverError> {
        if self.lock().servers.get(id).is_none() {
            return Ok(());
        }
        self.suffer(id, Step::Destroy).await?;
        let mut state = self.lock();
        state.load.remove(id);
        state.servers.remove(id)
    }

    async fn mark(&self, id: &ServerId, marks: Marks) -> Result<(), DriverError> {
        let mut state = self.lock();
        let mut server = state.built(id)?.clone();
        server.marks = marks;
        state.servers.put(server)
    }

    async fn console(&self, id: &ServerId, lines: Option<usize>) -> Result<String, DriverError> {
        let state = self.lock();
        let server = state.server(id)?;
        let log = console::log(&console::Guest {
            hostname: &server.hostname,
            vcpus: server.shape.vcpus,
            memory: server.shape.memory,
            boots: server.boots,
            shut_down: server.power == PowerState::Shutdown,
            panicked: server.power == PowerState::Crashed,
        });
        Ok(crate::console::last_lines(&log, lines).to_owned())
    }

    async fn stats(&self, id: &ServerId) -> Result<Stats, DriverError> {
        let mut state = self.lock();
        let memory = state.built(id)?.shape.memory;
        let used = state
            .load
            .of(id)
            .ok_or_else(|| DriverError::transient(format!("server {id} does not run")))?;
        Ok(Stats {
            cpu_time: used.cpu_time,
            cpu_waited: used.cpu_waited,
            vcpu_times: Vec::new(),
            memory_resident: Bytes(memory.get() << 20),
            dirty_rate: Some(used.dirty),
        })
    }
}
