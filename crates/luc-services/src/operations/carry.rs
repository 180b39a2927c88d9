//! Carrying out what another site has handed on, once.
//!
//! What the client has written at that site just before may not have come here yet: a server is to
//! be made here of an image that was uploaded there. So a write that is refused waits until this
//! site knows what that one knew when it handed the write on, and is tried once more.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use luc_api::endpoint::Body as BodyForm;
use luc_api::{ApiError, Endpoint, Service, Verb, fault};
use luc_core::SitePrefix;
use luc_state::{Rider, Touched, Tx, TxError};
use sha2::{Digest, Sha256};

use super::record::{Answered, Operation, Wrote};
use super::seeded::Seeded;
use super::show;
use crate::image::fetch;
use crate::ports::sites::OperationSeed;
use crate::routing::forward::name_of;
use crate::routing::wire::Seen;
use crate::routing::{Arrival, HOME, REVISION};
use crate::{Services, http as api};

/// The longest body that is read whole.
const BODY_MAX: usize = 16 << 20;

/// How long a write that was refused waits for what its sender's site knows.
const THEIR_WRITES: Duration = Duration::from_secs(1);

/// The longest body of an answer that is kept.
const KEPT_BODY_MAX: usize = 1 << 20;

/// Answers a request that another site has handed on. `None`: the path belongs to no service.
pub(crate) async fn respond(
    services: &Arc<Services>,
    request: http::Request<Body>,
    arrival: Arrival,
) -> Option<Response<Body>> {
    let from = arrival.from.as_ref().map(|from| from.site);
    let path = request.uri().path();
    if let Some(id) = path.strip_prefix(show::PATH) {
        let shown = show::for_site(services, id, &arrival).await;
        return Some(shown.unwrap_or_else(|error| refused(Service::Compute, &error)));
    }
    if let Some(id) = path.strip_prefix(fetch::PATH) {
        let given = match &arrival.from {
            Some(from) => fetch::give(services, from.site, id).await,
            None => Err(ApiError::forbidden("Sites alone speak of this.")),
        };
        return Some(given.unwrap_or_else(|error| refused(Service::Image, &error)));
    }
    let service = Service::of_path(path)?;
    let response = match arrival.operation().cloned() {
        Some(seed) => once(services, service, request, arrival, seed).await,
        None => api::carry_out(services, service, request, &arrival).await,
    };
    Some(stamped(services, from, response))
}

/// Says where and at which revision the answer holds, unless yet another site has said so. The site
/// that asked will wait for a copy of that revision.
fn stamped(
    services: &Services,
    from: Option<SitePrefix>,
    mut response: Response<Body>,
) -> Response<Body> {
    let headers = response.headers_mut();
    if !headers.contains_key(&HOME) {
        let revision = services.store.snapshot().revision().number();
        if let Some(from) = from {
            services.sites.awaited(from, revision);
        }
        if let Ok(site) = HeaderValue::from_str(&services.site.to_string()) {
            headers.insert(&HOME, site);
        }
        headers.insert(&REVISION, HeaderValue::from(revision));
    }
    response
}

fn refused(service: Service, error: &ApiError) -> Response<Body> {
    let fault = fault::render(service, error, true);
    let mut response = Response::new(Body::from(fault.body));
    *response.status_mut() = fault.status;
    let kind = HeaderValue::from_static(fault.content_type);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A write as it arrived.
struct Arrived {
    service: Service,
    arrival: Arrival,
    seed: OperationSeed,
    /// The rows of the path and method.
    rows: Vec<&'static Endpoint>,
    line: String,
    fingerprint: String,
    /// The body, unless it is streamed.
    whole: Option<Bytes>,
    request: http::Request<Body>,
}

async fn once(
    services: &Arc<Services>,
    service: Service,
    request: http::Request<Body>,
    arrival: Arrival,
    seed: OperationSeed,
) -> Response<Body> {
    let verb = Verb::of(request.method());
    let found = services.routes.find(request.uri().path()).ok().flatten();
    let mut rows = found.map_or_else(Vec::new, |found| found.rows.to_vec());
    rows.retain(|row| Some(row.verb) == verb);
    let streamed = rows.iter().any(|row| matches!(row.body, BodyForm::Stream));
    let (parts, body) = request.into_parts();
    let line = format!("{} {}", parts.method, parts.uri.path());
    let token = parts.headers.get("x-auth-token");
    let mut digest = Sha256::new()
        .chain_update(format!("{} {}\n", parts.method, parts.uri))
        .chain_update(token.map_or(&b""[..], HeaderValue::as_bytes))
        .chain_update("\n");
    let (body, whole) = if streamed {
        (body, None)
    } else {
        match axum::body::to_bytes(body, BODY_MAX).await {
            Ok(bytes) => {
                digest.update(&bytes);
                (Body::from(bytes.clone()), Some(bytes))
            }
            Err(error) => {
                let message = format!("The request body could not be read: {error}");
                return refused(service, &ApiError::BadRequest { message });
            }
        }
    };
    let arrived = Arrived {
        service,
        arrival,
        seed,
        rows,
        line,
        fingerprint: hex::encode(digest.finalize()),
        whole,
        request: http::Request::from_parts(parts, body),
    };
    // The other site may hang up: what has begun is finished, and its answer kept.
    let services = Arc::clone(services);
    let carried = tokio::spawn(async move {
        let _turn = services.operations.turn(&arrived.seed.id).await;
        match known(&services, &arrived) {
            Some(response) => response,
            None => run(&services, arrived).await,
        }
    });
    carried.await.unwrap_or_else(|error| {
        let error = ApiError::internal(error.to_string());
        refused(service, &error)
    })
}

/// The answer to an operation that has been carried out.
fn known(services: &Services, arrived: &Arrived) -> Option<Response<Body>> {
    let snapshot = services.store.snapshot();
    let operation = snapshot.get::<Operation>(&arrived.seed.id)?;
    let refused = |error: ApiError| Some(refused(arrived.service, &error));
    if operation.given_up {
        return refused(ApiError::conflict("The operation was given up."));
    }
    if operation.fingerprint != arrived.fingerprint {
        return refused(ApiError::conflict(
            "The operation id stands for another request.",
        ));
    }
    if let Some(answer) = &operation.answer {
        return Some(answer.response());
    }
    let no_content = StatusCode::NO_CONTENT;
    if !arrived.rows.is_empty() && arrived.rows.iter().all(|row| row.success == 204) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = no_content;
        return Some(response);
    }
    refused(ApiError::SiteSilent {
        site: name_of(services, services.site),
        operation: arrived.seed.id.to_string(),
    })
}

