//! The driver for real machines: QEMU as separate processes, controlled through QMP.
//!
//! A machine is a process of its own that outlives the agent and is found again; its state is a
//! small file, its disks are overlays on images that are cached under their hash. What guests run
//! on is proved by booting something on it, never assumed. Machines run as unprivileged users of
//! their own, under a seccomp filter and in a control group, as far as the host allows; the
//! driver's facts say how far that is.
//!
//! ```text
//! STATE/servers/server-ID/   one machine            see `instance`
//! STATE/images/SHA512        base images            see `image_cache`
//! STATE/accelerator.json     what was proved        see `accel`
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use luc_core::id::ServerId;
use luc_core::time::Duration;
use tokio::sync::mpsc;

pub use accel::{Accelerator, ProbeError, ProvenAccelerator};
pub use binary::{BinaryError, QemuVersion};

use crate::console;
use crate::controller::{ControllerError, Images};
use crate::desired::DesiredServer;
use crate::driver::{Actual, Driver, DriverError, Marks, StartLimit, Stats};
use crate::host::HostFacts;
use crate::image_cache::{ImageCache, ImageError};
use accel::Prober;
use binary::Binaries;
use cgroup::Cgroups;
use host::Host;
use isolation::Account;
use machine::Vm;

mod accel;
mod arguments;
mod binary;
mod building;
mod cgroup;
mod commands;
mod disk;
mod host;
mod instance;
mod isolation;
mod machine;
mod memory_file;
mod monitor;
mod ports;
mod probe_rom;
mod process;
mod steps;

/// How the driver works.
#[derive(Clone, Debug)]
pub struct QemuConfig {
    /// Where machines, images and what was proved are kept.
    pub state: PathBuf,
    /// QEMU's program: a name on the path, or a path.
    pub system: PathBuf,
    /// Arguments that this program needs before all others, for a private installation.
    pub system_arguments: Vec<String>,
    /// The program that makes disks.
    pub image: PathBuf,
    /// What guests run on.
    pub accelerator: Accelerator,
    /// Give each machine an unprivileged user of its own if the agent is root.
    pub unprivileged: bool,
    /// Put each machine in a control group if the agent is root.
    pub cgroups: bool,
    /// How many guests may boot at once; none means 2, which two processors boot in the time of
    /// one after the other.
    pub parallel_starts: Option<usize>,
}

impl QemuConfig {
    /// The usual settings with everything kept in `state`.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self {
            state: state.into(),
            system: "qemu-system-x86_64".into(),
            system_arguments: Vec::new(),
            image: "qemu-img".into(),
            accelerator: Accelerator::Auto,
            unprivileged: true,
            cgroups: true,
            parallel_starts: None,
        }
    }
}

