//! Placing what finds no room here at the next site that has some.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use luc_api::ApiError;
use luc_core::SitePrefix;

use super::forward::{Head, Outgoing, forward};
use super::{Arrival, NO_ROOM, PLACE};
use crate::Services;
use crate::ports::sites::ForwardedBody;

/// How many other sites are asked at most.
const SITES_MAX: usize = 3;

/// The answer of the first of `sites` that has room; nothing if none has, or none can be reached.
/// A site that falls silent, or does not know whether it made the thing, ends the search: it may be
/// there.
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
            Ok(answer) if answer.status().is_success() || in_doubt(answer.status()) => {
                return Ok(Some(answer));
            }
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

/// Whether the site that answers so may have made the thing.
fn in_doubt(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_that_may_have_made_it_is_not_passed_by() {
        // 504: the operation was carried out, and its answer was lost in a crash.
        assert!(in_doubt(StatusCode::GATEWAY_TIMEOUT));
        assert!(in_doubt(StatusCode::INTERNAL_SERVER_ERROR));
        // These promise that nothing was made.
        assert!(!in_doubt(StatusCode::SERVICE_UNAVAILABLE));
        assert!(!in_doubt(StatusCode::FORBIDDEN));
    }
}
