//! One machine: brings what is written down in line with what runs, and starts and ends QEMU.
//!
//! Every operation holds the machine's lock from its first look to its last write, and may be
//! dropped at any await: what is on disk then is true, or is found out by [`Held::look`].
//! Who calls it: [`super::steps`] for what a driver is asked to do.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine as _;
use luc_core::id::ServerId;
use luc_core::time::Duration;
use qapi::qmp;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::arguments::{self, Surroundings};
use super::commands::QueryStatus;
use super::disk;
use super::host::Host;
use super::instance::{Home, Instance, Launch, Machine};
use super::isolation::Account;
use super::monitor::{Monitor, MonitorError};
use super::process::{self, ProcessId};
use crate::console;
use crate::desired::Generation;
use crate::driver::DriverError;
use crate::observed::PowerState;

/// How long QEMU may take to open its socket, on a machine with other things to do.
const OPENING: Duration = Duration::from_secs(30);
/// How long the kernel may take to clear a killed QEMU away.
const DYING: Duration = Duration::from_secs(2);
/// How long QEMU may take to write its caches back and go.
const QUITTING: Duration = Duration::from_secs(5);
/// Console bytes in one answer of QEMU.
const CONSOLE_CHUNK: i64 = 64 * 1024;

/// One machine of this host.
pub(crate) struct Vm {
    pub(crate) host: Arc<Host>,
    pub(crate) id: ServerId,
    pub(crate) home: Home,
    held: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is on disk, once read.
    instance: Option<Instance>,
    monitor: Option<Arc<Monitor>>,
}

/// A machine that only the holder may touch.
pub(crate) struct Held<'a> {
    pub(crate) vm: &'a Vm,
    state: MutexGuard<'a, State>,
}

/// What there is of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No directory.
    Absent,
    /// A directory without complete disks.
    Incomplete,
    /// A machine in this state.
    Built(PowerState),
    /// A paused machine whose disks were handed over with its memory.
    HandedOver,
}

impl Vm {
    pub(crate) fn new(host: Arc<Host>, id: &ServerId) -> Self {
        let home = Home::new(&host.servers, id);
        Self {
            host,
            id: id.clone(),
            home,
            held: Mutex::default(),
        }
    }

    /// Waits until nobody else works on the machine.
    pub(crate) async fn hold(&self) -> Held<'_> {
        Held {
            vm: self,
            state: self.held.lock().await,
        }
    }

    /// The machine, if nobody works on it.
    pub(crate) fn try_hold(&self) -> Option<Held<'_>> {
        self.held
            .try_lock()
            .ok()
            .map(|state| Held { vm: self, state })
    }

    pub(crate) fn account(&self) -> Option<Account> {
        self.host.account(&self.id)
    }
}

