//! What a client gets.

use axum::body::Body;
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// The answer, read.
pub(crate) async fn read(answer: Response<Body>) -> Answer {
    let (parts, body) = answer.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await;
    let bytes = bytes.expect("the answer is read");
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}
