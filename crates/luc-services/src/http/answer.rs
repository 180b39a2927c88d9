//! What stands in an answer beside what the handler says: status, headers, the fault of a refusal.

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use luc_api::{ApiError, Microversion, Operation, Service, fault};

use super::choice::{API_VERSION, NOVA_VERSION};
use crate::reply::Reply;
use crate::routing::NO_ROOM;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
static COMPUTE_REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// What is known of a request before and while it is carried out, for the answer's headers.
pub(super) struct Facts {
    pub(super) service: Service,
    pub(super) request_id: String,
    pub(super) base_url: String,
    pub(super) operation: Option<Operation>,
    pub(super) version: Option<Microversion>,
    pub(super) wants_json: bool,
}

pub(super) fn success(reply: Reply) -> Response<Body> {
    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status.unwrap_or(StatusCode::OK);
    *response.headers_mut() = reply.headers;
    response
}

pub(super) fn refusal(error: &ApiError, facts: &Facts) -> Response<Body> {
    match error {
        ApiError::Internal { cause } => {
            tracing::error!(request_id = %facts.request_id, operation = ?facts.operation, %cause,
                "a request failed by a fault of ours");
        }
        ApiError::Elsewhere { home } => {
            tracing::error!(request_id = %facts.request_id, operation = ?facts.operation, %home,
                "a request that belongs to another site was not handed on");
        }
        ApiError::Unauthorized { reason } => {
            tracing::debug!(request_id = %facts.request_id, reason, "a request was refused");
        }
        _ => tracing::debug!(request_id = %facts.request_id, %error, "a request was refused"),
    }
    let fault = fault::render(facts.service, error, facts.wants_json);
    let mut response = Response::new(Body::from(fault.body));
    *response.status_mut() = fault.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(fault.content_type));
    match error {
        ApiError::MethodNotAllowed { allowed, .. } => insert(headers, ALLOW, allowed),
        ApiError::NoRoomHere { .. } => {
            headers.insert(&NO_ROOM, HeaderValue::from_static("1"));
        }
        ApiError::TooManyRequests { retry_after } => {
            insert(
                headers,
                RETRY_AFTER,
                &retry_after.as_secs().max(1).to_string(),
            );
        }
        ApiError::SiteUnreachable { .. }
        | ApiError::SiteSilent { .. }
        | ApiError::Unavailable { .. } => {
            insert(headers, RETRY_AFTER, "5");
        }
        ApiError::Unauthorized { .. } => {
            let realm = format!(
                "Keystone uri=\"{}\"",
                Service::Identity.url(&facts.base_url)
            );
            insert(headers, http::header::WWW_AUTHENTICATE, &realm);
        }
        _ => {}
    }
    response
}

/// What stands on every answer: the request id, the version in force, what the answer varies by.
pub(super) fn common_headers(mut response: Response<Body>, facts: &Facts) -> Response<Body> {
    let headers = response.headers_mut();
    insert(headers, REQUEST_ID.clone(), &facts.request_id);
    match facts.service {
        Service::Identity => insert(headers, VARY, "X-Auth-Token"),
        Service::Image => {}
        Service::Compute => {
            insert(headers, COMPUTE_REQUEST_ID.clone(), &facts.request_id);
            insert(
                headers,
                VARY,
                "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
            );
            if let Some(version) = facts.version {
                insert(headers, API_VERSION.clone(), &format!("compute {version}"));
                insert(headers, NOVA_VERSION.clone(), &version.to_string());
            }
        }
    }
    response
}

/// Inserts a header whose value is ours and printable; anything else is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The address under which the caller reached this node, also behind a proxy.
pub(super) fn base_url(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let first = |value: &str| {
        value
            .split(',')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let scheme = text("x-forwarded-proto")
        .map(first)
        .filter(|s| s == "https" || s == "http");
    let host = text("x-forwarded-host")
        .map(first)
        .or_else(|| text("host").map(str::to_owned));
    let host = host.filter(|host| {
        !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
    });
    let scheme = scheme.unwrap_or_else(|| "http".to_owned());
    format!(
        "{scheme}://{}",
        host.unwrap_or_else(|| "localhost".to_owned())
    )
}

pub(super) fn accepts_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/json"))
}
