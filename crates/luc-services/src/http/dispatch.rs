//! Carries one request through the stages and renders the outcome.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt as _;
use http::header::{ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use luc_api::endpoint::{Access, Body as BodyForm, Endpoint};
use luc_api::query::Query;
use luc_api::version::negotiate;
use luc_api::{ApiError, Microversion, Operation, Service, Verb, fault};
use luc_core::Uuid;

use super::route::{Found, allowed};
use crate::caller::Caller;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::{Payload, Request};
use crate::{Services, compute, identity, image};

static API_VERSION: HeaderName = HeaderName::from_static("openstack-api-version");
static NOVA_VERSION: HeaderName = HeaderName::from_static("x-openstack-nova-api-version");
static AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
static COMPUTE_REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// What is known of a request before and while it is carried out, for the answer's headers.
struct Facts {
    service: Service,
    request_id: String,
    base_url: String,
    operation: Option<Operation>,
    version: Option<Microversion>,
    wants_json: bool,
}

/// Answers one request to an OpenStack service. `None`: the path belongs to no service.
pub async fn respond(
    services: &Arc<Services>,
    request: http::Request<Body>,
) -> Option<Response<Body>> {
    let service = Service::of_path(request.uri().path())?;
    let started = Instant::now();
    let is_head = request.method() == Method::HEAD;
    let mut facts = Facts {
        service,
        request_id: format!(
            "req-{}",
            Uuid::born_at(services.site, &mut Drawn(&*services.random))
        ),
        base_url: base_url(request.headers()),
        operation: None,
        version: None,
        wants_json: accepts_json(request.headers()),
    };
    let carried = AssertUnwindSafe(carry(services, request, &mut facts))
        .catch_unwind()
        .await;
    let outcome = carried.unwrap_or_else(|panic| {
        let cause = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Err(ApiError::internal(format!(
            "panic: {}",
            cause.unwrap_or_default()
        )))
    });
    let mut response = match outcome {
        Ok(reply) => success(reply),
        Err(error) => refusal(&error, &facts),
    };
    common_headers(&mut response, &facts);
    if is_head {
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = Body::empty();
    }
    services.observer.answered(
        facts.operation,
        response.status().as_u16(),
        started.elapsed(),
    );
    Some(response)
}

/// The stages, up to the handler's outcome.
async fn carry(
    services: &Arc<Services>,
    request: http::Request<Body>,
    facts: &mut Facts,
) -> Result<Reply, ApiError> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let found = services.routes.find(path)?;
    // Nobody learns without a token which paths there are.
    let public = found.as_ref().is_some_and(|found| {
        found
            .rows
            .iter()
            .any(|row| matches!(row.access, Access::Public))
    });
    let caller = authenticate(services, &parts.headers, public)?;
    let version = version_asked(facts.service, &parts.headers)?;
    facts.version = Some(version);
    let Some(found) = found else {
        return Err(ApiError::not_found("The resource could not be found."));
    };
    let candidates = candidates(&found, &parts.method, version)?;
    let payload = payload(facts.service, &candidates, &parts.headers, body).await?;
    let endpoint = select(&candidates, &payload)?;
    facts.operation = Some(endpoint.operation);
    admit(endpoint, caller.as_deref(), &parts.method, path)?;
    let mut request = Request {
        endpoint,
        request_id: facts.request_id.clone(),
        base_url: facts.base_url.clone(),
        path: path.to_owned(),
        version,
        now: services.clock.now(),
        params: found.params,
        query: Query::parse(parts.uri.query().unwrap_or_default())?,
        headers: parts.headers,
        payload,
        caller,
        policy: Arc::clone(&services.policy),
        authorized: AtomicBool::new(false),
    };
    handle(services, &mut request).await
}

/// The handler's answer, if it asked the row's rule first.
async fn handle(services: &Arc<Services>, request: &mut Request) -> Result<Reply, ApiError> {
    let endpoint = request.endpoint;
    let mut reply = match endpoint.operation {
        Operation::Identity(op) => identity::handle(services, op, request).await,
        Operation::Image(op) => image::handle(services, op, request).await,
        Operation::Compute(op) => compute::handle(services, op, request).await,
    }?;
    let checked = request.authorized.load(Ordering::Relaxed);
    if !checked && endpoint.access != Access::Public {
        let operation = endpoint.operation;
        return Err(ApiError::internal(format!("{operation:?} checked no rule")));
    }
    let status = StatusCode::from_u16(endpoint.success).unwrap_or(StatusCode::OK);
    reply.status.get_or_insert(status);
    Ok(reply)
}

