//! Where a brain's durable facts go: one small file, replaced as a whole.
//!
//! What it holds is not state of the cloud but what this node has promised: the highest
//! incarnation it used, the reservation it is under, and where in the network it last was.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use luc_node::Kept;
use serde::{Deserialize, Serialize};

/// Keeps what a brain must find again after a crash.
pub trait Keeper: Send + Sync + 'static {
    /// Makes `kept` durable. May block; called from a thread that may.
    fn keep(&self, kept: &Kept) -> io::Result<()>;
}

/// A file in the node's data directory.
#[derive(Clone, Debug)]
pub struct FileKeeper {
    path: PathBuf,
}

/// Why the file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The file could not be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error(
        "{path} is damaged; without it the node may contradict what it promised before a \
             restart. Remove it only if the node was down for a minute or more"
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// The stored form.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    overlay: luc_overlay::Kept,
    dvms: Option<luc_dvms::Durable>,
}

const FORMAT: u32 = 1;

impl FileKeeper {
    /// Keeps in `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// What an earlier life left; nothing if there was none.
    pub fn read(&self) -> Result<Kept, KeeperError> {
        let path = self.path.clone();
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
            Err(source) => return Err(KeeperError::Read { path, source }),
        };
        let stored: Stored =
            serde_json::from_slice(&text).map_err(|source| KeeperError::Form { path, source })?;
        Ok(Kept {
            overlay: stored.overlay,
            dvms: stored.dvms,
        })
    }
}

impl Keeper for FileKeeper {
    fn keep(&self, kept: &Kept) -> io::Result<()> {
        let stored = Stored {
            format: FORMAT,
            overlay: kept.overlay,
            dvms: kept.dvms.clone(),
        };
        let text = serde_json::to_vec(&stored)?;
        let partly = self.path.with_extension("new");
        let mut file = File::create(&partly)?;
        file.write_all(&text)?;
        file.sync_data()?;
        std::fs::rename(&partly, &self.path)?;
        let directory = self.path.parent().unwrap_or_else(|| Path::new("."));
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use luc_core::time::Duration;
    use luc_overlay::Coordinate;

    #[test]
    fn what_was_kept_is_read_again() {
        let home = tempfile::tempdir().expect("room for a file");
        let keeper = FileKeeper::new(home.path().join("brain.json"));
        assert_eq!(keeper.read().expect("nothing is no error"), Kept::default());
        let mut kept = Kept::default();
        kept.overlay.incarnation = 7;
        kept.keep_coordinate(Coordinate::origin(0.001, 1.5));
        keeper.keep(&kept).expect("it is kept");
        assert_eq!(keeper.read().expect("it is read"), kept);
        let distance = kept.overlay.coordinate.map(|place| place.distance(&place));
        assert_eq!(distance, Some(Duration::from_secs_f32(0.002)));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_fresh_start() {
        let home = tempfile::tempdir().expect("room for a file");
        let path = home.path().join("brain.json");
        std::fs::write(&path, "{").expect("it is written");
        let error = FileKeeper::new(path).read().expect_err("it is damaged");
        assert!(error.to_string().contains("brain.json"), "{error}");
    }
}
