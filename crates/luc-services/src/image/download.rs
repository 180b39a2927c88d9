//! Giving out the data of an image, whole or in part, as a stream.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderName, StatusCode};
use luc_api::ApiError;

use super::access::{is_admin, seen};
use super::model::Status;
use super::range;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

static CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// Gives out the data of an image; an image without data answers 204.
pub(super) async fn download(
    services: &Arc<Services>,
    request: &Request,
) -> Result<Reply, ApiError> {
    let seen = seen(services, request)?;
    seen.authorize(request, "download_image")?;
    let image = &seen.image;
    if image.status == Status::Deactivated && !is_admin(request) {
        return Err(ApiError::forbidden(
            "The requested image has been deactivated. Image data download is forbidden.",
        ));
    }
    let (Some(data), Some(blob)) = (&image.data, image.blob()) else {
        return Ok(Reply::empty().status(StatusCode::NO_CONTENT));
    };
    let asked = request
        .headers
        .get(RANGE)
        .map(|value| value.to_str().unwrap_or_default());
    let part = match asked {
        None => 0..data.size,
        Some(header) => range::parse(header, data.size)?,
    };
    let stream = services
        .image
        .blobs
        .open(&blob, part.clone())
        .await
        .map_err(|error| {
            tracing::error!(image = %image.id, ?blob, %error, "image data cannot be read");
            match error.kind() {
                io::ErrorKind::NotFound => ApiError::Unavailable {
                    message: format!("The data of image {} is not on this node.", image.id),
                },
                _ => ApiError::internal(format!("opening {blob:?}: {error}")),
            }
        })?;
    let mut reply = Reply::stream(Body::from_stream(stream), "application/octet-stream")
        .header(CONTENT_LENGTH, &(part.end - part.start).to_string())?
        .header(ACCEPT_RANGES, "bytes")?
        .header(CONTENT_MD5.clone(), &data.md5)?;
    if asked.is_some() {
        let range = format!("bytes {}-{}/{}", part.start, part.end - 1, data.size);
        reply = reply
            .header(CONTENT_RANGE, &range)?
            .status(StatusCode::PARTIAL_CONTENT);
    }
    Ok(reply)
}