impl Held<'_> {
    /// The state file, read once.
    pub(crate) fn instance(&mut self) -> Result<Option<Instance>, DriverError> {
        if self.state.instance.is_none() {
            self.state.instance = self.vm.home.read().map_err(|error| {
                DriverError::permanent("the server's state file cannot be used").because(error)
            })?;
        }
        Ok(self.state.instance.clone())
    }

    /// Writes the state file.
    pub(crate) fn save(&mut self, instance: Instance) -> Result<(), DriverError> {
        self.vm.home.write(&instance).map_err(|error| {
            DriverError::transient("the server's state file cannot be written").because(error)
        })?;
        self.state.instance = Some(instance);
        Ok(())
    }

    /// Forgets what was read, since the directory is gone.
    pub(crate) fn forget(&mut self) {
        *self.state = State::default();
    }

    /// What is there now, after writing down what has changed.
    pub(crate) async fn look(&mut self) -> Result<Seen, DriverError> {
        let Some(mut instance) = self.instance()? else {
            let there = self.vm.home.root().exists();
            return Ok(if there {
                Seen::Incomplete
            } else {
                Seen::Absent
            });
        };
        if instance.machine == Machine::Starting {
            let found = process::find(&self.vm.home.vm(), &arguments::marker(&self.vm.id));
            instance.machine = found.map_or(Machine::Off, |process| Machine::On { process });
            self.save(instance.clone())?;
        }
        let complete = instance.build.is_some();
        let power = match instance.machine.clone() {
            Machine::Off | Machine::Starting => PowerState::Shutdown,
            Machine::Crashed { .. } => PowerState::Crashed,
            Machine::Saved { process, resuming } => {
                self.end_leftovers(instance, process, resuming).await?;
                PowerState::Suspended
            }
            Machine::On { process } => return self.look_at(instance, process).await,
        };
        Ok(if complete {
            Seen::Built(power)
        } else {
            Seen::Incomplete
        })
    }

    /// A machine that should run.
    async fn look_at(
        &mut self,
        mut instance: Instance,
        process: ProcessId,
    ) -> Result<Seen, DriverError> {
        if !process.is_alive() {
            return self.on_death(instance, &process).await;
        }
        let status = match self.status(&process).await {
            Ok(status) => status,
            // A process that is being killed stops answering before it is gone.
            Err(_) if process.has_ended_within(DYING).await => {
                return self.on_death(instance, &process).await;
            }
            Err(error) => return Err(unanswered(error)),
        };
        let power = match status.as_str() {
            "shutdown" => {
                self.end(&process).await?;
                instance.machine = Machine::Off;
                self.save(instance)?;
                PowerState::Shutdown
            }
            "guest-panicked" | "internal-error" | "watchdog" => {
                instance.machine = Machine::Crashed {
                    process: Some(process),
                };
                self.save(instance)?;
                PowerState::Crashed
            }
            "postmigrate" => return Ok(Seen::HandedOver),
            // A guest that has put itself to sleep (S3) runs as far as anybody outside can tell.
            "running" | "suspended" => PowerState::Running,
            // Stopped by us, by an I/O error of the host's disk, or not started yet.
            _ => PowerState::Paused,
        };
        Ok(Seen::Built(power))
    }

    async fn on_death(
        &mut self,
        mut instance: Instance,
        process: &ProcessId,
    ) -> Result<Seen, DriverError> {
        self.state.monitor = None;
        self.vm.host.cgroups.remove(&self.vm.id).await;
        let power = if process.is_of_this_boot() {
            instance.machine = Machine::Crashed { process: None };
            PowerState::Crashed
        } else {
            // The host went down under it: nothing that the guest or a user did.
            instance.machine = Machine::Off;
            instance.marks.settled = Generation(0);
            PowerState::Shutdown
        };
        tracing::info!(server = %self.vm.id, ?power, "the machine's process is gone");
        self.save(instance)?;
        Ok(Seen::Built(power))
    }

    /// Ends processes that have no part in a suspended machine.
    async fn end_leftovers(
        &mut self,
        mut instance: Instance,
        process: Option<ProcessId>,
        resuming: bool,
    ) -> Result<(), DriverError> {
        if process.is_none() && !resuming {
            return Ok(());
        }
        let marker = arguments::marker(&self.vm.id);
        let found = process::find(&self.vm.home.vm(), &marker);
        for process in [process, found].into_iter().flatten() {
            if process.is_alive() {
                self.end(&process).await?;
            }
        }
        instance.machine = Machine::Saved {
            process: None,
            resuming: false,
        };
        self.save(instance)
    }

    /// What QEMU says the guest does; takes the console along.
    async fn status(&mut self, process: &ProcessId) -> Result<String, MonitorError> {
        self.drain_console(process).await?;
        Ok(self
            .monitor(process)
            .await?
            .execute(QueryStatus {})
            .await?
            .status)
    }

    /// The connection to the machine's QEMU, opened if need be.
    pub(crate) async fn monitor(
        &mut self,
        process: &ProcessId,
    ) -> Result<&Arc<Monitor>, MonitorError> {
        let state = &mut *self.state;
        if state
            .monitor
            .as_ref()
            .is_none_or(|monitor| !monitor.is_usable())
        {
            // QEMU serves one connection at a time.
            state.monitor = None;
            let (host, id) = (Arc::downgrade(&self.vm.host), self.vm.id.clone());
            let changed = move || {
                if let Some(host) = host.upgrade() {
                    host.tell(&id);
                }
            };
            let directory = self.vm.home.vm();
            let monitor = Monitor::connect(&directory, process.pid, changed).await?;
            return Ok(state.monitor.insert(Arc::new(monitor)));
        }
        match &state.monitor {
            Some(monitor) => Ok(monitor),
            None => Err(MonitorError::Connect(
                std::io::ErrorKind::NotConnected.into(),
            )),
        }
    }

    /// Takes what the guest wrote out of QEMU and adds it to the console's file. QEMU forgets what
    /// it has handed out, so this goes on to its end even if nobody waits for it any more.
    pub(crate) async fn drain_console(&mut self, process: &ProcessId) -> Result<(), MonitorError> {
        let monitor = Arc::clone(self.monitor(process).await?);
        let (file, id) = (self.vm.home.console(), self.vm.id.clone());
        let drain = tokio::spawn(async move {
            loop {
                let read = qmp::ringbuf_read {
                    device: "console".into(),
                    size: CONSOLE_CHUNK,
                    format: Some(qmp::DataFormat::base64),
                };
                let answer = monitor.execute(read).await?;
                let bytes = base64::engine::general_purpose::STANDARD.decode(answer);
                let bytes = bytes.unwrap_or_default();
                if let Err(error) = console::append(&file, &bytes) {
                    tracing::warn!(server = %id, %error, "the console cannot be kept");
                }
                if bytes.len() < CONSOLE_CHUNK as usize {
                    return Ok(());
                }
            }
        });
        // It can only fail to be waited for if the whole runtime ends.
        drain.await.unwrap_or(Ok(()))
    }

    /// Ends the machine's process: asked first, so that its disks' caches are written back.
    pub(crate) async fn end(&mut self, process: &ProcessId) -> Result<(), DriverError> {
        if process.is_alive() {
            // If QEMU cannot be asked any more it is killed below.
            let _ = self.drain_console(process).await;
            if let Ok(monitor) = self.monitor(process).await {
                let _ = monitor.execute(qmp::quit {}).await;
            }
        }
        self.state.monitor = None;
        if !process.has_ended_within(QUITTING).await {
            process
                .kill()
                .map_err(|error| DriverError::transient("QEMU cannot be killed").because(error))?;
            if !process.has_ended_within(QUITTING).await {
                return Err(DriverError::transient("QEMU was killed but does not end"));
            }
        }
        self.vm.host.cgroups.remove(&self.vm.id).await;
        Ok(())
    }

    /// Starts QEMU, writes down `machine_of` its process before anything else can happen, and
    /// waits until it answers.
    pub(crate) async fn launch(
        &mut self,
        mut instance: Instance,
        launch: &Launch,
        incoming: bool,
        machine_of: fn(ProcessId) -> Machine,
    ) -> Result<ProcessId, DriverError> {
        let disks = disk::files(&instance.shape, instance.layer);
        let sandbox = self.vm.host.proof.sandbox;
        let surroundings = Surroundings {
            sandbox,
            disks: &disks,
            incoming,
        };
        let arguments = arguments::arguments(&instance, launch, &surroundings);
        let process = self
            .spawn(&arguments)
            .map_err(|error| DriverError::transient("QEMU cannot be started").because(error))?;
        instance.machine = machine_of(process.clone());
        let shape = instance.shape;
        self.save(instance)?;
        self.vm.host.cgroups.enter(&self.vm.id, process.pid, &shape);
        let deadline = Instant::now() + OPENING;
        loop {
            match self.monitor(&process).await {
                Ok(_) => return Ok(process),
                Err(_) if !process.is_alive() => {
                    return Err(DriverError::transient("QEMU ended at once").because(self.said()));
                }
                Err(error) if Instant::now() > deadline => return Err(unanswered(error)),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Starts QEMU in a session of its own, so that it outlives the agent.
    fn spawn(&self, arguments: &[String]) -> std::io::Result<ProcessId> {
        let host = &self.vm.host;
        let mut command = Command::new(host.setsid.as_ref().unwrap_or(&host.binaries.system));
        if host.setsid.is_some() {
            command.arg(&host.binaries.system);
        } else {
            command.process_group(0);
        }
        let log = std::fs::File::create(self.vm.home.qemu_log())?;
        command
            .args(&host.binaries.system_arguments)
            .args(arguments);
        command.current_dir(self.vm.home.vm());
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        command.env_clear().env("PATH", "/usr/bin:/bin");
        for kept in ["LD_LIBRARY_PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        if let Some(account) = self.vm.account() {
            account.apply(&mut command);
        }
        let mut child = command.spawn()?;
        let pid = child.id().map(|pid| pid as i32);
        let process = pid.and_then(ProcessId::of);
        let (weak, id) = (Arc::downgrade(host), self.vm.id.clone());
        tokio::spawn(async move {
            // Waited for so that it does not stay a zombie; what it means is found out elsewhere.
            let _ = child.wait().await;
            if let Some(host) = weak.upgrade() {
                host.tell(&id);
            }
        });
        process.ok_or_else(|| std::io::Error::other("QEMU was gone before it could be looked at"))
    }

    /// The end of what QEMU said since its last start.
    fn said(&self) -> String {
        let said = console::tail(&self.vm.home.qemu_log(), 2000).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        if said.is_empty() {
            "it said nothing".to_owned()
        } else {
            said
        }
    }
}

/// QEMU runs but does not answer.
pub(crate) fn unanswered(error: MonitorError) -> DriverError {
    DriverError::transient("QEMU does not answer").because(error)
}

/// Removes a file that may not be there.
pub(crate) fn remove_file(path: &Path) -> Result<(), DriverError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let message = format!("cannot remove {}", path.display());
            Err(DriverError::transient(message).because(error))
        }
        _ => Ok(()),
    }
}

/// A step that what there is does not allow.
pub(crate) fn out_of_place(step: &str, seen: Seen) -> DriverError {
    DriverError::transient(format!("cannot {step} a server that is {seen:?}"))
}
