//! The body of a request, in the form that its rows take it.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use luc_api::endpoint::{Body as BodyForm, Endpoint};
use luc_api::{ApiError, Service};

use crate::request::Payload;

/// Whether the rows take their body as it comes in.
pub(super) fn is_streamed(candidates: &[&'static Endpoint]) -> bool {
    candidates
        .iter()
        .any(|row| matches!(row.body, BodyForm::Stream))
}

/// The body in the form that the rows take it.
pub(super) async fn payload(
    service: Service,
    candidates: &[&'static Endpoint],
    headers: &HeaderMap,
    body: Body,
) -> Result<Payload, ApiError> {
    if is_streamed(candidates) {
        return Ok(Payload::from(body));
    }
    check_media_type(service, headers, candidates)?;
    let longest = candidates
        .iter()
        .map(|row| row.body_length_max)
        .max()
        .unwrap_or_default();
    Ok(Payload::Bytes(read_body(body, headers, longest).await?))
}

fn check_media_type(
    service: Service,
    headers: &HeaderMap,
    candidates: &[&'static Endpoint],
) -> Result<(), ApiError> {
    let json = candidates
        .iter()
        .any(|row| matches!(row.body, BodyForm::Json(_)));
    let Some(given) = headers.get(CONTENT_TYPE).filter(|_| json) else {
        return Ok(());
    };
    let given = given.to_str().unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    let fits = essence.is_empty()
        || essence.eq_ignore_ascii_case("application/json")
        || essence.to_ascii_lowercase().ends_with("+json")
        // curl's default, which Keystone and Nova read as JSON too.
        || essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        || service == Service::Image;
    if fits {
        return Ok(());
    }
    Err(ApiError::UnsupportedMediaType {
        given: given.to_owned(),
        accepted: "application/json",
    })
}

/// Reads a body whole, up to `limit` bytes.
async fn read_body(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::TooLarge {
        limit: limit as u64,
    };
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large());
    }
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        let source = std::error::Error::source(&error);
        if source.is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>) {
            too_large()
        } else {
            ApiError::bad_request(format!("The request body could not be read: {error}"))
        }
    })
}
