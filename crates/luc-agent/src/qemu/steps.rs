//! The steps of a driver on one machine that is held.

use luc_core::time::Timestamp;
use luc_core::units::Bytes;
use qapi::qmp;

use super::commands::QueryCpus;
use super::disk::{self, DiskError, DiskMaker, Role};
use super::instance::{Instance, Launch, Machine};
use super::machine::{Held, Seen, remove_file, unanswered};
use super::memory_file::{self, MemoryError};
use super::process::{self, ProcessId};
use super::{arguments, ports};
use crate::config_drive;
use crate::desired::{DesiredServer, Nic};
use crate::driver::{Actual, Built, DriverError, Marks, Stats};
use crate::network;
use crate::observed::PowerState;
use crate::reconcile;

/// Random bytes that the guest gets for its own generator, as Nova gives.
const SEED_BYTES: usize = 512;

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

    /// Makes the disks anew.
    pub(crate) async fn build(&mut self, wish: &DesiredServer) -> Result<(), DriverError> {
        if !matches!(
            self.look().await?,
            Seen::Absent | Seen::Incomplete | Seen::Built(PowerState::Shutdown)
        ) {
            return Err(DriverError::transient(
                "cannot build: the server is not off",
            ));
        }
        let marks = self
            .instance()?
            .map(|instance| instance.marks)
            .unwrap_or_default();
        let mut instance = Instance::unbuilt(&wish.id, wish.shape, marks);
        self.make_directories(&instance)?;
        let drive = drive_for(wish)?;
        self.write_config_drive(&drive)?;
        self.make_root_disk(wish).await?;
        for role in [Role::Ephemeral, Role::Swap] {
            let size = role.size(&wish.shape);
            if size.get() > 0 {
                self.disks()
                    .blank(&role.file(0), size)
                    .await
                    .map_err(unmade)?;
            }
        }
        instance.build = Some(wish.build);
        self.save(instance)
    }

    /// Directories as for a new machine; whatever was in them is gone.
    fn make_directories(&mut self, instance: &Instance) -> Result<(), DriverError> {
        let home = self.vm.home.clone();
        let make = || -> std::io::Result<()> {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::create_dir_all(home.root())?;
            // The machine may pass, nobody else.
            if let Some(account) = self.vm.account() {
                std::os::unix::fs::chown(home.root(), None, Some(account.group))?;
            }
            std::fs::set_permissions(home.root(), std::fs::Permissions::from_mode(0o710))
        };
        make().map_err(unwritable)?;
        self.save(instance.clone())?;
        for file in [
            home.console(),
            home.qemu_log(),
            home.memory(),
            home.memory_part(),
        ] {
            remove_file(&file)?;
        }
        let remake = || -> std::io::Result<()> {
            use std::os::unix::fs::DirBuilderExt as _;
            if home.vm().exists() {
                std::fs::remove_dir_all(home.vm())?;
            }
            std::fs::DirBuilder::new().mode(0o700).create(home.vm())?;
            self.vm
                .account()
                .map_or(Ok(()), |account| account.own(&home.vm()))
        };
        remake().map_err(unwritable)
    }

    fn write_config_drive(&self, drive: &[u8]) -> Result<(), DriverError> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.vm.home.config_drive();
        remove_file(&path)?;
        let write = || -> std::io::Result<()> {
            crate::record::write_durably(&path, drive)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400))?;
            self.vm
                .account()
                .map_or(Ok(()), |account| account.own(&path))
        };
        write().map_err(unwritable)
    }

    async fn make_root_disk(&self, wish: &DesiredServer) -> Result<(), DriverError> {
        let (disks, file) = (self.disks(), Role::Root.file(0));
        let size = Role::Root.size(&wish.shape);
        let Some(image) = &wish.image else {
            // A machine without any disk has nothing to boot, which is what was asked for.
            let size = if size.get() == 0 {
                Bytes(1 << 20)
            } else {
                size
            };
            return disks.blank(&file, size).await.map_err(unmade);
        };
        let base = self.vm.host.cache.path(image);
        if !base.exists() {
            let message = format!("image {} is not in the cache", image.id);
            return Err(DriverError::transient(message));
        }
        let needed = disks
            .examine(&base, image.disk_format)
            .await
            .map_err(unmade)?;
        if size.get() > 0 && size < needed {
            let (needed, given) = (needed.get(), size.get());
            return Err(unmade(DiskError::TooSmall { needed, given }));
        }
        let size = size.max(needed);
        disks
            .overlay(&file, &base, image.disk_format, size)
            .await
            .map_err(unmade)
    }

    fn disks(&self) -> DiskMaker<'_> {
        DiskMaker {
            program: &self.vm.host.binaries.image,
            directory: self.vm.home.vm(),
            account: self.vm.account(),
        }
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

    /// Gives the machine another shape, with its disks in a new layer.
    pub(crate) async fn resize(&mut self, wish: &DesiredServer) -> Result<(), DriverError> {
        let mut instance = self.off("resize").await?;
        if instance.shape == wish.shape {
            return Ok(());
        }
        if let Some(how) = disk::shrinks(&instance.shape, &wish.shape) {
            return Err(DriverError::permanent(how));
        }
        let (old, new) = (instance.layer, instance.layer + 1);
        for role in Role::ALL {
            let (below, file) = (role.file(old), role.file(new));
            let size = role.size(&wish.shape);
            remove_file(&self.vm.home.vm().join(&file))?;
            if role != Role::Root && size.get() == 0 {
                continue;
            }
            let exists = self.vm.home.vm().join(&below).exists();
            if role == Role::Swap || !exists {
                self.disks().blank(&file, size).await.map_err(unmade)?;
                continue;
            }
            let before = self.disks().size(&below).await.map_err(unmade)?;
            if size.get() > 0 && size < before {
                let (needed, given) = (before.get(), size.get());
                return Err(unmade(DiskError::TooSmall { needed, given }));
            }
            let below = std::path::Path::new(&below);
            let format = crate::desired::DiskFormat::Qcow2;
            let size = size.max(before);
            self.disks()
                .overlay(&file, below, format, size)
                .await
                .map_err(unmade)?;
        }
        instance.previous = wish.keep_previous.then_some(instance.shape);
        instance.shape = wish.shape;
        instance.layer = new;
        self.save(instance)
    }

    /// Gives the machine back the shape and the disks it had.
    pub(crate) async fn revert_resize(&mut self) -> Result<(), DriverError> {
        let mut instance = self.off("revert").await?;
        let Some(previous) = instance.previous.take() else {
            return Ok(());
        };
        let dropped = instance.layer;
        instance.shape = previous;
        instance.layer = dropped.saturating_sub(1);
        self.save(instance)?;
        for role in Role::ALL {
            remove_file(&self.vm.home.vm().join(role.file(dropped)))?;
        }
        Ok(())
    }

    /// Gives up the way back. The layer below stays: it is what the present one stands on.
    pub(crate) fn confirm_resize(&mut self) -> Result<(), DriverError> {
        let Some(mut instance) = self.instance()? else {
            return Err(out_of_place("confirm", Seen::Absent));
        };
        if instance.previous.take().is_none() {
            return Ok(());
        }
        self.save(instance)
    }

    /// The machine's record, if it is off.
    async fn off(&mut self, step: &str) -> Result<Instance, DriverError> {
        match (self.look().await?, self.instance()?) {
            (Seen::Built(PowerState::Shutdown), Some(instance)) => Ok(instance),
            (other, _) => Err(out_of_place(step, other)),
        }
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
            vcpu_times: cpus
                .iter()
                .filter_map(|cpu| process.thread_time(cpu.thread_id))
                .collect(),
            memory_resident: Bytes(usage.memory_bytes),
            dirty_rate: None,
        })
    }
}

/// The config drive of `wish`.
fn drive_for(wish: &DesiredServer) -> Result<Vec<u8>, DriverError> {
    use std::io::Read as _;
    let mut seed = [0; SEED_BYTES];
    let random = std::fs::File::open("/dev/urandom");
    random
        .and_then(|mut random| random.read_exact(&mut seed))
        .map_err(|error| DriverError::transient("no random bytes").because(error))?;
    config_drive::image(wish, &seed)
        .map_err(|error| DriverError::permanent("cannot make the config drive").because(error))
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_unix_micros(since.map_or(0, |since| since.as_micros() as i64))
}

fn out_of_place(step: &str, seen: Seen) -> DriverError {
    DriverError::transient(format!("cannot {step} a server that is {seen:?}"))
}

fn unwritable(error: std::io::Error) -> DriverError {
    DriverError::transient("the server's directory cannot be written").because(error)
}

fn unmade(error: DiskError) -> DriverError {
    let message = format!("the server's disk cannot be made: {error}");
    if error.is_permanent() {
        DriverError::permanent(message)
    } else {
        DriverError::transient(message).because(error)
    }
}

fn unmoved(error: MemoryError) -> DriverError {
    DriverError::transient("the guest's memory cannot be moved").because(error)
}
