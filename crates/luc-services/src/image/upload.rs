//! Taking in the data of an image.
//!
//! ```text
//! PUT file ─▶ claim the image here ─▶ stage (hash, disk) ─▶ inspect ─▶ keep ─▶ record: active
//!               └── anything before the record: claim and staged bytes go, image stays queued
//! ```
//!
//! That data is coming in is known to this node alone ([`Uploads`]) and shown as `saving`. Two
//! nodes that take data for one image race for its record: the first is right, the other is told
//! of the conflict.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use luc_api::ApiError;
use luc_core::id::ImageId;
use luc_core::time::Timestamp;
use luc_state::Store;

use super::access::Seen;
use super::blob::{DataStream, StageError, Staged};
use super::images::{authorized, existing};
use super::model::{Data, Image, Status};
use super::write::transact;
use super::{Images, garbage, inspect};
use crate::Services;
use crate::reply::Reply;
use crate::request::{Payload, Request};

/// The images whose data is coming in at this node.
#[derive(Debug, Default)]
pub(super) struct Uploads(Arc<Mutex<BTreeSet<ImageId>>>);

/// The right to give an image its data; given back when dropped.
#[derive(Debug)]
struct Claim {
    image: ImageId,
    uploads: Arc<Mutex<BTreeSet<ImageId>>>,
}

impl Uploads {
    /// Whether data for this image is coming in.
    pub(super) fn holds(&self, image: &ImageId) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(image)
    }

    /// The status in which an image is shown.
    pub(super) fn status(&self, image: &Image) -> &'static str {
        if self.holds(&image.id) {
            "saving"
        } else {
            image.status.as_str()
        }
    }

    /// Claims an image, unless somebody has.
    fn claim(&self, image: &ImageId) -> Option<Claim> {
        let fresh = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(image.clone());
        fresh.then(|| Claim {
            image: image.clone(),
            uploads: Arc::clone(&self.0),
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.uploads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.image);
    }
}

/// Takes in the data of an image.
pub(super) async fn upload(
    services: &Arc<Services>,
    request: &mut Request,
) -> Result<Reply, ApiError> {
    check_media_type(request)?;
    let declared = declared_size(request, services.image.size_max)?;
    let Seen { image, .. } = authorized(services, request, "upload_image")?;
    let formats = check_ready(&image)?;
    let claim = services
        .image
        .uploads
        .claim(&image.id)
        .ok_or_else(|| wrong_status("saving"))?;
    let payload = std::mem::replace(&mut request.payload, Payload::Bytes(Bytes::new()));
    let staged = stage(&services.image, payload).await?;
    let size = staged.measured.size;
    if let Some(declared) = declared.filter(|declared| *declared != size) {
        let message = format!("Size mismatch: expected {declared} bytes, got {size} bytes");
        return Err(ApiError::BadRequest { message });
    }
    let (staged, virtual_size) = inspected(staged, &formats).await?;
    let now = request.now;
    let finish = Finish {
        claim,
        staged,
        virtual_size,
        formats,
        now,
    };
    // From here on the caller may go away: what is whole is made known.
    let services = Arc::clone(services);
    let finished =
        tokio::spawn(async move { finish.run(&services.image, &services.store).await }).await;
    finished.unwrap_or_else(|error| Err(ApiError::internal(format!("finishing: {error}"))))?;
    Ok(Reply::empty())
}

fn check_media_type(request: &Request) -> Result<(), ApiError> {
    let given = request
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let given = given.unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/octet-stream") {
        return Ok(());
    }
    Err(ApiError::UnsupportedMediaType {
        given: given.chars().take(128).collect(),
        accepted: "application/octet-stream",
    })
}

/// How many bytes the caller says there are; at most `limit`.
fn declared_size(request: &Request, limit: u64) -> Result<Option<u64>, ApiError> {
    let wrong = || ApiError::bad_request("Invalid or missing image size in request headers.");
    let number = |value: &HeaderValue| value.to_str().ok()?.trim().parse::<u64>().ok();
    let headers = &request.headers;
    let value = headers
        .get("x-openstack-image-size")
        .or_else(|| headers.get(CONTENT_LENGTH));
    let Some(value) = value else { return Ok(None) };
    match number(value).ok_or_else(wrong)? {
        size if size > limit => Err(ApiError::TooLarge { limit }),
        size => Ok(Some(size)),
    }
}

/// What the data of an image is declared to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Formats {
    disk: String,
    container: String,
}

