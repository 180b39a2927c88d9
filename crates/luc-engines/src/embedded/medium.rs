//! Where the bytes are: a file on disk, or whatever a test puts in its place.
//!
//! A [`Medium`] can be opened again after a failure. [`Observed`] stands between redb and the
//! bytes and remembers whether a *sync* has failed, which redb does not tell apart from other
//! failures and which must not be survived.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// Who may read the file: its owner, for password hashes are in it.
const OWNER_ONLY: u32 = 0o600;

/// Something that holds a file and the journal beside it, which can be opened any number of times,
/// one after the other.
///
/// A new file is made as a *draft* first: redb cannot make one that a power cut leaves usable, so
/// a file counts only once it is complete and has taken its place.
pub trait Medium: Send + 'static {
    /// Its name in messages.
    fn name(&self) -> String;

    /// Opens the file; `None` if there is none yet.
    fn open(&self) -> io::Result<Option<Box<dyn StorageBackend>>>;

    /// Makes an empty draft, in place of one that was left unfinished. An error of the kind
    /// `WouldBlock` says that somebody else is at it.
    fn draft(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// Puts the draft, which is complete, synced and still open, in its place, durably.
    fn adopt(&self) -> io::Result<()>;

    /// Opens the journal of the file, or if there is none and `make` is set makes an empty one,
    /// durably. Only who has the file open may have its journal.
    fn journal(&self, make: bool) -> io::Result<Option<Box<dyn StorageBackend>>>;
}

/// A file on disk.
#[derive(Debug)]
pub struct FileMedium {
    path: PathBuf,
}

impl FileMedium {
    /// The file at `path`.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(ending);
        name.into()
    }

    fn draft_path(&self) -> PathBuf {
        self.beside(".new")
    }

    fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }
}

impl Medium for FileMedium {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn open(&self) -> io::Result<Option<Box<dyn StorageBackend>>> {
        match OpenOptions::new().read(true).write(true).open(&self.path) {
            Ok(file) => {
                // One that an earlier release made could be read by everybody.
                file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
                let backend = FileBackend::new(file).map_err(io::Error::other)?;
                Ok(Some(Box::new(backend)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn draft(&self) -> io::Result<Box<dyn StorageBackend>> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(OWNER_ONLY).open(self.draft_path())?;
        // The lock goes with the open file, so redb's own lock does not stumble over it.
        file.try_lock()?;
        if self.path.exists() {
            // Somebody else was faster; the file that is there is the one to open.
            fs::remove_file(self.draft_path())?;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        file.set_len(0)?;
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    fn adopt(&self) -> io::Result<()> {
        fs::rename(self.draft_path(), &self.path)?;
        File::open(self.directory())?.sync_all()
    }

    fn journal(&self, make: bool) -> io::Result<Option<Box<dyn StorageBackend>>> {
        let path = self.beside(".journal");
        let is_new = make && !path.exists();
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).mode(OWNER_ONLY).create(make);
        let file = match options.truncate(false).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !make => return Ok(None),
            opened => opened?,
        };
        if is_new {
            file.sync_all()?;
            File::open(self.directory())?.sync_all()?;
        }
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Some(Box::new(backend)))
    }
}

/// A backend that is watched for failed syncs.
#[derive(Debug)]
pub(super) struct Observed {
    inner: Arc<dyn StorageBackend>,
    sync_failed: Arc<AtomicBool>,
}

impl Observed {
    pub(super) fn new(inner: Arc<dyn StorageBackend>, sync_failed: Arc<AtomicBool>) -> Self {
        Self { inner, sync_failed }
    }
}

impl StorageBackend for Observed {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner
            .sync_data()
            .inspect_err(|_| self.sync_failed.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_read_by_its_owner_alone_also_one_that_was_open_to_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let medium = FileMedium::new(&path);
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        drop(medium.draft().unwrap());
        medium.adopt().unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        drop(medium.open().unwrap());
        assert_eq!(mode(), 0o600);
    }
}
