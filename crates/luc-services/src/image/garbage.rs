//! Removing blobs that no image has any more.

use std::io;

use luc_state::{Snapshot, Store};

use super::Images;
use super::blob::BlobId;
use super::model::Image;

/// Removes `blob` if no image has it. A blob that cannot be removed is left for the next start.
pub(super) async fn collect(images: &Images, store: &Store, blob: &BlobId) {
    let _gate = images.gate.lock().await;
    if is_wanted(&store.snapshot(), blob) {
        return;
    }
    if let Err(error) = images.blobs.delete(blob).await {
        tracing::warn!(?blob, %error, "image data that nobody wants could not be removed");
    }
}

fn is_wanted(snapshot: &Snapshot, blob: &BlobId) -> bool {
    snapshot.count_of(&Image::BY_BLOB, &Image::blob_key(blob)) > 0
}

impl Images {
    /// Removes every blob that no image of `snapshot` has: what a killed process had kept but not
    /// recorded. To be called before the first upload; gives the number of blobs removed.
    pub async fn collect_garbage(&self, snapshot: &Snapshot) -> io::Result<usize> {
        let _gate = self.gate.lock().await;
        let mut removed = 0;
        for blob in self.blobs.list().await? {
            if !is_wanted(snapshot, &blob) {
                self.blobs.delete(&blob).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