/// The formats of an image that waits for its data and can get it.
fn check_ready(image: &Image) -> Result<Formats, ApiError> {
    if image.status != Status::Queued {
        return Err(wrong_status(image.status.as_str()));
    }
    match (image.disk_format.clone(), image.container_format.clone()) {
        (Some(disk), Some(container)) => Ok(Formats { disk, container }),
        (None, Some(_)) => Err(unset("Property disk_format")),
        (Some(_), None) => Err(unset("Property container_format")),
        (None, None) => Err(unset("Properties disk_format, container_format")),
    }
}

fn unset(what: &str) -> ApiError {
    ApiError::bad_request(format!("{what} must be set prior to saving data."))
}

fn wrong_status(status: &str) -> ApiError {
    ApiError::conflict(format!(
        "Image status transition from {status} to saving is not allowed"
    ))
}

async fn stage(images: &Images, payload: Payload) -> Result<Staged, ApiError> {
    let data: DataStream = match payload {
        Payload::Stream(streamed) => Box::pin(
            streamed
                .into_body()
                .into_data_stream()
                .map_err(io::Error::other),
        ),
        Payload::Bytes(bytes) => Box::pin(futures::stream::iter([Ok(bytes)])),
    };
    images
        .blobs
        .stage(data, images.size_max)
        .await
        .map_err(|error| match error {
            StageError::TooLarge { limit } => ApiError::TooLarge { limit },
            StageError::Sender(source) => {
                ApiError::bad_request(format!("The image data could not be read: {source}"))
            }
            StageError::Full(source) => {
                tracing::error!(error = %source, "image data was refused: the disk is full");
                ApiError::LimitExceeded {
                    message: "Image storage media is full.".to_owned(),
                }
            }
            StageError::Disk(source) => ApiError::internal(format!("staging image data: {source}")),
        })
}

/// Looks into staged bytes, where that may block. Only what is declared to be a bare disk can be
/// looked into; the size of that disk, where it says so.
async fn inspected(staged: Staged, formats: &Formats) -> Result<(Staged, Option<u64>), ApiError> {
    if formats.container != "bare" {
        return Ok((staged, None));
    }
    let declared = formats.disk.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let size = staged.measured.size;
        let mut file = File::open(staged.path()).map_err(inspect::Refusal::Disk)?;
        inspect::check(&declared, &mut file, size).map(|virtual_size| (staged, virtual_size))
    });
    match looked.await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(inspect::Refusal::Disk(error))) => Err(ApiError::internal(format!(
            "inspecting image data: {error}"
        ))),
        Ok(Err(refusal)) => Err(ApiError::UnacceptableData {
            reason: refusal.to_string(),
        }),
        Err(error) => Err(ApiError::internal(format!(
            "inspecting image data: {error}"
        ))),
    }
}

/// The last steps of an upload.
struct Finish {
    claim: Claim,
    staged: Staged,
    virtual_size: Option<u64>,
    formats: Formats,
    now: Timestamp,
}

impl Finish {
    /// Keeps the bytes and makes the image active; bytes that nobody wants any more go again.
    async fn run(self, images: &Images, store: &Store) -> Result<(), ApiError> {
        let Self {
            claim,
            staged,
            virtual_size,
            formats,
            now,
        } = self;
        let measured = staged.measured.clone();
        let blob = measured.blob.clone();
        let recorded = {
            let _gate = images.gate.lock().await;
            let kept = images.blobs.keep(staged).await;
            kept.map_err(|error| ApiError::internal(format!("keeping {blob:?}: {error}")))?;
            let data = Data {
                sha512: blob.as_str().to_owned(),
                md5: measured.md5,
                size: measured.size,
                virtual_size,
            };
            record(store, &claim.image, &formats, data, now).await
        };
        if recorded.is_err() {
            garbage::collect(images, store, &blob).await;
        }
        recorded
    }
}

async fn record(
    store: &Store,
    id: &ImageId,
    formats: &Formats,
    data: Data,
    now: Timestamp,
) -> Result<(), ApiError> {
    transact(store, |tx| {
        let mut image = existing(tx, id).map_err(|_| ApiError::Gone {
            message: format!(
                "Image {id} could not be found after upload. The image may have been deleted \
                 during the upload, cleaning up the chunks uploaded."
            ),
        })?;
        if check_ready(&image)? != *formats {
            let message = "The formats of the image were changed during the upload.".to_owned();
            return Err(ApiError::Conflict { message }.into());
        }
        image.status = Status::Active;
        image.data = Some(data.clone());
        image.updated_at = now;
        tx.update(image)?;
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests;