/// Why the driver cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state directory cannot be used.
    #[error("the state directory {path} cannot be used")]
    State {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// QEMU is not there.
    #[error("QEMU cannot be used")]
    Binary(#[from] BinaryError),
    /// QEMU is there but runs nothing.
    #[error("QEMU cannot be used")]
    Probe(#[from] ProbeError),
}

/// The driver for real machines.
pub struct QemuDriver {
    host: Arc<Host>,
    state: PathBuf,
    start_limit: StartLimit,
    vms: Mutex<BTreeMap<ServerId, Arc<Vm>>>,
}

impl QemuDriver {
    /// Opens the driver with a cache of images of its own.
    pub async fn open(config: &QemuConfig) -> Result<Self, OpenError> {
        let path = config.state.join("images");
        let cache = ImageCache::open(&path).map_err(|source| OpenError::State { path, source })?;
        Self::open_with_cache(config, Arc::new(cache)).await
    }

    /// Opens the driver with a cache of images that others share.
    pub async fn open_with_cache(
        config: &QemuConfig,
        cache: Arc<ImageCache>,
    ) -> Result<Self, OpenError> {
        let servers = config.state.join("servers");
        let state = |source| OpenError::State {
            path: servers.clone(),
            source,
        };
        make_passable(&servers).map_err(state)?;
        let servers = servers.canonicalize().map_err(state)?;
        let binaries =
            Binaries::find(&config.system, &config.system_arguments, &config.image).await?;
        let prober = Prober {
            binaries: &binaries,
            wanted: config.accelerator,
            account: account(config, &servers),
            cache: &config.state.join("accelerator.json"),
        };
        let proof = prober.prove().await?;
        let cgroups = if config.cgroups {
            Cgroups::detect()
        } else {
            Cgroups::None("switched off".into())
        };
        // A booting guest under TCG takes a processor for some seconds; under KVM it takes little.
        let hold = match proof.accelerator {
            ProvenAccelerator::Tcg => Duration::from_secs(3),
            ProvenAccelerator::Kvm => Duration::ZERO,
        };
        let parallel = config.parallel_starts.unwrap_or(2);
        let host = Host {
            binaries,
            proof,
            cgroups,
            cache,
            servers,
            setsid: ["/usr/bin/setsid", "/bin/setsid"]
                .map(PathBuf::from)
                .into_iter()
                .find(|path| path.is_file()),
            subscribers: Mutex::default(),
        };
        Ok(Self {
            host: Arc::new(host),
            state: config.state.clone(),
            start_limit: StartLimit { parallel, hold },
            vms: Mutex::default(),
        })
    }

    /// What guests run on.
    pub fn accelerator(&self) -> ProvenAccelerator {
        self.host.proof.accelerator
    }

    /// Why guests run on that.
    pub fn accelerator_reason(&self) -> &str {
        &self.host.proof.reason
    }

    /// QEMU's version.
    pub fn version(&self) -> QemuVersion {
        self.host.binaries.version
    }

    /// The id of the process of a machine that is on, for tests and tools.
    pub async fn pid(&self, id: &ServerId) -> Option<i32> {
        let vm = self.vm(id);
        let instance = vm.hold().await.instance().ok()??;
        match instance.machine {
            instance::Machine::On { process } => process.is_alive().then_some(process.pid),
            _ => None,
        }
    }

    /// The control group's directories of a machine, for tests and tools.
    pub fn cgroup_directories(&self, id: &ServerId) -> Vec<PathBuf> {
        self.host.cgroups.directories(id)
    }

    fn vm(&self, id: &ServerId) -> Arc<Vm> {
        let mut vms = self.vms.lock().unwrap_or_else(PoisonError::into_inner);
        let vm = vms.entry(id.clone());
        Arc::clone(vm.or_insert_with(|| Arc::new(Vm::new(Arc::clone(&self.host), id))))
    }

    /// Forgets a machine of which nothing is left, unless somebody holds it.
    fn forget(&self, id: &ServerId) {
        let mut vms = self.vms.lock().unwrap_or_else(PoisonError::into_inner);
        if vms.get(id).is_some_and(|vm| Arc::strong_count(vm) == 1) {
            vms.remove(id);
        }
    }
}

/// Makes a directory that machines' users can pass but not list.
fn make_passable(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(directory)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o711))
}

/// Whether machines can have accounts of their own, and one to try it with.
fn account(config: &QemuConfig, servers: &Path) -> Result<Account, String> {
    if !config.unprivileged {
        return Err("switched off".into());
    }
    if !isolation::is_root() {
        return Err("the agent is not root, so machines run as its user".into());
    }
    if let Some(obstacle) = isolation::obstacle(servers) {
        return Err(format!("other users cannot pass {}", obstacle.display()));
    }
    let probe = ServerId::parse("probe").map_err(|error| error.to_string())?;
    Ok(Account::of(&probe, None))
}

fn unfetched(error: ImageError) -> DriverError {
    let message = error.to_string();
    match &error {
        ImageError::Fetch {
            source: ControllerError::Unavailable { .. },
            ..
        } => DriverError::Unavailable {
            message,
            source: Some(error.into()),
        },
        ImageError::Fetch {
            source: ControllerError::Refused { .. },
            ..
        }
        | ImageError::Hash { .. }
        | ImageError::Mismatch { .. } => DriverError::permanent(message).because(error),
        ImageError::CutOff { .. } | ImageError::Store { .. } => {
            DriverError::transient(message).because(error)
        }
    }
}