/// Carries out an operation and keeps its answer, if it wrote anything.
async fn run(services: &Arc<Services>, arrived: Arrived) -> Response<Body> {
    let operation = Operation {
        id: arrived.seed.id.clone(),
        from: arrived
            .arrival
            .from
            .as_ref()
            .map_or(services.site, |from| from.site),
        request: arrived.line,
        fingerprint: arrived.fingerprint,
        began: services.clock.now(),
        given_up: false,
        wrote: Vec::new(),
        answer: None,
    };
    let mut scoped = Services::clone(services);
    scoped.store = services.store.riding(Arc::new(Note {
        operation: operation.clone(),
    }));
    scoped.random = Arc::new(Seeded::new(arrived.seed.seed));
    let scoped = Arc::new(scoped);
    let (service, arrival) = (arrived.service, arrived.arrival);
    let id = arrived.seed.id;
    let again = Again::of(&arrived.request, arrived.whole);
    let mut response = api::carry_out(&scoped, service, arrived.request, &arrival).await;
    let mut wrote = services.store.snapshot().get::<Operation>(&id).is_some();
    if let Some(again) = again.filter(|_| !wrote && may_be_too_early(response.status()))
        && services
            .sites
            .caught_up(operation.from, again.seen, THEIR_WRITES)
            .await
    {
        // The same random choices as before.
        let mut scoped = Services::clone(&scoped);
        scoped.random = Arc::new(Seeded::new(arrived.seed.seed));
        let scoped = Arc::new(scoped);
        response = api::carry_out(&scoped, service, again.request, &arrival).await;
        wrote = services.store.snapshot().get::<Operation>(&id).is_some();
    }
    let handed_on = response.headers().contains_key(&HOME) && response.status().is_success();
    if !wrote && !handed_on {
        return response;
    }
    let (parts, body) = response.into_parts();
    let bytes = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return refused(service, &ApiError::internal(error.to_string())),
    };
    let response = Response::from_parts(parts, Body::from(bytes.clone()));
    if let Some(answer) = Answered::of(&response, &bytes) {
        let kept = services.store.transact(|tx| -> Result<(), TxError> {
            let stored = tx.get::<Operation>(&id);
            let before = stored.map_or_else(|| operation.clone(), |stored| stored.value().clone());
            tx.put(Operation {
                answer: Some(answer.clone()),
                ..before
            })?;
            Ok(())
        });
        if let Err(error) = kept.await {
            tracing::warn!(operation = %id, %error, "the answer to an operation was not kept");
        }
    }
    response
}

/// Whether a refusal may only mean that what the client has written elsewhere is not here yet.
fn may_be_too_early(status: StatusCode) -> bool {
    let refusals = [
        StatusCode::BAD_REQUEST,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
    ];
    refusals.contains(&status)
}

/// A request as it can be carried out once more.
struct Again {
    request: http::Request<Body>,
    /// Up to which revision its sender's site should be known.
    seen: u64,
}

impl Again {
    /// A second one of `request`, whose body is `whole`; nothing if it is streamed, or the sender
    /// did not say how far it is.
    fn of(request: &http::Request<Body>, whole: Option<Bytes>) -> Option<Self> {
        let Seen(seen) = *request.extensions().get::<Seen>()?;
        let mut again = http::Request::new(Body::from(whole?));
        *again.method_mut() = request.method().clone();
        *again.uri_mut() = request.uri().clone();
        *again.headers_mut() = request.headers().clone();
        Some(Self {
            request: again,
            seen,
        })
    }
}

/// Writes the operation into each commit that it makes.
struct Note {
    operation: Operation,
}

impl Rider for Note {
    fn ride(&self, tx: &mut Tx<'_>, written: &[Touched]) -> Result<(), TxError> {
        let before = tx.get::<Operation>(&self.operation.id);
        let mut operation =
            before.map_or_else(|| self.operation.clone(), |stored| stored.value().clone());
        if operation.given_up {
            let (kind, id) = (luc_state::Kind::Operation, operation.id.to_string());
            return Err(TxError::Exists { kind, id });
        }
        let written = written.iter().map(|(kind, id)| Wrote {
            kind: kind.name().to_owned(),
            id: id.to_string(),
        });
        operation.wrote.extend(written);
        operation.wrote.sort();
        operation.wrote.dedup();
        tx.put(operation).map(drop)
    }
}

impl Answered {
    /// `response` as it is kept; nothing if it cannot be.
    fn of(response: &Response<Body>, body: &[u8]) -> Option<Self> {
        if body.len() > KEPT_BODY_MAX {
            return None;
        }
        let body = std::str::from_utf8(body).ok()?.to_owned();
        let headers = response.headers().iter().filter_map(|(name, value)| {
            let value = value.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        Some(Self {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body,
        })
    }

    fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}
