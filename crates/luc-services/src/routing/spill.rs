//! Placing what finds no room here at the next site that has some.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use luc_api::ApiError;
use luc_core::SitePrefix;

use super::forward::{Head, Outgoing, forward};
use super::{Arrival, NO_ROOM, PLACE};
use crate::Services;
use crate::ports::sites::ForwardedBody;

/// How many other sites are asked at most.
const SITES_MAX: usize = 3;

/// The answer of the first of `sites` that has room; nothing if none has, or none can be reached.
/// A site that falls silent ends the search: the thing may be there.
pub(crate) async fn place(
    services: &Services,
    sites: &[SitePrefix],
    mut head: Head,
    body: Bytes,
    arrival: &Arrival,
) -> Result<Option<Response<Body>>, ApiError> {
    head.headers.insert(&PLACE, HeaderValue::from_static("1"));
    for site in sites.iter().take(SITES_MAX) {
        let outgoing = Outgoing {
            head: head.clone(),
            body: ForwardedBody::Whole(body.clone()),
        };
        match forward(services, *site, outgoing, arrival).await {
            Ok(answer) if answer.headers().contains_key(&NO_ROOM) => {}
            Ok(answer) if answer.status().is_success() => return Ok(Some(answer)),
            Ok(answer) => {
                let status = answer.status().as_u16();
                tracing::debug!(%site, status, "a site refused what has no room here");
            }
            Err(ApiError::SiteUnreachable { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(None)
}
