//! The steps of a driver on one machine that is held, but for those on its disks.
//!
//! Each begins with a look and ends with what it did written down; see [`super::machine`].

use luc_core::time::Timestamp;
use luc_core::units::Bytes;
use qapi::qmp;

use super::commands::QueryCpus;
use super::instance::{Instance, Launch, Machine};
use super::machine::{Held, Seen, out_of_place, remove_file, unanswered};
use super::memory_file::{self, MemoryError};
use super::process::{self, ProcessId};
use super::{arguments, ports};
use crate::desired::{DesiredServer, Nic};
use crate::driver::{Actual, Built, DriverError, Marks, Stats};
use crate::network;
use crate::observed::PowerState;
use crate::reconcile;

impl Held<'_> {
    /// What there is, in the driver's terms.
    pub(crate) async fn actual(&mut self) -> Result<Actual, DriverError> {
        let power = match self.look().await? {
            Seen::Absent => return Ok(Actual::Absent),
            Seen::Incomplete => return Ok(Actual::Incomplete),
            Seen::HandedOver => PowerState::Paused,
            Seen::Built(power) => power,
        };
        let Some(Instance {
            build: Some(build),
            shape,
            previous,
            marks,
            launched_at,
            launch,
            ..
        }) = self.instance()?
        else {
            return Ok(Actual::Incomplete);
        };
        let nic = launch
            .as_ref()
            .map_or(Nic::None, |launch| launch.nic.clone());
        let on = matches!(power, PowerState::Running | PowerState::Paused);
        Ok(Actual::Built(Box::new(Built {
            build,
            shape,
            previous,
            power,
            marks,
            launched_at,
            addresses: network::addresses(&nic),
            mac: network::mac_address(&nic, &self.vm.id),
            forwards: launch
                .filter(|_| on)
                .map(|launch| launch.forwards)
                .unwrap_or_default(),
        })))
    }

    /// Starts the guest.
    pub(crate) async fn start(&mut self, wish: &DesiredServer) -> Result<(), DriverError> {
        match self.look().await? {
            Seen::Built(PowerState::Running) => return Ok(()),
            Seen::Built(PowerState::Shutdown) => {}
            other => return Err(out_of_place("start", other)),
        }
        let Some(mut instance) = self.instance()? else {
            return Err(out_of_place("start", Seen::Absent));
        };
        let launch = self.plan_launch(wish, &instance)?;
        instance.launch = Some(launch.clone());
        instance.machine = Machine::Starting;
        self.save(instance.clone())?;
        for file in [self.vm.home.memory(), self.vm.home.memory_part()] {
            remove_file(&file)?;
        }
        let started = self
            .launch(instance.clone(), &launch, false, |process| Machine::On {
                process,
            })
            .await;
        match started {
            Ok(process) => {
                instance.machine = Machine::On { process };
                instance.marks.rebooted = reconcile::rebooted(wish, instance.marks);
                instance.launched_at = instance.launched_at.or_else(|| Some(now()));
                self.save(instance)
            }
            Err(error) => {
                self.abandon_start(instance).await?;
                Err(error)
            }
        }
    }

    /// A start that failed leaves the machine off.
    async fn abandon_start(&mut self, mut instance: Instance) -> Result<(), DriverError> {
        let marker = arguments::marker(&self.vm.id);
        if let Some(process) = process::find(&self.vm.home.vm(), &marker) {
            self.end(&process).await?;
        }
        self.vm.host.cgroups.remove(&self.vm.id).await;
        instance.machine = Machine::Off;
        self.save(instance)
    }

    fn plan_launch(
        &self,
        wish: &DesiredServer,
        instance: &Instance,
    ) -> Result<Launch, DriverError> {
        let host = &self.vm.host;
        let before = instance
            .launch
            .as_ref()
            .map_or(&[][..], |launch| &launch.forwards);
        let forwards = match &wish.nic {
            Nic::None => Vec::new(),
            Nic::UserMode { mac: Some(mac), .. } if !network::is_mac_address(mac) => {
                let message = format!("'{mac}' is not a hardware address");
                return Err(DriverError::permanent(message));
            }
            Nic::UserMode { forward, .. } => ports::choose(forward, before).map_err(|error| {
                DriverError::transient("no free port on the host").because(error)
            })?,
        };
        Ok(Launch {
            machine: host.binaries.machine.clone(),
            accelerator: host.proof.accelerator,
            cpu: host.proof.cpu.clone(),
            nic: wish.nic.clone(),
            forwards,
        })
    }

    /// The process of a machine that is on.
    fn process(&mut self) -> Result<ProcessId, DriverError> {
        match self.instance()?.map(|instance| instance.machine) {
            Some(Machine::On { process }) => Ok(process),
            _ => Err(DriverError::transient("the server does not run")),
        }
    }

    /// Presses the power button.
    pub(crate) async fn ask_shutdown(&mut self) -> Result<(), DriverError> {
        match self.look().await? {
            Seen::Built(PowerState::Shutdown) => return Ok(()),
            Seen::Built(PowerState::Running) => {}
            other => return Err(out_of_place("shut down", other)),
        }
        let process = self.process()?;
        let monitor = self.monitor(&process).await.map_err(unanswered)?;
        monitor
            .execute(qmp::system_powerdown {})
            .await
            .map_err(unanswered)?;
        Ok(())
    }

    /// Cuts the power.
    pub(crate) async fn power_off(&mut self) -> Result<(), DriverError> {
        match self.look().await? {
            Seen::Built(PowerState::Shutdown) => return Ok(()),
            Seen::Built(_) | Seen::HandedOver => {}
            other => return Err(out_of_place("power off", other)),
        }
        let Some(mut instance) = self.instance()? else {
            return Ok(());
        };
        if let Machine::On { process }
        | Machine::Crashed {
            process: Some(process),
        } = instance.machine.clone()
        {
            self.end(&process).await?;
        }
        instance.machine = Machine::Off;
        self.save(instance)?;
        remove_file(&self.vm.home.memory())
    }

    /// Freezes the guest.
    pub(crate) async fn pause(&mut self) -> Result<(), DriverError> {
        match self.look().await? {
            Seen::Built(PowerState::Paused) | Seen::HandedOver => return Ok(()),
            Seen::Built(PowerState::Running) => {}
            other => return Err(out_of_place("pause", other)),
        }
        let process = self.process()?;
        let monitor = self.monitor(&process).await.map_err(unanswered)?;
        monitor.execute(qmp::stop {}).await.map_err(unanswered)?;
        Ok(())
    }

    /// Lets the guest go on.
    pub(crate) async fn unpause(&mut self) -> Result<(), DriverError> {
        match self.look().await? {
            Seen::Built(PowerState::Running) => return Ok(()),
            Seen::Built(PowerState::Paused) | Seen::HandedOver => {}
            other => return Err(out_of_place("unpause", other)),
        }
        let process = self.process()?;
        let monitor = self.monitor(&process).await.map_err(unanswered)?;
        monitor.execute(qmp::cont {}).await.map_err(unanswered)?;
        Ok(())
    }

    /// Writes the guest's memory to a file and ends the machine.
    pub(crate) async fn suspend(&mut self) -> Result<(), DriverError> {
        match self.look().await? {
            Seen::Built(PowerState::Suspended) => return Ok(()),
            Seen::Built(PowerState::Running | PowerState::Paused) => {}
            // An earlier try got as far as the memory but not to the end: its disks must come
            // back before QEMU does it again.
            Seen::HandedOver => self.unpause().await?,
            other => return Err(out_of_place("suspend", other)),
        }
        self.pause().await?;
        let process = self.process()?;
        let (part, file) = (self.vm.home.memory_part(), self.vm.home.memory());
        let account = self.vm.account();
        let monitor = self.monitor(&process).await.map_err(unanswered)?;
        memory_file::save(monitor, account, &part, &file)
            .await
            .map_err(unmoved)?;
        let Some(mut instance) = self.instance()? else {
            return Ok(());
        };
        instance.machine = Machine::Saved {
            process: Some(process),
            resuming: false,
        };
        self.save(instance)?;
        // Ends the process that has handed its guest over.
        self.look().await.map(|_| ())
    }

    /// Brings a suspended guest back.
    pub(crate) async fn resume(&mut self) -> Result<(), DriverError> {
        match self.look().await? {
            Seen::Built(PowerState::Running) => return Ok(()),
            Seen::Built(PowerState::Suspended) => {}
            other => return Err(out_of_place("resume", other)),
        }
        let Some(mut instance) = self.instance()? else {
            return Ok(());
        };
        let Some(mut launch) = instance.launch.clone() else {
            return Err(DriverError::permanent(
                "how the suspended machine was started is lost",
            ));
        };
        if let Nic::UserMode { forward, .. } = &launch.nic {
            launch.forwards = ports::choose(forward, &launch.forwards).map_err(|error| {
                DriverError::transient("no free port on the host").because(error)
            })?;
        }
        instance.launch = Some(launch.clone());
        instance.machine = Machine::Saved {
            process: None,
            resuming: true,
        };
        self.save(instance.clone())?;
        let saved = |process| Machine::Saved {
            process: Some(process),
            resuming: true,
        };
        let process = match self.launch(instance.clone(), &launch, true, saved).await {
            Ok(process) => process,
            Err(error) => {
                // Ends what may have been started.
                self.look().await?;
                return Err(error);
            }
        };
        let (file, account) = (self.vm.home.memory(), self.vm.account());
        let monitor = self.monitor(&process).await.map_err(unanswered)?;
        if let Err(error) = memory_file::restore(monitor, account, &file).await {
            self.look().await?;
            return Err(unmoved(error));
        }
        // From here on the guest is in the process and not in the file.
        instance.machine = Machine::On { process };
        self.save(instance)?;
        self.unpause().await?;
        remove_file(&file)
    }

    /// Ends the machine and removes all it has, also if its record cannot be read.
    pub(crate) async fn destroy(&mut self) -> Result<(), DriverError> {
        let recorded = self
            .instance()
            .ok()
            .flatten()
            .map(|instance| instance.machine);
        let recorded = match recorded {
            Some(Machine::On { process }) => Some(process),
            Some(Machine::Saved { process, .. } | Machine::Crashed { process }) => process,
            Some(Machine::Off | Machine::Starting) | None => None,
        };
        let marker = arguments::marker(&self.vm.id);
        let found = process::find(&self.vm.home.vm(), &marker);
        for process in [recorded, found].into_iter().flatten() {
            self.end(&process).await?;
        }
        self.vm.host.cgroups.remove(&self.vm.id).await;
        let root = self.vm.home.root();
        match std::fs::remove_dir_all(root) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("cannot remove {}", root.display());
                return Err(DriverError::transient(message).because(error));
            }
            _ => {}
        }
        self.forget();
        Ok(())
    }

    /// Writes down which wish is fulfilled.
    pub(crate) fn mark(&mut self, marks: Marks) -> Result<(), DriverError> {
        let Some(mut instance) = self.instance()? else {
            return Err(out_of_place("mark", Seen::Absent));
        };
        instance.marks = marks;
        self.save(instance)
    }

    /// Brings the console's file up to date, if the machine runs and answers.
    pub(crate) async fn refresh_console(&mut self) {
        let Ok(Some(Instance {
            machine: Machine::On { process },
            ..
        })) = self.instance()
        else {
            return;
        };
        if process.is_alive()
            && let Err(error) = self.drain_console(&process).await
        {
            tracing::debug!(server = %self.vm.id, %error, "the console is not up to date");
        }
    }

    /// What the machine uses.
    pub(crate) async fn stats(&mut self) -> Result<Stats, DriverError> {
        let process = self.process()?;
        let usage = process.usage().filter(|_| process.is_alive());
        let usage = usage.ok_or_else(|| DriverError::transient("the server does not run"))?;
        let monitor = self.monitor(&process).await.map_err(unanswered)?;
        let cpus = monitor.execute(QueryCpus {}).await.map_err(unanswered)?;
        Ok(Stats {
            cpu_time: usage.cpu_time,
            cpu_waited: cpus
                .iter()
                .filter_map(|cpu| process.thread_waited(cpu.thread_id))
                .sum(),
            vcpu_times: cpus
                .iter()
                .filter_map(|cpu| process.thread_time(cpu.thread_id))
                .collect(),
            memory_resident: Bytes(usage.memory_bytes),
            dirty_rate: None,
        })
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_unix_micros(since.map_or(0, |since| since.as_micros() as i64))
}

fn unmoved(error: MemoryError) -> DriverError {
    DriverError::transient("the guest's memory cannot be moved").because(error)
}
