//! Carries one request through the stages and renders the outcome.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use futures::FutureExt as _;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use luc_api::endpoint::{Access, Endpoint};
use luc_api::query::Query;
use luc_api::{ApiError, Operation, Service};
use luc_core::{SitePrefix, Uuid};

use super::answer::{Facts, accepts_json, base_url, common_headers, refusal, success};
use super::body::{is_streamed, payload};
use super::choice::{admit, candidates, select, version_asked};
use crate::caller::Caller;
use crate::compute::quota::exchange;
use crate::ports::Drawn;
use crate::ports::sites::{ForwardedBody, Interest};
use crate::reply::Reply;
use crate::request::{Payload, Place, Request};
use crate::routing::forward::{Head, Outgoing, forward};
use crate::routing::prior::{self, Destination};
use crate::routing::{Arrival, departed, gather, numbers, spill, stale};
use crate::{Services, compute, identity, image, operations};

static AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// How long the first request of a project waits for what other sites have of it.
const FOLLOW: Duration = Duration::from_secs(2);

/// An answer: of a handler here, or of another site, which is given on as it is.
enum Answer {
    Own(Reply),
    Other(Response<Body>),
}

/// Answers one request to an OpenStack service, here or at the site that must carry it out.
/// `None`: the path belongs to no service.
pub async fn respond(
    services: &Arc<Services>,
    mut request: http::Request<Body>,
) -> Option<Response<Body>> {
    let arrival = Arrival::of(&mut request);
    if let Some(from) = &arrival.from {
        if request.uri().path() == exchange::PATH {
            return Some(exchange::arrived(services, from.site, request).await);
        }
        return operations::respond(services, request, arrival).await;
    }
    let service = Service::of_path(request.uri().path())?;
    Some(answer(services, service, request, &arrival).await)
}

/// Answers one request to `service`.
pub(crate) async fn answer(
    services: &Arc<Services>,
    service: Service,
    request: http::Request<Body>,
    arrival: &Arrival,
) -> Response<Body> {
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
    let carried = AssertUnwindSafe(carry(services, request, &mut facts, arrival))
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
        Ok(Answer::Other(response)) => response,
        Ok(Answer::Own(reply)) => common_headers(success(reply), &facts),
        Err(error) => common_headers(refusal(&error, &facts), &facts),
    };
    if is_head {
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = Body::empty();
    }
    services.observer.answered(
        facts.operation,
        response.status().as_u16(),
        started.elapsed(),
    );
    response
}

/// The stages, up to the outcome.
async fn carry(
    services: &Arc<Services>,
    request: http::Request<Body>,
    facts: &mut Facts,
    arrival: &Arrival,
) -> Result<Answer, ApiError> {
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
    let caller = authenticate(services, &parts.headers, public).await?;
    let version = version_asked(facts.service, &parts.headers)?;
    facts.version = Some(version);
    let Some(found) = found else {
        return Err(ApiError::not_found("The resource could not be found."));
    };
    let candidates = candidates(&found, &parts.method, version)?;
    follow(services, facts.service, caller.as_deref(), arrival).await;
    let to = prior::destination(services, facts.service, &candidates, &found.params, arrival);
    let asking = (found.params.as_slice(), caller.as_deref());
    let resident = || prior::resident(services, &candidates, asking, arrival);
    let to = to.map_or_else(resident, |to| Ok(Some(to)))?;
    if let Some(to) = to.filter(|_| public || caller.is_some()) {
        let body = if is_streamed(&candidates) {
            ForwardedBody::Stream(body)
        } else {
            let payload = payload(facts.service, &candidates, &parts.headers, body).await?;
            facts.operation = Some(select(&candidates, &payload)?.operation);
            whole(payload)?
        };
        let head = Head {
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
        };
        let outgoing = Outgoing { head, body };
        return hand_on(services, to, outgoing, arrival).await;
    }
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
        place: arrival.place,
        authorized: AtomicBool::new(false),
    };
    let asked = Asked {
        method: parts.method,
        uri: parts.uri,
    };
    let settled = settle(services, &mut request, asked, arrival).await;
    settled.map_err(|refusal| departed::explained(services, &request.params, refusal))
}

/// The request line.
struct Asked {
    method: Method,
    uri: Uri,
}

impl Asked {
    fn head(self, headers: HeaderMap) -> Head {
        Head {
            method: self.method,
            uri: self.uri,
            headers,
        }
    }
}

