//! A request on its way between two sites, as HTTP.
//!
//! `luc` sends what [`request`] makes over the fabric and gives what arrives to [`received`], with
//! the site that the fabric says it came from. The operation travels in two headers, which exist
//! between sites only.

use axum::body::Body;
use http::header::{HeaderName, HeaderValue};
use luc_core::SitePrefix;
use luc_core::id::OpId;

use super::FromSite;
use crate::ports::sites::{Forwarded, ForwardedBody, OperationSeed};

/// The id of the operation.
pub(crate) static OPERATION: HeaderName = HeaderName::from_static("luc-operation");
/// The seed of its random choices, in hexadecimal digits.
pub(crate) static SEED: HeaderName = HeaderName::from_static("luc-seed");

/// The revision of the store of the site that hands a write on.
pub(crate) static SEEN: HeaderName = HeaderName::from_static("luc-seen");

/// Up to which revision of the site that handed a write on the home should know that site, to see
/// what its client has written there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(pub(crate) u64);

/// What is wrong with a request that another site sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operation of a request between sites is not readable")]
pub struct WireError;

/// `forwarded` as an HTTP request.
pub fn request(forwarded: Forwarded) -> http::Request<Body> {
    let mut parts = forwarded.parts;
    if let Some(seed) = &forwarded.operation {
        // An id is made of characters that a header can hold.
        if let Ok(id) = HeaderValue::from_str(seed.id.as_str()) {
            parts.headers.insert(&OPERATION, id);
        }
        if let Ok(mut value) = HeaderValue::from_str(&hex::encode(seed.seed)) {
            value.set_sensitive(true);
            parts.headers.insert(&SEED, value);
        }
    }
    let body = match forwarded.body {
        ForwardedBody::Whole(bytes) => Body::from(bytes),
        ForwardedBody::Stream(body) => body,
    };
    http::Request::from_parts(parts, body)
}

/// Marks `request` as one that `site` handed on. To be called for what the fabric has received
/// from an admitted site, and for nothing else.
pub fn received(
    site: SitePrefix,
    mut request: http::Request<Body>,
) -> Result<http::Request<Body>, WireError> {
    let headers = request.headers_mut();
    let operation = match (headers.remove(&OPERATION), headers.remove(&SEED)) {
        (None, None) => None,
        (Some(id), Some(seed)) => Some(operation(&id, &seed).ok_or(WireError)?),
        _ => return Err(WireError),
    };
    let seen = headers.remove(&SEEN);
    let seen = seen.and_then(|seen| seen.to_str().ok()?.parse().ok());
    if let Some(seen) = seen {
        request.extensions_mut().insert(Seen(seen));
    }
    request
        .extensions_mut()
        .insert(FromSite { site, operation });
    Ok(request)
}

fn operation(id: &HeaderValue, seed: &HeaderValue) -> Option<OperationSeed> {
    let id = OpId::parse(id.to_str().ok()?).ok()?;
    let mut bytes = [0u8; 32];
    hex::decode_to_slice(seed.to_str().ok()?, &mut bytes).ok()?;
    Some(OperationSeed { id, seed: bytes })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_operation_arrives_as_it_was_sent() {
        let site = SitePrefix::of_key(b"elsewhere");
        let (parts, ()) = http::Request::post("/compute/v2.1/servers")
            .body(())
            .unwrap()
            .into_parts();
        let operation = OperationSeed {
            id: OpId::parse("o-1").unwrap(),
            seed: [7; 32],
        };
        let sent = request(Forwarded {
            parts,
            body: ForwardedBody::Whole(bytes::Bytes::new()),
            operation: Some(operation.clone()),
            patience: Duration::ZERO,
        });
        assert!(sent.extensions().get::<FromSite>().is_none());
        let arrived = received(site, sent).unwrap();
        let from = arrived.extensions().get::<FromSite>().unwrap();
        assert_eq!((from.site, from.operation.clone()), (site, Some(operation)));
        assert!(!arrived.headers().contains_key(&SEED));
    }

    #[test]
    fn half_an_operation_is_refused() {
        let site = SitePrefix::of_key(b"elsewhere");
        let sent = http::Request::post("/").header(&OPERATION, "o-1");
        let sent = sent.body(Body::empty()).unwrap();
        assert!(received(site, sent).is_err());
    }
}