#[async_trait]
impl Driver for QemuDriver {
    fn hypervisor_type(&self) -> &'static str {
        "QEMU"
    }

    fn hypervisor_version(&self) -> u64 {
        self.host.binaries.version.number()
    }

    fn host_facts(&self) -> HostFacts {
        HostFacts::read(&self.state)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let proof = &self.host.proof;
        let users = match &proof.unprivileged {
            Ok(()) => "each machine its own".to_owned(),
            Err(reason) => format!("none: {reason}"),
        };
        vec![
            ("accelerator", proof.accelerator.to_string()),
            ("accelerator reason", proof.reason.clone()),
            ("cpu model", proof.cpu.clone()),
            ("machine", self.host.binaries.machine.clone()),
            ("qemu", self.host.binaries.version.to_string()),
            ("unprivileged users", users),
            (
                "seccomp filter",
                if proof.sandbox { "on" } else { "off" }.to_owned(),
            ),
            ("control groups", self.host.cgroups.describe()),
        ]
    }

    fn start_limit(&self) -> Option<StartLimit> {
        Some(self.start_limit)
    }

    fn subscribe(&self, changed: mpsc::UnboundedSender<ServerId>) {
        let subscribers = self.host.subscribers.lock();
        subscribers
            .unwrap_or_else(PoisonError::into_inner)
            .push(changed);
    }

    async fn list(&self) -> Result<Vec<ServerId>, DriverError> {
        instance::list(&self.host.servers).map_err(|error| {
            DriverError::transient("the servers' directory cannot be read").because(error)
        })
    }

    async fn inspect(&self, id: &ServerId) -> Result<Actual, DriverError> {
        let vm = self.vm(id);
        let actual = vm.hold().await.actual().await?;
        drop(vm);
        if actual == Actual::Absent {
            self.forget(id);
        }
        Ok(actual)
    }

    async fn prepare(&self, wish: &DesiredServer, images: &dyn Images) -> Result<(), DriverError> {
        match &wish.image {
            None => Ok(()),
            Some(image) => self
                .host
                .cache
                .fetch(image, images)
                .await
                .map(|_| ())
                .map_err(unfetched),
        }
    }

    async fn build(&self, wish: &DesiredServer) -> Result<(), DriverError> {
        self.vm(&wish.id).hold().await.build(wish).await
    }

    async fn start(&self, wish: &DesiredServer) -> Result<(), DriverError> {
        self.vm(&wish.id).hold().await.start(wish).await
    }

    async fn ask_shutdown(&self, id: &ServerId) -> Result<(), DriverError> {
        self.vm(id).hold().await.ask_shutdown().await
    }

    async fn power_off(&self, id: &ServerId) -> Result<(), DriverError> {
        self.vm(id).hold().await.power_off().await
    }

    async fn pause(&self, id: &ServerId) -> Result<(), DriverError> {
        self.vm(id).hold().await.pause().await
    }

    async fn unpause(&self, id: &ServerId) -> Result<(), DriverError> {
        self.vm(id).hold().await.unpause().await
    }

    async fn suspend(&self, id: &ServerId) -> Result<(), DriverError> {
        self.vm(id).hold().await.suspend().await
    }

    async fn resume(&self, wish: &DesiredServer) -> Result<(), DriverError> {
        self.vm(&wish.id).hold().await.resume().await
    }

    async fn resize(&self, wish: &DesiredServer) -> Result<(), DriverError> {
        self.vm(&wish.id).hold().await.resize(wish).await
    }

    async fn revert_resize(&self, id: &ServerId) -> Result<(), DriverError> {
        self.vm(id).hold().await.revert_resize().await
    }

    async fn confirm_resize(&self, id: &ServerId) -> Result<(), DriverError> {
        self.vm(id).hold().await.confirm_resize()
    }

    async fn destroy(&self, id: &ServerId) -> Result<(), DriverError> {
        let destroyed = self.vm(id).hold().await.destroy().await;
        self.forget(id);
        destroyed
    }

    async fn mark(&self, id: &ServerId, marks: Marks) -> Result<(), DriverError> {
        self.vm(id).hold().await.mark(marks)
    }

    async fn console(&self, id: &ServerId, lines: Option<usize>) -> Result<String, DriverError> {
        let vm = self.vm(id);
        if !vm.home.root().exists() {
            return Err(DriverError::transient(format!(
                "server {id} is not on this host"
            )));
        }
        // While another step is under way the file is as new as it gets.
        if let Some(mut held) = vm.try_hold() {
            held.refresh_console().await;
        }
        let bytes = console::tail(&vm.home.console(), console::CONSOLE_MAX)
            .map_err(|error| DriverError::transient("the console cannot be read").because(error))?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(console::last_lines(&text, lines).to_owned())
    }

    async fn stats(&self, id: &ServerId) -> Result<Stats, DriverError> {
        self.vm(id).hold().await.stats().await
    }
}
