//! Small versioned JSON files that are whole or not there, also after a power cut.
//!
//! A write goes to a temporary name in the same directory, is synced, renamed over the old file,
//! and the directory is synced. Both drivers keep a server's state in such a file. Functions block;
//! callers on a runtime use `spawn_blocking` or accept the one sync.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is damaged")]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{path} was written by a newer release (version {version}, known is {known})")]
    TooNew {
        path: PathBuf,
        version: u64,
        known: u64,
    },
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
}

#[derive(serde::Deserialize)]
struct Versioned {
    version: u64,
}

/// Reads the record at `path`; none if there is no such file. Its field `version` must not be
/// above `known`.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, known: u64) -> Result<Option<T>, RecordError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(RecordError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    let damaged = |source| RecordError::Damaged {
        path: path.to_owned(),
        source,
    };
    let Versioned { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version > known {
        return Err(RecordError::TooNew {
            path: path.to_owned(),
            version,
            known,
        });
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// Writes the record at `path` so that it survives a power cut once this returns.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), RecordError> {
    let write = || -> io::Result<()> {
        let json = serde_json::to_vec_pretty(value)?;
        write_durably(path, &json)
    };
    write().map_err(|source| RecordError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Replaces the file at `path` by `bytes`, whole or not at all.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)
}

/// Makes the names in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        version: u64,
        text: String,
    }

    fn note(version: u64, text: &str) -> Note {
        Note {
            version,
            text: text.into(),
        }
    }

    #[test]
    fn what_was_written_is_read_back_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("note.json");
        assert_eq!(read::<Note>(&path, 1).unwrap(), None);
        write(&path, &note(1, "first")).unwrap();
        write(&path, &note(1, "second")).unwrap();
        assert_eq!(read::<Note>(&path, 1).unwrap(), Some(note(1, "second")));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_record_of_a_newer_release_is_refused_by_number() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("note.json");
        write(&path, &note(2, "from the future")).unwrap();
        let error = read::<Note>(&path, 1).unwrap_err();
        assert!(
            error.to_string().contains("version 2, known is 1"),
            "{error}"
        );
    }

    #[test]
    fn half_a_record_is_damaged_and_never_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("note.json");
        fs::write(&path, "{\"version\":1,\"te").unwrap();
        assert!(matches!(
            read::<Note>(&path, 1),
            Err(RecordError::Damaged { .. })
        ));
    }
}
