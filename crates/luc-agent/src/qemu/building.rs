//! The steps that make, enlarge and restore a machine's disks.
//!
//! Disks lie in layers: a resize adds one on top, so that reverting is to take it off again. What
//! is below the layer in use never changes.

use luc_core::units::Bytes;

use super::disk::{self, DiskError, DiskMaker, Role};
use super::instance::Instance;
use super::machine::{Held, Seen, out_of_place, remove_file};
use crate::config_drive;
use crate::desired::DesiredServer;
use crate::driver::DriverError;
use crate::observed::PowerState;

/// Random bytes that the guest gets for its own generator, as Nova gives.
const SEED_BYTES: usize = 512;

impl Held<'_> {
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
