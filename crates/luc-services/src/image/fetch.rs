//! Image data that a host here needs and another site has: it is brought here once and kept.
//!
//! ```text
//! host asks ─▶ here? ── yes ─▶ its path
//!              no ─▶ the image's home streams it ─▶ stage, compare the hash ─▶ keep ─▶ its path
//! ```
//!
//! The record of an image names its data by its hash, so what another site sends cannot be anything
//! else. Called by the agents' adapter in `luc`; [`give`] answers other sites.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::TryStreamExt as _;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use luc_api::ApiError;
use luc_core::SitePrefix;

use super::model::{Image, Visibility};
use crate::Services;
use crate::identity::admits_project;
use crate::ports::sites::{Forwarded, ForwardedBody};
use crate::routing::forward::name_of;

/// What stands before the id in the path between sites.
pub(crate) const PATH: &str = "/luc/v1/between/images/";

/// How long the data may be on its way.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Where the data of the image `id` is on this node, once it is here.
pub async fn fetch(services: &Services, id: &str) -> Result<PathBuf, ApiError> {
    let images = &services.image;
    let snapshot = services.store.snapshot();
    if let Some(path) = images.data_path(&snapshot, id).await {
        return Ok(path);
    }
    let image = snapshot.get::<Image>(id);
    let data = image.as_ref().and_then(|image| image.data.as_ref());
    let blob = image.as_ref().and_then(|image| image.blob());
    let (Some(image), Some(data), Some(blob)) = (&image, data, blob) else {
        return Err(ApiError::not_found(format!("The image {id} has no data.")));
    };
    if image.home() == services.site {
        let message = format!("The data of image {id} is not on this node.");
        return Err(ApiError::Unavailable { message });
    }
    // One at a time: hosts that need the same find it when their turn comes.
    let _turn = images.fetching.lock().await;
    if let Some(path) = images.data_path(&snapshot, id).await {
        return Ok(path);
    }
    let answer = asked(services, image.home(), id).await?;
    let stream = answer.into_body().into_data_stream();
    let staged = images
        .blobs
        .stage(Box::pin(stream.map_err(io::Error::other)), data.size)
        .await
        .map_err(|error| {
            tracing::warn!(image = id, %error, "image data did not arrive");
            unreachable(services, image.home())
        })?;
    if staged.measured.blob != blob {
        let site = name_of(services, image.home());
        let cause = format!("site {site} sent other data than that of image {id}");
        return Err(ApiError::internal(cause));
    }
    let _gate = images.gate.lock().await;
    let kept = images.blobs.keep(staged).await;
    kept.map_err(|error| ApiError::internal(format!("keeping {blob:?}: {error}")))?;
    Ok(images.blobs.path(&blob))
}

fn unreachable(services: &Services, site: SitePrefix) -> ApiError {
    let site = name_of(services, site);
    ApiError::SiteUnreachable { site }
}

async fn asked(
    services: &Services,
    home: SitePrefix,
    id: &str,
) -> Result<Response<Body>, ApiError> {
    let request = http::Request::get(format!("{PATH}{id}")).body(());
    let request = request.map_err(|error| ApiError::bad_request(error.to_string()))?;
    let forwarded = Forwarded {
        parts: request.into_parts().0,
        body: ForwardedBody::Whole(Bytes::new()),
        operation: None,
        patience: PATIENCE,
    };
    let answer = services.sites.forward(home, forwarded).await;
    let answer = answer.map_err(|error| {
        tracing::debug!(image = id, %error, "image data was not sent");
        unreachable(services, home)
    })?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let (site, status) = (name_of(services, home), answer.status());
    let message = format!("Site {site} does not give the data of image {id}: {status}.");
    Err(ApiError::Unavailable { message })
}

/// The data of the image `id` for the site `from`, if that may hold it.
pub(crate) async fn give(
    services: &Services,
    from: SitePrefix,
    id: &str,
) -> Result<Response<Body>, ApiError> {
    let missing = || ApiError::not_found(format!("There is no data of image {id} here."));
    let snapshot = services.store.snapshot();
    let image = snapshot.get::<Image>(id).ok_or_else(missing)?;
    let open = matches!(image.visibility, Visibility::Public | Visibility::Community);
    let owner = image.owner.as_ref();
    if !open && !owner.is_some_and(|owner| admits_project(services, from, owner)) {
        return Err(missing());
    }
    let (Some(data), Some(blob)) = (&image.data, image.blob()) else {
        return Err(missing());
    };
    let stream = services.image.blobs.open(&blob, 0..data.size).await;
    let stream = stream.map_err(|error| {
        tracing::error!(image = id, ?blob, %error, "image data cannot be read");
        missing()
    })?;
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(data.size));
    Ok(response)
}
