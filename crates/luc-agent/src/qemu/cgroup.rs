//! A control group for each machine: a fair share of the processors, a bound on memory and tasks.
//!
//! Version 1 (one hierarchy for each controller) and version 2 (one for all) are both in use.
//! Without root, or where nothing is mounted, machines run without; the driver's facts say so.
//! Everything here is best effort: a guest without a group is better than no guest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use luc_core::id::ServerId;
use luc_core::time::Duration;
use luc_core::units::{Bytes, MemoryMib};

use crate::desired::Shape;

/// The group that holds all of ours.
const PARENT: &str = "luc";
/// What QEMU takes besides the guest's memory: translation caches, buffers, the ring, threads'
/// stacks. Measured: 110 MB beside a guest of 128 MB under TCG; the bound leaves room.
const OVERHEAD: MemoryMib = MemoryMib(512);
/// The system's error for a group that is still in use.
const BUSY: i32 = rustix::io::Errno::BUSY.raw_os_error();
/// QEMU starts threads for disk accesses as it needs them, up to 64.
const TASKS_MAX: u64 = 512;

/// Where groups are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cgroups {
    /// The hierarchies of version 1, by controller.
    V1(Vec<(String, PathBuf)>),
    /// The one hierarchy of version 2.
    V2(PathBuf),
    /// None, and why.
    None(String),
}

