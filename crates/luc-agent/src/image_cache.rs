//! Base images on this host: each once, under the hash of its bytes, verified.
//!
//! A file named by its SHA-512 is complete and right, or it is not there: bytes are written under
//! a temporary name, hashed on the way, compared, synced and renamed. However many servers ask
//! for an image at once, it is fetched once. Guests never write to these files; their disks are
//! overlays.
//! Who calls it: the QEMU driver. Several drivers of one process may share one cache.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use sha2::{Digest as _, Sha512};
use tokio::sync::mpsc;

use crate::controller::{ControllerError, ImageData, Images};
use crate::desired::ImageSource;
use crate::record;

/// Prefix of files that are being fetched.
const UNFINISHED: &str = ".fetch-";
/// A file that has not been written to for so long belongs to a process that died.
const ABANDONED_AFTER: std::time::Duration = std::time::Duration::from_secs(3600);

/// Why an image is not on this host.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The hash in the wish cannot be one.
    #[error("image {id}: '{sha512}' is not a SHA-512 in 128 lower-case hexadecimal digits")]
    Hash {
        /// The image.
        id: String,
        /// What was given.
        sha512: String,
    },
    /// The controller did not hand out the bytes.
    #[error("image {id} cannot be fetched")]
    Fetch {
        /// The image.
        id: String,
        /// The controller's answer.
        source: ControllerError,
    },
    /// The bytes stopped coming.
    #[error("image {id} was cut off after {received} of {expected} bytes")]
    CutOff {
        /// The image.
        id: String,
        /// Bytes that came.
        received: u64,
        /// Bytes there should be.
        expected: u64,
        /// What stopped them, if known.
        source: Option<io::Error>,
    },
    /// The bytes are not the image's.
    #[error("image {id} is not what the wish says: {difference}")]
    Mismatch {
        /// The image.
        id: String,
        /// What differs.
        difference: String,
    },
    /// The cache's own disk failed.
    #[error("image {id} cannot be kept in the cache")]
    Store {
        /// The image.
        id: String,
        /// The cause.
        source: io::Error,
    },
}

/// A directory of base images.
pub struct ImageCache {
    directory: PathBuf,
    /// One lock for each image that is being fetched.
    fetching: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl ImageCache {
    /// Opens the cache in `directory` and removes what a dead process left half-way.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        // Guests' processes run as other users: they may open a file whose name (its hash) they
        // know, but not list the others.
        fs::set_permissions(directory, fs::Permissions::from_mode(0o711))?;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
            let idle = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if unfinished && idle > ABANDONED_AFTER {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            fetching: Mutex::default(),
        })
    }

    /// Where the image is or will be.
    pub fn path(&self, image: &ImageSource) -> PathBuf {
        self.directory.join(&image.sha512)
    }

    /// The image's file, fetched if need be.
    pub async fn fetch(
        &self,
        image: &ImageSource,
        images: &dyn Images,
    ) -> Result<PathBuf, ImageError> {
        let hexadecimal = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if image.sha512.len() != 128 || !image.sha512.bytes().all(hexadecimal) {
            let (id, sha512) = (image.id.to_string(), image.sha512.clone());
            return Err(ImageError::Hash { id, sha512 });
        }
        let lock = {
            let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(fetching.entry(image.sha512.clone()).or_default())
        };
        let outcome = {
            let _only_one = lock.lock().await;
            self.fetch_alone(image, images).await
        };
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and ours: nobody else waits for it.
        if Arc::strong_count(&lock) == 2 {
            fetching.remove(&image.sha512);
        }
        outcome
    }

    async fn fetch_alone(
        &self,
        image: &ImageSource,
        images: &dyn Images,
    ) -> Result<PathBuf, ImageError> {
        let path = self.path(image);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == image.size.get()) {
            return Ok(path);
        }
        let id = || image.id.to_string();
        let data = images
            .image(&image.id)
            .await
            .map_err(|source| ImageError::Fetch { id: id(), source })?;
        let (sender, receiver) = mpsc::channel(16);
        let writer = {
            let (directory, image) = (self.directory.clone(), image.clone());
            tokio::task::spawn_blocking(move || store(&directory, &image, receiver))
        };
        match data {
            ImageData::File(path) => {
                tokio::task::spawn_blocking(move || send_file(&path, &sender))
                    .await
                    .ok();
            }
            ImageData::Stream(mut stream) => {
                while let Some(chunk) = stream.next().await {
                    let failed = chunk.is_err();
                    // The writer goes away early when it has seen enough.
                    if sender.send(chunk).await.is_err() || failed {
                        break;
                    }
                }
                drop(sender);
            }
        }
        let stored = writer.await.unwrap_or_else(|error| {
            Err(ImageError::Store {
                id: id(),
                source: io::Error::other(error),
            })
        });
        stored.map(|()| path)
    }
}

type Chunk = io::Result<Bytes>;

fn send_file(path: &Path, chunks: &mpsc::Sender<Chunk>) {
    let read = || -> io::Result<()> {
        let mut file = File::open(path)?;
        loop {
            let mut chunk = vec![0; 1 << 20];
            let length = file.read(&mut chunk)?;
            if length == 0 {
                return Ok(());
            }
            chunk.truncate(length);
            if chunks.blocking_send(Ok(chunk.into())).is_err() {
                return Ok(());
            }
        }
    };
    if let Err(error) = read() {
        // If the writer is gone it has its own error.
        let _ = chunks.blocking_send(Err(error));
    }
}

/// Writes the chunks under a temporary name and gives them their own if they are right.
fn store(
    directory: &Path,
    image: &ImageSource,
    mut chunks: mpsc::Receiver<Chunk>,
) -> Result<(), ImageError> {
    let failed = |source| ImageError::Store {
        id: image.id.to_string(),
        source,
    };
    let temporary = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempfile_in(directory);
    let mut file = temporary.map_err(failed)?;
    let mut hash = Sha512::new();
    let (mut received, expected) = (0_u64, image.size.get());
    while let Some(chunk) = chunks.blocking_recv() {
        let chunk = chunk.map_err(|error| cut_off(image, received, Some(error)))?;
        received += chunk.len() as u64;
        if received > expected {
            return Err(mismatch(
                image,
                format!("more than the {expected} bytes it should have"),
            ));
        }
        hash.update(&chunk);
        file.write_all(&chunk).map_err(failed)?;
    }
    if received < expected {
        return Err(cut_off(image, received, None));
    }
    let hash = hex::encode(hash.finalize());
    if hash != image.sha512 {
        let difference = format!("its SHA-512 is {hash}, expected {}", image.sha512);
        return Err(mismatch(image, difference));
    }
    file.as_file().sync_all().map_err(failed)?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o444)).map_err(failed)?;
    let path = directory.join(&image.sha512);
    file.persist(path).map_err(|error| failed(error.error))?;
    record::sync_directory(directory).map_err(failed)
}

fn cut_off(image: &ImageSource, received: u64, source: Option<io::Error>) -> ImageError {
    let (id, expected) = (image.id.to_string(), image.size.get());
    ImageError::CutOff {
        id,
        received,
        expected,
        source,
    }
}

fn mismatch(image: &ImageSource, difference: String) -> ImageError {
    ImageError::Mismatch {
        id: image.id.to_string(),
        difference,
    }
}

#[cfg(test)]
mod tests;