/// Lets the handler answer, and other sites as far as it cannot.
async fn settle(
    services: &Arc<Services>,
    request: &mut Request,
    asked: Asked,
    arrival: &Arrival,
) -> Result<Answer, ApiError> {
    let gather = gather::Gather::of(services, request, arrival)?;
    let outcome = handle(services, request).await;
    match (outcome, gather) {
        (Err(ApiError::Elsewhere { home }), _) if !arrival.alone => {
            let headers = std::mem::take(&mut request.headers);
            let payload =
                std::mem::replace(&mut request.payload, Payload::Bytes(bytes::Bytes::new()));
            let body = whole(payload)?;
            let head = asked.head(headers);
            let to = Destination {
                site: home,
                by_birth: false,
                number: None,
            };
            hand_on(services, to, Outgoing { head, body }, arrival).await
        }
        (Err(ApiError::NoRoomHere { next }), _) if !next.is_empty() => {
            let head = asked.head(request.headers.clone());
            spill(services, request, &next, head, arrival).await
        }
        (outcome, Some(gather)) => {
            let head = asked.head(request.headers.clone());
            gather
                .complete(services, request, head, outcome)
                .await
                .map(Answer::Own)
        }
        (outcome, None) if !arrival.alone => {
            let reads = matches!(asked.method, Method::GET | Method::HEAD);
            let marked = outcome.map(|reply| {
                if reads {
                    stale::mark(services, request, reply)
                } else {
                    reply
                }
            });
            marked.map(Answer::Own)
        }
        (outcome, None) => outcome.map(Answer::Own),
    }
}

/// Lets one of the sites `next` make what has no room here; if none can, the handler makes it here
/// as it can be.
async fn spill(
    services: &Arc<Services>,
    request: &mut Request,
    next: &[SitePrefix],
    head: Head,
    arrival: &Arrival,
) -> Result<Answer, ApiError> {
    if let Payload::Bytes(bytes) = &request.payload {
        let bytes = bytes.clone();
        let placed = spill::place(services, next, head, bytes, arrival).await?;
        if let Some(answer) = placed {
            return Ok(Answer::Other(answer));
        }
    }
    request.place = Place::Last;
    handle(services, request).await.map(Answer::Own)
}

/// Hands a request on. If the site at which a thing was born is silent, a reading request is tried
/// at the others: the thing may have moved.
async fn hand_on(
    services: &Arc<Services>,
    to: Destination,
    mut outgoing: Outgoing,
    arrival: &Arrival,
) -> Result<Answer, ApiError> {
    if let Some((here, there)) = to.number {
        outgoing.head.uri = numbers::rewritten(&outgoing.head.uri, &here.to_string(), there);
        let answer = forward(services, to.site, outgoing, arrival).await?;
        return Ok(Answer::Other(numbers::lifted(answer, to.site).await));
    }
    let search = (to.by_birth && !outgoing.head.writes()).then(|| outgoing.head.clone());
    let answered = forward(services, to.site, outgoing, arrival).await;
    match (answered, search) {
        (Err(silent), Some(head)) => {
            let found = gather::search(services, to.site, &head).await;
            found.map(Answer::Other).ok_or(silent)
        }
        (answered, _) => answered.map(Answer::Other),
    }
}

fn whole(payload: Payload) -> Result<ForwardedBody, ApiError> {
    match payload {
        Payload::Bytes(bytes) => Ok(ForwardedBody::Whole(bytes)),
        Payload::Stream(_) => Err(ApiError::internal(
            "a stream was read before it was handed on",
        )),
    }
}

/// Asks for a copy of what the caller's project has at other sites, if it is not followed yet.
async fn follow(services: &Services, service: Service, caller: Option<&Caller>, arrival: &Arrival) {
    let project = caller.and_then(Caller::project_id);
    if let Some(project) = project
        && service != Service::Identity
        && !arrival.alone
    {
        let interest = Interest::Project(project.clone());
        let may_wait = services.operations.may_wait_for(project);
        let patience = if may_wait { FOLLOW } else { Duration::ZERO };
        if !services.sites.follow(interest, patience).await && may_wait {
            services.operations.waited_in_vain(project);
        }
    }
}

/// The handler's answer, if it asked the row's rule first.
async fn handle(services: &Arc<Services>, request: &mut Request) -> Result<Reply, ApiError> {
    let endpoint: &'static Endpoint = request.endpoint;
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

async fn authenticate(
    services: &Services,
    headers: &HeaderMap,
    public: bool,
) -> Result<Option<Arc<Caller>>, ApiError> {
    let token = headers
        .get(&AUTH_TOKEN)
        .map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    match token {
        Some(token) if public => Ok(identity::authenticate(services, token).ok()),
        Some(token) => identity::welcome(services, token).await.map(Some),
        None if public => Ok(None),
        None => Err(ApiError::Unauthorized { reason: "no token" }),
    }
}
