//! Image bytes, kept by their content: one file per SHA-512, however many images have it.
//!
//! ```text
//! stage ──(whole, hashed, on disk)──▶ keep ──(renamed, durable)──▶ open … delete
//!   └── dropped or broken off: nothing is left
//! ```
//!
//! [`BlobStore`] is the port, [`DiskBlobs`] the implementation in a directory. It knows no images:
//! which blobs are still wanted is decided by their records ([`super::garbage`]). A blob's file is
//! never written to once it has its name, so a host may read it by its path.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use md5::Md5;
use sha2::{Digest as _, Sha512};
use tokio::io::AsyncReadExt as _;
use tokio::task::spawn_blocking;
use tokio_util::io::ReaderStream;

/// Bytes as they come, or why no more came.
pub type DataStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// How many bytes are gathered before they are hashed and written. An upload holds twice as many:
/// those that are written and those that come in meanwhile.
const GATHERED: usize = 1 << 20;

/// How many bytes are read at once for a download.
const READ: usize = 256 << 10;

/// The name of a blob: the SHA-512 of its bytes in lower-case hexadecimal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(String);

impl BlobId {
    /// The blob whose hash is written `text`, if that is a SHA-512.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 128 && text.bytes().all(digits)).then(|| Self(text.to_owned()))
    }

    /// The hash as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({}…)", &self.0[..16])
    }
}

/// What was found while bytes were taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Their SHA-512.
    pub blob: BlobId,
    /// Their MD5 in hexadecimal.
    pub md5: String,
    /// How many there are.
    pub size: u64,
}

/// Bytes that are whole and on disk, but not yet a blob. Dropped, they are gone.
#[derive(Debug)]
pub struct Staged {
    /// What they are.
    pub measured: Measured,
    file: StagedFile,
}

impl Staged {
    /// Where they are, for a look at them before they are kept.
    pub fn path(&self) -> &Path {
        &self.file.0
    }
}

/// A file that is removed with this value, unless it was renamed.
#[derive(Debug)]
struct StagedFile(PathBuf);

impl Drop for StagedFile {
    fn drop(&mut self) {
        // It may have been renamed; and what stays is swept at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

/// Why bytes were not taken in.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// There were more than accepted.
    #[error("more than {limit} bytes were sent")]
    TooLarge {
        /// How many are accepted.
        limit: u64,
    },
    /// The sender broke off.
    #[error("the sender broke off")]
    Sender(#[source] io::Error),
    /// There is no room left.
    #[error("the disk for image data is full")]
    Full(#[source] io::Error),
    /// They could not be written.
    #[error("writing image data")]
    Disk(#[source] io::Error),
}

impl StageError {
    fn of_disk(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error),
            _ => Self::Disk(error),
        }
    }
}

/// Where image bytes are kept.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Takes bytes until they end, at most `limit`, in bounded memory.
    async fn stage(&self, data: DataStream, limit: u64) -> Result<Staged, StageError>;

    /// Makes staged bytes a blob, durably. Keeping what is there already changes nothing.
    async fn keep(&self, staged: Staged) -> io::Result<()>;

    /// The size of a blob, if it is there.
    async fn size(&self, blob: &BlobId) -> io::Result<Option<u64>>;

    /// The bytes of a blob that lie in `range`; `NotFound` if the blob is not there.
    async fn open(&self, blob: &BlobId, range: Range<u64>) -> io::Result<DataStream>;

    /// Removes a blob; removing what is not there changes nothing.
    async fn delete(&self, blob: &BlobId) -> io::Result<()>;

    /// Every blob that is there.
    async fn list(&self) -> io::Result<Vec<BlobId>>;

    /// Where the bytes of a blob are on this node. It may not be there.
    fn path(&self, blob: &BlobId) -> PathBuf;
}

/// Blobs in a directory of this node.
#[derive(Debug)]
pub struct DiskBlobs {
    blobs: PathBuf,
    staging: PathBuf,
    staged: AtomicU64,
}

impl DiskBlobs {
    /// Uses `directory`, which is made if it is not there. What an earlier process had not
    /// finished taking in is removed; two processes must not share a directory.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let blobs = directory.join("blobs").join("sha512");
        let staging = directory.join("staging");
        fs::create_dir_all(&blobs)?;
        match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&staging)?;
        sync_directory(directory)?;
        sync_directory(&directory.join("blobs"))?;
        Ok(Self {
            blobs,
            staging,
            staged: AtomicU64::new(0),
        })
    }

    fn create_staged(&self) -> io::Result<(StagedFile, File)> {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let path = self.staging.join(number.to_string());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok((StagedFile(path), file))
    }
}

