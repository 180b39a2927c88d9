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
use http::header::CONTENT_TYPE;
use luc_api::ApiError;
use luc_core::id::ImageId;
use luc_core::time::Timestamp;

use super::access::Seen;
use super::blob::{DataStream, StageError, Staged};
use super::images::{authorized, existing};
use super::model::{Data, Image, Status};
use super::write::transact;
use super::{garbage, inspect};
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
    let declared = declared_size(request)?;
    let Seen { image, .. } = authorized(services, request, "upload_image")?;
    let format = check_ready(&image)?.to_owned();
    let is_bare = image.container_format.as_deref() == Some("bare");
    let claim = services
        .image
        .uploads
        .claim(&image.id)
        .ok_or_else(|| wrong_status("saving"))?;
    let payload = std::mem::replace(&mut request.payload, Payload::Bytes(Bytes::new()));
    let staged = stage(services, payload).await?;
    if declared.is_some_and(|declared| declared != staged.measured.size) {
        return Err(ApiError::bad_request(format!(
            "{} bytes were announced and {} were sent.",
            declared.unwrap_or_default(),
            staged.measured.size
        )));
    }
    let (staged, virtual_size) = if is_bare {
        inspected(staged, format.clone()).await?
    } else {
        (staged, None)
    };
    let finish = Finish {
        claim,
        staged,
        virtual_size,
        format,
        now: request.now,
    };
    // From here on the caller may go away: what is whole is made known.
    let services = Arc::clone(services);
    let finished = tokio::spawn(async move { finish.run(&services).await }).await;
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

/// How many bytes the caller says there are.
fn declared_size(request: &Request) -> Result<Option<u64>, ApiError> {
    let Some(value) = request.headers.get("x-openstack-image-size") else {
        return Ok(None);
    };
    let size = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    size.map(Some)
        .ok_or_else(|| ApiError::bad_request("Invalid or missing image size in request headers."))
}

/// The disk format of an image that waits for its data and can get it.
fn check_ready(image: &Image) -> Result<&str, ApiError> {
    if image.status != Status::Queued {
        return Err(wrong_status(image.status.as_str()));
    }
    match (&image.disk_format, &image.container_format) {
        (Some(format), Some(_)) => Ok(format),
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

async fn stage(services: &Services, payload: Payload) -> Result<Staged, ApiError> {
    let data: DataStream = match payload {
        Payload::Stream(body) => Box::pin(body.into_data_stream().map_err(io::Error::other)),
        Payload::Bytes(bytes) => Box::pin(futures::stream::iter([Ok(bytes)])),
    };
    let images = &services.image;
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

/// Looks into staged bytes, where that may block.
async fn inspected(staged: Staged, format: String) -> Result<(Staged, Option<u64>), ApiError> {
    let looked = tokio::task::spawn_blocking(move || {
        let size = staged.measured.size;
        let mut file = File::open(staged.path()).map_err(inspect::Refusal::Disk)?;
        inspect::check(&format, &mut file, size).map(|virtual_size| (staged, virtual_size))
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
    format: String,
    now: Timestamp,
}

impl Finish {
    /// Keeps the bytes and makes the image active; bytes that nobody wants any more go again.
    async fn run(self, services: &Services) -> Result<(), ApiError> {
        let Self {
            claim,
            staged,
            virtual_size,
            format,
            now,
        } = self;
        let measured = staged.measured.clone();
        let blob = measured.blob.clone();
        let recorded = {
            let _gate = services.image.gate.lock().await;
            let kept = services.image.blobs.keep(staged).await;
            kept.map_err(|error| ApiError::internal(format!("keeping {blob:?}: {error}")))?;
            let data = Data {
                sha512: blob.as_str().to_owned(),
                md5: measured.md5,
                size: measured.size,
                virtual_size,
            };
            record(services, &claim.image, &format, data, now).await
        };
        if recorded.is_err() {
            garbage::collect(services, &blob).await;
        }
        recorded
    }
}

async fn record(
    services: &Services,
    id: &ImageId,
    format: &str,
    data: Data,
    now: Timestamp,
) -> Result<(), ApiError> {
    transact(&services.store, |tx| {
        let mut image = existing(tx, id).map_err(|_| ApiError::Gone {
            message: format!(
                "Image {id} could not be found after upload. The image may have been deleted \
                 during the upload, cleaning up the chunks uploaded."
            ),
        })?;
        if image.status != Status::Queued {
            return Err(wrong_status(image.status.as_str()).into());
        }
        if image.disk_format.as_deref() != Some(format) {
            let message = "The image's disk_format was changed during the upload.".to_owned();
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