/// The microversion that the headers ask for.
fn version_asked(service: Service, headers: &HeaderMap) -> Result<Microversion, ApiError> {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let modern: Vec<String> = headers
        .get_all(&API_VERSION)
        .iter()
        .filter_map(text)
        .collect();
    let legacy = headers.get(&NOVA_VERSION).and_then(text);
    negotiate(
        service,
        modern.iter().map(String::as_str),
        legacy.as_deref(),
    )
}

/// The body in the form that the rows take it.
async fn payload(
    service: Service,
    candidates: &[&'static Endpoint],
    headers: &HeaderMap,
    body: Body,
) -> Result<Payload, ApiError> {
    if candidates
        .iter()
        .any(|row| matches!(row.body, BodyForm::Stream))
    {
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

/// Refuses a caller without a token, or beyond the access rules of its credential.
fn admit(
    endpoint: &Endpoint,
    caller: Option<&Caller>,
    method: &Method,
    path: &str,
) -> Result<(), ApiError> {
    let reason = match caller {
        _ if endpoint.access == Access::Public => return Ok(()),
        None => "no token",
        Some(caller) if !caller.permits(endpoint.service(), method.as_str(), path) => {
            "not within the access rules"
        }
        Some(_) => return Ok(()),
    };
    Err(ApiError::Unauthorized { reason })
}

fn authenticate(
    services: &Services,
    headers: &HeaderMap,
    public: bool,
) -> Result<Option<Arc<Caller>>, ApiError> {
    let token = headers
        .get(&AUTH_TOKEN)
        .map(|value| value.to_str().unwrap_or_default());
    match token {
        Some(token) => match identity::authenticate(services, token) {
            Ok(caller) => Ok(Some(caller)),
            Err(_) if public => Ok(None),
            Err(error) => Err(error),
        },
        None if public => Ok(None),
        None => Err(ApiError::Unauthorized { reason: "no token" }),
    }
}

/// The rows of the path for this method and microversion.
fn candidates(
    found: &Found<'_>,
    method: &Method,
    version: Microversion,
) -> Result<Vec<&'static Endpoint>, ApiError> {
    let rows_of = |verb: Verb| -> Vec<&'static Endpoint> {
        found
            .rows
            .iter()
            .copied()
            .filter(|row| row.verb == verb)
            .collect()
    };
    let verb = Verb::of(method);
    let mut rows = verb.map(rows_of).unwrap_or_default();
    if rows.is_empty() && verb == Some(Verb::Head) {
        rows = rows_of(Verb::Get);
    }
    if rows.is_empty() {
        return Err(ApiError::MethodNotAllowed {
            method: method.to_string(),
            allowed: allowed(found.rows),
        });
    }
    let is_action = rows.iter().any(|row| row.action.is_some());
    if !is_action {
        rows.retain(|row| row.versions.contains(version));
        if rows.is_empty() {
            return Err(ApiError::not_found("The resource could not be found."));
        }
    } else if rows.iter().any(|row| row.versions.contains(version)) {
        rows.retain(|row| row.versions.contains(version));
    }
    Ok(rows)
}

/// The one row that is meant: the only one, or the one whose action the body names.
fn select(
    candidates: &[&'static Endpoint],
    payload: &Payload,
) -> Result<&'static Endpoint, ApiError> {
    if let [only] = candidates
        && only.action.is_none()
    {
        return Ok(only);
    }
    let Payload::Bytes(bytes) = payload else {
        return Err(ApiError::internal("an action was streamed"));
    };
    let body: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(bytes).map_err(|error| {
            let message = format!("Malformed request body: expected a JSON object ({error})");
            ApiError::BadRequest { message }
        })?;
    let named = candidates
        .iter()
        .find(|row| row.action.is_some_and(|action| body.contains_key(action)))
        .or_else(|| candidates.iter().find(|row| row.action.is_none()));
    named.copied().ok_or_else(|| {
        let given = body.keys().next().map_or("(none)", String::as_str);
        ApiError::bad_request(format!("There is no such action: {given}"))
    })
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

fn success(reply: Reply) -> Response<Body> {
    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status.unwrap_or(StatusCode::OK);
    *response.headers_mut() = reply.headers;
    response
}

fn refusal(error: &ApiError, facts: &Facts) -> Response<Body> {
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
fn common_headers(response: &mut Response<Body>, facts: &Facts) {
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
}

/// Inserts a header whose value is ours and printable; anything else is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The address under which the caller reached this node, also behind a proxy.
fn base_url(headers: &HeaderMap) -> String {
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

fn accepts_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/json"))
}
