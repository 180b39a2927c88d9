//! An answer as handlers give it; the dispatcher adds status, request id and version headers.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use luc_api::ApiError;

/// An answer to a request that succeeded.
pub struct Reply {
    pub(crate) status: Option<StatusCode>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Reply {
    /// Nothing but the status of the endpoint's row.
    pub fn empty() -> Self {
        Self {
            status: None,
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
    }

    /// `value` as JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, ApiError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| ApiError::internal(format!("rendering an answer: {error}")))?;
        let mut reply = Self::empty();
        reply
            .headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply.body = Body::from(bytes);
        Ok(reply)
    }

    /// Bytes that are streamed, with their media type.
    pub fn stream(body: Body, content_type: &'static str) -> Self {
        let mut reply = Self::empty();
        reply
            .headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply.body = body;
        reply
    }

    /// The same with another status than the row's.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// The same with a header more; a value that no header can hold is a fault of ours.
    pub fn header(mut self, name: HeaderName, value: &str) -> Result<Self, ApiError> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| ApiError::internal(format!("{name} cannot hold {value:?}")))?;
        self.headers.insert(name, value);
        Ok(self)
    }
}
