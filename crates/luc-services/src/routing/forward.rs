//! Handing a request to the site that must carry it out.
//!
//! ```text
//! NotSent, nothing sent before ─▶ 503 with the site's name: nothing happened
//! Unknown ─▶ again under the same operation, until the deadline ─▶ 504 with site and operation
//! answer ─▶ wait until what was written is visible here, at most 1 s ─▶ the client
//! ```

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::future::join_all;
use http::header::{CONNECTION, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use luc_api::ApiError;
use luc_core::id::OpId;
use luc_core::{Entropy as _, SitePrefix};
use tokio::time::{Instant, sleep, timeout};

use super::disclosure::may_show;
use super::{ALONE, Arrival, HOME, HOPS, REVISION, strip, wire};
use crate::Services;
use crate::ports::Drawn;
use crate::ports::sites::{ForwardError, Forwarded, ForwardedBody, OperationSeed, SiteView};

/// How long a request is tried, over all attempts.
const DEADLINE: Duration = Duration::from_secs(15);

/// How long one attempt may take; an operation that takes longer is waited for by the next.
const ATTEMPT: Duration = Duration::from_secs(5);

/// How long a body that is streamed may take; it is sent once.
const STREAM: Duration = Duration::from_secs(3600);

/// How long an answer waits for what was written to be visible here.
const OWN_WRITES: Duration = Duration::from_secs(1);

/// The pause after the first attempt that failed; it doubles.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(800);

/// How often a request is handed on at most: more often only while a home is changing.
const HOPS_MAX: u8 = 3;

/// Headers that concern one connection (RFC 9110, section 7.6.1).
static OF_CONNECTION: [HeaderName; 6] =
    [CONNECTION, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// What a request says before its body.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) uri: Uri,
    /// The client's headers.
    pub(crate) headers: HeaderMap,
}

impl Head {
    /// Whether it may change something.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD)
    }

    fn parts(&self) -> http::request::Parts {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = self.method.clone();
        parts.uri = self.uri.clone();
        parts.headers = self.headers.clone();
        for name in &OF_CONNECTION {
            parts.headers.remove(name);
        }
        parts
    }
}

/// A request that is handed on.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// What stands before the body.
    pub(crate) head: Head,
    /// The body.
    pub(crate) body: ForwardedBody,
}

/// Why there is no answer.
enum Missing {
    /// It was never seen there.
    NotSent,
    /// It may have been carried out.
    Unknown,
}

/// The answer of `home` to `outgoing`.
pub(crate) async fn forward(
    services: &Services,
    home: SitePrefix,
    mut outgoing: Outgoing,
    arrival: &Arrival,
) -> Result<Response<Body>, ApiError> {
    if arrival.hops >= HOPS_MAX {
        let message = "It is not clear at the moment which site must do this; nothing was changed.";
        return Err(ApiError::Unavailable {
            message: message.to_owned(),
        });
    }
    if !may_show(services, home, &outgoing.head.headers) {
        let site = name_of(services, home);
        return Err(ApiError::forbidden(format!(
            "Site {site} must do this, and your token is not shown to it: your domain does not \
             live there, or you have a role of the whole cloud, which it is not trusted with."
        )));
    }
    let hops = HeaderValue::from(u16::from(arrival.hops) + 1);
    outgoing.head.headers.insert(&HOPS, hops);
    let writes = outgoing.head.writes();
    let seen = services.store.snapshot().revision().number();
    if writes {
        // What the caller saw here may matter there.
        services.sites.awaited(home, seen);
    }
    let seen = HeaderValue::from(seen);
    outgoing.head.headers.insert(&wire::SEEN, seen);
    let given = arrival.operation().cloned();
    let operation = writes.then(|| given.unwrap_or_else(|| new_operation(services)));
    let _sending = operation
        .as_ref()
        .map(|operation| services.operations.sending(&operation.id, home));
    let answered = match outgoing.body {
        ForwardedBody::Whole(bytes) => {
            repeat(services, home, &outgoing.head, bytes, operation.as_ref()).await
        }
        ForwardedBody::Stream(body) => {
            let body = ForwardedBody::Stream(body);
            let sent = once(
                services,
                home,
                &outgoing.head,
                body,
                operation.as_ref(),
                STREAM,
            );
            sent.await.map_err(|error| Missing::of(&error))
        }
    };
    let site = name_of(services, home);
    match (answered, operation) {
        (Ok(response), _) => Ok(settled(services, home, writes, response, arrival).await),
        (Err(Missing::Unknown), Some(operation)) => Err(ApiError::SiteSilent {
            site,
            operation: super::shown(&operation.id),
        }),
        (Err(_), _) => Err(ApiError::SiteUnreachable { site }),
    }
}

impl Missing {
    fn of(error: &ForwardError) -> Self {
        tracing::debug!(%error, "a request was not answered by another site");
        match error {
            ForwardError::NotSent { .. } => Self::NotSent,
            ForwardError::Unknown { .. } => Self::Unknown,
        }
    }
}