/// What an upload carries from one write to the next.
struct Intake {
    file: File,
    sha512: Sha512,
    md5: Md5,
    size: u64,
}

impl Intake {
    fn take(&mut self, chunks: &[Bytes]) -> io::Result<()> {
        for chunk in chunks {
            self.sha512.update(chunk);
            self.md5.update(chunk);
            self.file.write_all(chunk)?;
            self.size += chunk.len() as u64;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<Measured> {
        self.file.sync_all()?;
        Ok(Measured {
            blob: BlobId(hex::encode(self.sha512.finalize())),
            md5: hex::encode(self.md5.finalize()),
            size: self.size,
        })
    }
}

/// Runs file work where it may block; a panic there is an error here.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// The next bytes to write: at least [`GATHERED`], fewer only at the end, none after it.
async fn gather(data: &mut DataStream) -> io::Result<Vec<Bytes>> {
    let mut chunks = Vec::new();
    let mut gathered = 0;
    while gathered < GATHERED
        && let Some(chunk) = data.next().await
    {
        let chunk = chunk?;
        gathered += chunk.len();
        if !chunk.is_empty() {
            chunks.push(chunk);
        }
    }
    Ok(chunks)
}

#[async_trait]
impl BlobStore for DiskBlobs {
    async fn stage(&self, mut data: DataStream, limit: u64) -> Result<Staged, StageError> {
        let (staged, file) = self.create_staged().map_err(StageError::of_disk)?;
        let mut intake = Intake {
            file,
            sha512: Sha512::new(),
            md5: Md5::new(),
            size: 0,
        };
        let mut chunks = gather(&mut data).await.map_err(StageError::Sender)?;
        while !chunks.is_empty() {
            let more: usize = chunks.iter().map(Bytes::len).sum();
            if intake.size + more as u64 > limit {
                return Err(StageError::TooLarge { limit });
            }
            // The next bytes come in while these are hashed and written.
            let taking = blocking(move || intake.take(&chunks).map(|()| intake));
            let (taken, next) = futures::future::join(taking, gather(&mut data)).await;
            intake = taken.map_err(StageError::of_disk)?;
            chunks = next.map_err(StageError::Sender)?;
        }
        let measured = blocking(move || intake.finish())
            .await
            .map_err(StageError::of_disk)?;
        Ok(Staged {
            measured,
            file: staged,
        })
    }

    async fn keep(&self, staged: Staged) -> io::Result<()> {
        let target = self.path(&staged.measured.blob);
        let root = self.blobs.clone();
        blocking(move || {
            let there =
                fs::metadata(&target).is_ok_and(|facts| facts.len() == staged.measured.size);
            if there {
                return Ok(());
            }
            let directory = target.parent().unwrap_or(&root);
            if !directory.exists() {
                fs::create_dir_all(directory)?;
                sync_directory(&root)?;
            }
            fs::rename(staged.path(), &target)?;
            sync_directory(directory)
        })
        .await
    }

    async fn size(&self, blob: &BlobId) -> io::Result<Option<u64>> {
        match tokio::fs::metadata(self.path(blob)).await {
            Ok(facts) => Ok(Some(facts.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn open(&self, blob: &BlobId, range: Range<u64>) -> io::Result<DataStream> {
        let path = self.path(blob);
        let start = range.start;
        let file = blocking(move || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(start))?;
            Ok(file)
        })
        .await?;
        let length = range.end.saturating_sub(range.start);
        let part = tokio::fs::File::from_std(file).take(length);
        Ok(Box::pin(ReaderStream::with_capacity(part, READ)))
    }

    async fn delete(&self, blob: &BlobId) -> io::Result<()> {
        match tokio::fs::remove_file(self.path(blob)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn list(&self) -> io::Result<Vec<BlobId>> {
        let root = self.blobs.clone();
        blocking(move || {
            let mut found = Vec::new();
            for directory in fs::read_dir(root)? {
                for file in fs::read_dir(directory?.path())? {
                    found.extend(file?.file_name().to_str().and_then(BlobId::parse));
                }
            }
            found.sort_unstable();
            Ok(found)
        })
        .await
    }

    fn path(&self, blob: &BlobId) -> PathBuf {
        self.blobs.join(OsStr::new(&blob.0[..2])).join(&blob.0)
    }
}

/// Makes the names in a directory durable.
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
