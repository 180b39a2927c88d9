//! What the driver knows of one machine across restarts: its directory and its state file.
//!
//! ```text
//! servers/ID/              root's, passable
//!   instance.json          this file's content, written atomically; without it the rest is rubbish
//!   config.iso             the config drive
//!   console.log            what was taken out of QEMU's ring buffer, at most 1 MiB
//!   qemu.log               what QEMU itself said since the last start
//!   memory                 a suspended guest's memory (memory.part: not complete)
//!   vm/                    the machine's own, nobody else's
//!     root-0.qcow2 …       disks: role, then layer; a resize that can be reverted adds a layer
//!     qmp.sock             QEMU's control socket
//!
//!             start            quit, power off,
//!             ┌──────▶ on ───── guest shut down ──▶ off
//!  built ─▶ off        │ ▲ process gone ─▶ crashed ──▶ off
//!             ▲        ▼ │ resume
//!             └────── saved        host went down: on ─▶ off, and the wish counts as unfulfilled
//! ```

use std::path::{Path, PathBuf};

use luc_core::id::ServerId;
use luc_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::process::ProcessId;
use crate::desired::{Build, Nic, Shape};
use crate::driver::Marks;
use crate::observed::Forward;
use crate::record::{self, RecordError};

/// The newest version of the file that this release reads and the one it writes.
const VERSION: u64 = 1;

/// What runs, or ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub(crate) enum Machine {
    /// Nothing.
    Off,
    /// QEMU was about to be started: it may run.
    Starting,
    /// QEMU runs, unless it died.
    On {
        /// Its process.
        process: ProcessId,
    },
    /// The guest's memory is complete in a file; a process, if any, is of no value.
    Saved {
        /// The process that wrote it, or was about to read it back.
        process: Option<ProcessId>,
        /// A process may have been started to read it back.
        resuming: bool,
    },
    /// The guest or its process died.
    Crashed {
        /// The process, if it is still there to be looked at.
        process: Option<ProcessId>,
    },
}

/// How QEMU was started: a suspended guest comes back to the very same machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) machine: String,
    pub(crate) accelerator: super::accel::ProvenAccelerator,
    pub(crate) cpu: String,
    pub(crate) nic: Nic,
    pub(crate) forwards: Vec<Forward>,
}

/// The state file of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    version: u64,
    pub(crate) id: ServerId,
    /// None while the disks are being made or removed.
    pub(crate) build: Option<Build>,
    pub(crate) shape: Shape,
    /// The shape before a resize that can be reverted; its disks are one layer below.
    pub(crate) previous: Option<Shape>,
    /// The layer of the disks in use.
    pub(crate) layer: u32,
    pub(crate) marks: Marks,
    pub(crate) launched_at: Option<Timestamp>,
    pub(crate) launch: Option<Launch>,
    pub(crate) machine: Machine,
}

impl Instance {
    /// A machine whose disks are about to be made.
    pub(crate) fn unbuilt(id: &ServerId, shape: Shape, marks: Marks) -> Self {
        Self {
            version: VERSION,
            id: id.clone(),
            build: None,
            shape,
            previous: None,
            layer: 0,
            marks,
            launched_at: None,
            launch: None,
            machine: Machine::Off,
        }
    }
}

/// The directory of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    root: PathBuf,
}

impl Home {
    /// The directory of `id` below `servers`.
    pub(crate) fn new(servers: &Path, id: &ServerId) -> Self {
        // Never "." or "..": an id has at least one more character here.
        Self {
            root: servers.join(format!("{PREFIX}{id}")),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn vm(&self) -> PathBuf {
        self.root.join("vm")
    }

    pub(crate) fn console(&self) -> PathBuf {
        self.root.join("console.log")
    }

    pub(crate) fn qemu_log(&self) -> PathBuf {
        self.root.join("qemu.log")
    }

    pub(crate) fn config_drive(&self) -> PathBuf {
        self.root.join("config.iso")
    }

    pub(crate) fn memory(&self) -> PathBuf {
        self.root.join("memory")
    }

    pub(crate) fn memory_part(&self) -> PathBuf {
        self.root.join("memory.part")
    }

    fn state_file(&self) -> PathBuf {
        self.root.join("instance.json")
    }

    /// The state, if there is any.
    pub(crate) fn read(&self) -> Result<Option<Instance>, RecordError> {
        record::read(&self.state_file(), VERSION)
    }

    /// Writes the state durably.
    pub(crate) fn write(&self, instance: &Instance) -> Result<(), RecordError> {
        record::write(&self.state_file(), instance)
    }
}

/// What directory names begin with.
const PREFIX: &str = "server-";

/// The servers with a directory below `servers`.
pub(crate) fn list(servers: &Path) -> std::io::Result<Vec<ServerId>> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(servers)? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        ids.extend(id.and_then(|id| ServerId::parse(id).ok()));
    }
    ids.sort();
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_state_file_of_version_1_is_read() {
        let golden = include_str!("../../tests/golden/instance-v1.json");
        let instance: Instance = serde_json::from_str(golden).unwrap();
        assert!(matches!(&instance.machine, Machine::On { process } if process.pid == 4711));
        assert_eq!(instance.launch.as_ref().unwrap().forwards[0].guest_port, 22);
        // What this release writes is what it promised to write.
        let written: serde_json::Value = serde_json::to_value(&instance).unwrap();
        assert_eq!(
            written,
            serde_json::from_str::<serde_json::Value>(golden).unwrap()
        );
    }

    #[test]
    fn servers_are_listed_by_their_directories_and_nothing_else_is() {
        let servers = tempfile::tempdir().unwrap();
        let id = ServerId::parse("..").unwrap();
        let home = Home::new(servers.path(), &id);
        std::fs::create_dir_all(home.vm()).unwrap();
        std::fs::create_dir(servers.path().join("lost+found")).unwrap();
        assert_eq!(list(servers.path()).unwrap(), std::slice::from_ref(&id));
        assert_eq!(home.read().unwrap(), None);
        let shape = testing::server("s").shape;
        let instance = Instance::unbuilt(&id, shape, Marks::default());
        home.write(&instance).unwrap();
        assert_eq!(home.read().unwrap(), Some(instance));
    }
}
