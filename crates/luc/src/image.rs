//! The image service's data in the node's directory.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use luc_services::image::Images;
use luc_services::image::blob::DiskBlobs;

/// Opens the image data below `directory`.
pub fn open(directory: &Path) -> anyhow::Result<Images> {
    let path = directory.join("images");
    let blobs = DiskBlobs::open(&path)
        .with_context(|| format!("opening the image data in {}", path.display()))?;
    Ok(Images::new(Arc::new(blobs)))
}
