//! What tests of real machines share: a state directory, an image, a controller, and eyes for what
//! is left behind.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use luc_agent::conformance::tiny_guest;
use luc_agent::desired::{DesiredServer, DiskFormat, ImageSource};
use luc_agent::qemu::{QemuConfig, QemuDriver};
use luc_agent::testing::{self, MemoryController};
use luc_core::id::{ImageId, ServerId};
use luc_core::units::{Bytes, DiskGib, MemoryMib};
use sha2::{Digest as _, Sha512};

/// What the first test proved, for the others: a false `/dev/kvm` takes seconds to find out.
static PROOF: OnceLock<Vec<u8>> = OnceLock::new();

/// One host of one test.
pub(crate) struct Bench {
    directory: tempfile::TempDir,
    pub(crate) controller: Arc<MemoryController>,
    pub(crate) image: ImageSource,
}

impl Bench {
    /// A bench, or none, loudly, if there is no QEMU.
    pub(crate) fn new() -> Option<Self> {
        let config = QemuConfig::new("unused");
        let programs = [qemu().0, config.image];
        for program in programs {
            if !is_installed(&program) {
                let name = program.display();
                let reason = format!("{name} is not installed: no real machine was started");
                luc_agent::testing::skip(&reason);
                return None;
            }
        }
        let directory = tempfile::Builder::new()
            .prefix("luc-agent-")
            .tempdir()
            .unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        let controller = Arc::new(MemoryController::new());
        let disk = tiny_guest::disk();
        let path = directory.path().join("tiny.raw");
        std::fs::write(&path, &disk).unwrap();
        let image = ImageSource {
            id: ImageId::parse("tiny").unwrap(),
            sha512: sha512(&disk),
            disk_format: DiskFormat::Raw,
            size: Bytes(disk.len() as u64),
        };
        controller.add_image(image.id.clone(), path);
        Some(Self {
            directory,
            controller,
            image,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn config(&self) -> QemuConfig {
        let (system, system_arguments) = qemu();
        QemuConfig {
            system,
            system_arguments,
            ..QemuConfig::new(self.path().join("state"))
        }
    }

    /// Opens the driver, with what an earlier test proved.
    pub(crate) async fn open(&self) -> QemuDriver {
        self.open_as(&self.config()).await
    }

    /// Opens the driver as `config` says.
    pub(crate) async fn open_as(&self, config: &QemuConfig) -> QemuDriver {
        let file = config.state.join("accelerator.json");
        if let Some(proof) = PROOF.get()
            && !file.exists()
        {
            std::fs::create_dir_all(&config.state).unwrap();
            std::fs::write(&file, proof).unwrap();
        }
        let driver = QemuDriver::open(config).await.unwrap();
        // Another test may have been faster, with the same result.
        let _ = PROOF.set(std::fs::read(&file).unwrap());
        driver
    }

    /// Names this bench's servers: control groups of all benches lie side by side.
    pub(crate) fn prefix(&self) -> String {
        let name = self.path().file_name().unwrap().to_string_lossy();
        name.replace(['.', '_'], "-")
    }

    /// A wish for a tiny guest.
    pub(crate) fn wish(&self, id: &str) -> DesiredServer {
        let mut wish = testing::server(id);
        wish.shape.memory = MemoryMib(32);
        wish.shape.root_disk = DiskGib(1);
        wish.image = Some(self.image.clone());
        wish
    }
}

/// A test that fails leaves no machine behind either.
impl Drop for Bench {
    fn drop(&mut self) {
        let below = self.path().display().to_string();
        with_cwd(|cwd| cwd.starts_with(&below))
            .into_iter()
            .for_each(kill);
    }
}

/// SHA-512 as images have it.
pub(crate) fn sha512(bytes: &[u8]) -> String {
    hex::encode(Sha512::digest(bytes))
}

fn qemu() -> (PathBuf, Vec<String>) {
    let line = std::env::var("LUC_TEST_QEMU").unwrap_or_else(|_| "qemu-system-x86_64".into());
    let mut words = line.split_whitespace().map(str::to_owned);
    (PathBuf::from(words.next().unwrap()), words.collect())
}

fn is_installed(program: &Path) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    program.is_file() || std::env::split_paths(&path).any(|part| part.join(program).is_file())
}

/// The processes with this server's machine below `state`.
pub(crate) fn processes(state: &Path, id: &ServerId) -> Vec<i32> {
    let vm = state.join(format!("servers/server-{id}/vm"));
    let Ok(vm) = vm.canonicalize() else {
        // The directory is gone: the kernel says so behind the path it had.
        let gone = format!("{} (deleted)", vm.display());
        return with_cwd(|cwd| cwd == gone);
    };
    let there = vm.display().to_string();
    with_cwd(|cwd| cwd == there)
}

fn with_cwd(wanted: impl Fn(&str) -> bool) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap());
    entries
        .filter(|entry| {
            let cwd = std::fs::read_link(entry.path().join("cwd"));
            cwd.is_ok_and(|cwd| wanted(&cwd.display().to_string()))
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The process of a machine, found without asking the driver.
pub(crate) fn pid_of(state: &Path, id: &ServerId) -> Option<i32> {
    processes(state, id).first().copied()
}

/// Kills a process that a driver under test started.
pub(crate) fn kill(pid: i32) {
    let status = std::process::Command::new("kill")
        .arg("-KILL")
        .arg(pid.to_string())
        .status();
    assert!(status.unwrap().success());
}

/// Everything on the host that still names this server.
pub(crate) fn traces(state: &Path, id: &ServerId) -> Vec<String> {
    let mut traces: Vec<String> = processes(state, id)
        .iter()
        .map(|pid| format!("process {pid}"))
        .collect();
    let name = format!("server-{id}");
    let mut places = vec![state.join("servers")];
    places.push("/sys/fs/cgroup/luc".into());
    for controller in ["cpu", "cpu,cpuacct", "memory", "pids"] {
        places.push(Path::new("/sys/fs/cgroup").join(controller).join("luc"));
    }
    for place in places {
        let path = place.join(&name);
        if path.exists() {
            traces.push(path.display().to_string());
        }
    }
    traces
}