impl Cgroups {
    /// Looks at what this host offers.
    pub(crate) fn detect() -> Self {
        if !super::isolation::is_root() {
            return Self::None("only root can make control groups".into());
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        Self::from_mounts(&mounts).prepared()
    }

    fn from_mounts(mounts: &str) -> Self {
        let mut hierarchies = Vec::new();
        let mut unified = None;
        for line in mounts.lines() {
            let mut words = line.split(' ').skip(1);
            let (Some(path), Some(kind), Some(options)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            match kind {
                "cgroup" => {
                    for controller in ["cpu", "memory", "pids"] {
                        if options.split(',').any(|option| option == controller) {
                            hierarchies.push((controller.to_owned(), PathBuf::from(path)));
                        }
                    }
                }
                "cgroup2" => unified = Some(PathBuf::from(path)),
                _ => {}
            }
        }
        match unified {
            _ if !hierarchies.is_empty() => Self::V1(hierarchies),
            Some(path) => Self::V2(path),
            None => Self::None("no control groups are mounted".into()),
        }
    }

    /// Makes the parent group, and in version 2 hands it the controllers.
    fn prepared(self) -> Self {
        let prepare = || -> io::Result<()> {
            match &self {
                Self::V1(hierarchies) => {
                    for (_, root) in hierarchies {
                        fs::create_dir_all(root.join(PARENT))?;
                    }
                }
                Self::V2(root) => {
                    let parent = root.join(PARENT);
                    fs::create_dir_all(&parent)?;
                    for directory in [root, &parent] {
                        let wanted = directory.join("cgroup.subtree_control");
                        fs::write(wanted, "+cpu +memory +pids")?;
                    }
                }
                Self::None(_) => {}
            }
            Ok(())
        };
        match prepare() {
            Ok(()) => self,
            Err(error) => Self::None(format!("control groups cannot be used: {error}")),
        }
    }

    /// For the driver's facts.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::V1(hierarchies) => {
                let names: Vec<&str> = hierarchies
                    .iter()
                    .map(|(controller, _)| controller.as_str())
                    .collect();
                format!("version 1 ({})", names.join(", "))
            }
            Self::V2(_) => "version 2".into(),
            Self::None(reason) => format!("none: {reason}"),
        }
    }

    /// Puts a process into the group of its machine.
    pub(crate) fn enter(&self, id: &ServerId, pid: i32, shape: &Shape) {
        for (directory, limits) in self.groups(id, shape) {
            let enter = || -> io::Result<()> {
                fs::create_dir_all(&directory)?;
                for (file, value) in limits {
                    fs::write(directory.join(file), value)?;
                }
                fs::write(directory.join("cgroup.procs"), pid.to_string())
            };
            if let Err(error) = enter() {
                tracing::debug!(server = %id, directory = %directory.display(), %error, "cgroup");
            }
        }
    }

    /// Removes the group of a machine whose process has ended. The kernel may hold on to a group
    /// for a moment after its last process is gone.
    pub(crate) async fn remove(&self, id: &ServerId) {
        for directory in self.directories(id) {
            for attempt in 0..20 {
                match fs::remove_dir(&directory) {
                    Err(error) if error.raw_os_error() == Some(BUSY) && attempt < 19 => {
                        tokio::time::sleep(Duration::from_millis(5 << (attempt / 4))).await;
                    }
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        tracing::warn!(directory = %directory.display(), %error, "group stays");
                        break;
                    }
                    _ => break,
                }
            }
        }
    }

    /// The directories of a machine's group.
    pub(crate) fn directories(&self, id: &ServerId) -> Vec<PathBuf> {
        let below = |root: &Path| root.join(PARENT).join(format!("server-{id}"));
        match self {
            Self::V1(hierarchies) => hierarchies.iter().map(|(_, root)| below(root)).collect(),
            Self::V2(root) => vec![below(root)],
            Self::None(_) => Vec::new(),
        }
    }

    /// The directories with the files to write there.
    fn groups(&self, id: &ServerId, shape: &Shape) -> Vec<(PathBuf, Vec<(&'static str, String)>)> {
        let vcpus = shape.vcpus.get().max(1);
        let memory = Bytes(shape.memory.plus(OVERHEAD).get() << 20)
            .get()
            .to_string();
        let directories = self.directories(id);
        match self {
            Self::None(_) => Vec::new(),
            Self::V2(_) => {
                let weight = (100 * vcpus).min(10_000).to_string();
                let limits = vec![
                    ("cpu.weight", weight),
                    ("memory.max", memory),
                    ("pids.max", TASKS_MAX.to_string()),
                ];
                directories
                    .into_iter()
                    .map(|directory| (directory, limits.clone()))
                    .collect()
            }
            Self::V1(hierarchies) => hierarchies
                .iter()
                .zip(directories)
                .map(|((controller, _), directory)| {
                    let limit = match controller.as_str() {
                        "cpu" => ("cpu.shares", (1024 * vcpus).to_string()),
                        "memory" => ("memory.limit_in_bytes", memory.clone()),
                        _ => ("pids.max", TASKS_MAX.to_string()),
                    };
                    (directory, vec![limit])
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const V1: &str = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
        cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
        cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
        cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n\
        cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";

    #[test]
    fn hierarchies_of_version_1_win_over_an_empty_unified_one() {
        let Cgroups::V1(found) = Cgroups::from_mounts(V1) else {
            panic!()
        };
        let controllers: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(controllers, ["cpu", "memory"]);
    }

    #[test]
    fn version_2_alone_and_nothing_at_all_are_told_apart() {
        let v2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        assert_eq!(
            Cgroups::from_mounts(v2),
            Cgroups::V2("/sys/fs/cgroup".into())
        );
        assert!(matches!(
            Cgroups::from_mounts("proc /proc proc rw 0 0\n"),
            Cgroups::None(_)
        ));
    }

    #[test]
    fn limits_follow_the_shape() {
        let root = tempfile::tempdir().unwrap();
        let hierarchies =
            ["cpu", "memory", "pids"].map(|name| (name.to_owned(), root.path().join(name)));
        let cgroups = Cgroups::V1(hierarchies.to_vec());
        let (id, shape) = (ServerId::parse("s").unwrap(), testing::server("s").shape);
        cgroups.enter(&id, 4711, &shape);
        let read = |path: &str| fs::read_to_string(root.path().join(path)).unwrap();
        assert_eq!(read("cpu/luc/server-s/cpu.shares"), "1024");
        assert_eq!(
            read("memory/luc/server-s/memory.limit_in_bytes"),
            "603979776"
        );
        assert_eq!(read("pids/luc/server-s/cgroup.procs"), "4711");
    }
}
