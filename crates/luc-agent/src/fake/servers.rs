//! What the fake driver keeps of its servers: in memory, and in one file each if given a directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use luc_core::id::ServerId;
use luc_core::time::Timestamp;
use luc_core::units::Bytes;
use serde::{Deserialize, Serialize};

use super::load::Demand;
use crate::desired::{Build, DesiredServer, Nic, Shape};
use crate::driver::{Actual, Built, DriverError, Marks, Step};
use crate::network;
use crate::observed::PowerState;
use crate::record;

/// The newest version of the file that this release reads and the one it writes.
const VERSION: u64 = 1;

/// One server that does not exist.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FakeServer {
    version: u64,
    pub(super) id: ServerId,
    pub(super) name: String,
    pub(super) hostname: String,
    pub(super) metadata: BTreeMap<String, String>,
    /// None while the disks are being made.
    pub(super) build: Option<Build>,
    pub(super) shape: Shape,
    pub(super) previous: Option<Shape>,
    pub(super) power: PowerState,
    pub(super) marks: Marks,
    pub(super) launched_at: Option<Timestamp>,
    pub(super) nic: Nic,
    pub(super) boots: u32,
    pub(super) demand_cpu: f64,
    pub(super) demand_dirty: Bytes,
    /// How often each step was tried, so that failures are reproducible over restarts.
    pub(super) tries: BTreeMap<Step, u32>,
}

impl FakeServer {
    /// A server whose disks are about to be made.
    pub(super) fn unbuilt(wish: &DesiredServer, before: Option<&Self>, demand: Demand) -> Self {
        Self {
            version: VERSION,
            id: wish.id.clone(),
            name: wish.name.clone(),
            hostname: wish.boot.hostname.clone(),
            metadata: wish.boot.metadata.clone(),
            build: None,
            shape: wish.shape,
            previous: None,
            power: PowerState::Shutdown,
            marks: before.map(|before| before.marks).unwrap_or_default(),
            launched_at: None,
            nic: wish.nic.clone(),
            boots: 0,
            demand_cpu: demand.cpu,
            demand_dirty: demand.dirty,
            tries: before
                .map(|before| before.tries.clone())
                .unwrap_or_default(),
        }
    }

    pub(super) fn demand(&self) -> Demand {
        Demand {
            cpu: self.demand_cpu,
            dirty: self.demand_dirty,
        }
    }

    pub(super) fn actual(&self) -> Actual {
        let Some(build) = self.build else {
            return Actual::Incomplete;
        };
        Actual::Built(Box::new(Built {
            build,
            shape: self.shape,
            previous: self.previous,
            power: self.power,
            marks: self.marks,
            launched_at: self.launched_at,
            addresses: network::addresses(&self.nic),
            mac: network::mac_address(&self.nic, &self.id),
            forwards: Vec::new(),
        }))
    }
}

/// How the name of a server's file begins.
const BEGINNING: &str = "server-";
/// How it ends.
const ENDING: &str = ".json";

/// Whether the file at `path` is that of a server.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(BEGINNING) && name.ends_with(ENDING))
}

/// All servers of one fake host.
pub(super) struct Servers {
    directory: Option<PathBuf>,
    all: BTreeMap<ServerId, FakeServer>,
}

impl Servers {
    /// The servers in `directory`, or none.
    pub(super) fn open(directory: Option<&Path>) -> Result<Self, DriverError> {
        let mut all = BTreeMap::new();
        if let Some(directory) = directory {
            let failed = |error: std::io::Error| {
                DriverError::permanent(format!("cannot open {}", directory.display()))
                    .because(error)
            };
            std::fs::create_dir_all(directory).map_err(failed)?;
            for entry in std::fs::read_dir(directory).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                // Other drivers and the agent keep files of their own here.
                if !is_ours(&path) {
                    continue;
                }
                if let Some(server) = record::read::<FakeServer>(&path, VERSION).map_err(lost)? {
                    all.insert(server.id.clone(), server);
                }
            }
        }
        Ok(Self {
            directory: directory.map(Path::to_owned),
            all,
        })
    }

    pub(super) fn get(&self, id: &ServerId) -> Option<&FakeServer> {
        self.all.get(id)
    }

    pub(super) fn ids(&self) -> Vec<ServerId> {
        self.all.keys().cloned().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &FakeServer> {
        self.all.values()
    }

    /// Keeps `server`, durably if there is a directory.
    pub(super) fn put(&mut self, server: FakeServer) -> Result<(), DriverError> {
        if let Some(path) = self.path(&server.id) {
            record::write(&path, &server).map_err(lost)?;
        }
        self.all.insert(server.id.clone(), server);
        Ok(())
    }

    /// Keeps `server` in memory; it goes to disk with its next change.
    pub(super) fn remember(&mut self, server: FakeServer) {
        self.all.insert(server.id.clone(), server);
    }

    /// Forgets a server.
    pub(super) fn remove(&mut self, id: &ServerId) -> Result<(), DriverError> {
        if let Some(path) = self.path(id)
            && let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            let message = format!("cannot remove {}", path.display());
            return Err(DriverError::transient(message).because(error));
        }
        self.all.remove(id);
        Ok(())
    }

    fn path(&self, id: &ServerId) -> Option<PathBuf> {
        // An id has no slash; a leading dot is the one way left to an odd file name.
        let name = format!("{BEGINNING}{id}{ENDING}");
        self.directory
            .as_ref()
            .map(|directory| directory.join(name))
    }
}

fn lost(error: record::RecordError) -> DriverError {
    DriverError::permanent("a server's state file cannot be used").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_driver_keeps_in_the_directory_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["accelerator.json", "server-x.json.new", "notes"] {
            std::fs::write(directory.path().join(name), "{}").unwrap();
        }
        let servers = Servers::open(Some(directory.path())).unwrap();
        assert_eq!(servers.ids().len(), 0);
        std::fs::write(directory.path().join("server-x.json"), "{}").unwrap();
        assert!(Servers::open(Some(directory.path())).is_err());
    }
}