/// Sends a request until there is an answer, or the deadline is over.
async fn repeat(
    services: &Services,
    home: SitePrefix,
    head: &Head,
    bytes: Bytes,
    operation: Option<&OperationSeed>,
) -> Result<Response<Body>, Missing> {
    let deadline = Instant::now() + DEADLINE;
    let mut pause = PAUSE;
    let mut sent = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let body = ForwardedBody::Whole(bytes.clone());
        match once(services, home, head, body, operation, left.min(ATTEMPT)).await {
            Ok(response) => return Ok(response),
            Err(error) => match Missing::of(&error) {
                Missing::NotSent if !sent => return Err(Missing::NotSent),
                Missing::NotSent => {}
                Missing::Unknown => sent = true,
            },
        }
        if Instant::now() + pause >= deadline {
            return Err(Missing::Unknown);
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn once(
    services: &Services,
    home: SitePrefix,
    head: &Head,
    body: ForwardedBody,
    operation: Option<&OperationSeed>,
    patience: Duration,
) -> Result<Response<Body>, ForwardError> {
    let forwarded = Forwarded {
        parts: head.parts(),
        body,
        operation: operation.cloned(),
        patience,
    };
    let answer = timeout(patience, services.sites.forward(home, forwarded)).await;
    answer.unwrap_or_else(|_| {
        let reason = "it took too long".to_owned();
        Err(ForwardError::Unknown { reason })
    })
}

/// The answer as it goes on: to a client without internal headers and once its own writes are
/// visible here, to a site as it is.
async fn settled(
    services: &Services,
    home: SitePrefix,
    writes: bool,
    mut response: Response<Body>,
    arrival: &Arrival,
) -> Response<Body> {
    let headers = response.headers_mut();
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
    if arrival.from.is_some() {
        return response;
    }
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let written_at = text(&HOME).and_then(|home| home.parse().ok());
    let revision = revision(headers);
    strip(headers);
    if let Some(revision) = revision.filter(|_| writes && response.status().is_success()) {
        let home = written_at.unwrap_or(home);
        let seen = services.sites.caught_up(home, revision, OWN_WRITES).await;
        tracing::debug!(%home, revision, seen, "a write was made at another site");
    }
    response
}

/// The revision at which an answer with these headers holds at the site that gave it.
fn revision(headers: &HeaderMap) -> Option<u64> {
    headers.get(&REVISION)?.to_str().ok()?.parse().ok()
}

/// Asks `home` for what `uri` names, with the token in `headers`, and waits until the copy of it is
/// here; whether it is. For what a request needs and is not here yet.
pub(crate) async fn fetch(
    services: &Services,
    home: SitePrefix,
    uri: Uri,
    headers: &HeaderMap,
) -> bool {
    let reachable = |view: &SiteView| view.site == home && view.reachable;
    if !services.sites.all().iter().any(reachable) || !may_show(services, home, headers) {
        return false;
    }
    let token = headers.get("x-auth-token").cloned();
    let alone = HeaderValue::from_static("1");
    let shown = token.map(|token| (HeaderName::from_static("x-auth-token"), token));
    let head = Head {
        method: Method::GET,
        uri,
        headers: shown.into_iter().chain([(ALONE.clone(), alone)]).collect(),
    };
    let body = ForwardedBody::Whole(Bytes::new());
    let answer = match once(services, home, &head, body, None, OWN_WRITES).await {
        Ok(answer) if answer.status().is_success() => answer,
        _ => return false,
    };
    match revision(answer.headers()) {
        Some(revision) => services.sites.caught_up(home, revision, OWN_WRITES).await,
        None => false,
    }
}

fn new_operation(services: &Services) -> OperationSeed {
    let mut drawn = Drawn(&*services.random);
    let id = OpId::born_at(services.site, &mut drawn);
    let mut seed = [0u8; 32];
    drawn.fill(&mut seed);
    OperationSeed { id, seed }
}

/// The name of a site, or its prefix if it is not known.
pub(crate) fn name_of(services: &Services, site: SitePrefix) -> String {
    let all = services.sites.all();
    let found = all.into_iter().find(|view| view.site == site);
    found.map_or_else(|| site.to_string(), |view| view.name)
}

/// Asks `sites` the same at once, each for what it has itself; an answer, or nothing if there was
/// none in time. For reads.
pub(crate) async fn ask_each(
    services: &Services,
    sites: Vec<SiteView>,
    head: &Head,
    patience: Duration,
) -> Vec<(SiteView, Option<Response<Body>>)> {
    let mut head = head.clone();
    head.headers.insert(&ALONE, HeaderValue::from_static("1"));
    let head = &head;
    let asked = sites.into_iter().map(|view| async move {
        if !may_show(services, view.site, &head.headers) {
            return (view, None);
        }
        let body = ForwardedBody::Whole(Bytes::new());
        let answer = once(services, view.site, head, body, None, patience).await;
        let answer = answer.ok().map(|mut response| {
            strip(response.headers_mut());
            response
        });
        (view, answer)
    });
    join_all(asked).await
}
