//! Where requests of other sites come in: some of their answers are lost or late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures::future::pending;
use http::StatusCode;
use luc::sites::assembly::Assembly;
use luc_core::id::OpId;
use luc_runtime::fabric::{Channel, Handler, Peer, RecvHalf, Refusal, SendHalf};
use luc_services::Services;
use luc_services::ports::Drawn;
use luc_services::routing::FromSite;
use serde_json::{Value, json};

use crate::broken::Rule;

/// Where sites speak of what they lend each other.
const LEASES: &str = "/luc/v1/leases";

/// What happens to the next answers that a site gives to others.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    /// How many of the next answers vanish after the request was carried out.
    pub(crate) vanish: AtomicU64,
    /// By how many milliseconds the next answer is late.
    pub(crate) late_ms: AtomicU64,
    /// How many answers were lost.
    pub(crate) lost: AtomicU64,
    /// What is not kept here.
    pub(crate) broken: Option<Rule>,
}

#[derive(Clone)]
struct Inside {
    services: Arc<Services>,
    doors: Arc<Doors>,
}

/// What a site answers to other sites.
pub(crate) fn router(services: Arc<Services>, doors: Arc<Doors>) -> Router {
    let inside = Inside { services, doors };
    Router::new().fallback(answer).with_state(inside)
}

async fn answer(State(inside): State<Inside>, mut request: Request) -> Response {
    let Inside { services, doors } = inside;
    let from = request.extensions_mut().get_mut::<FromSite>();
    let mut writes = false;
    if let Some(operation) = from.and_then(|from| from.operation.as_mut()) {
        writes = true;
        if doors.broken == Some(Rule::OutcomesForgotten) {
            operation.id = OpId::born_at(services.site, &mut Drawn(&*services.random));
        }
    }
    if request.uri().path() == LEASES {
        writes = true;
        let (claimed, as_it_was) = claimed(request, doors.broken).await;
        if let Some(claimed) = claimed {
            return claimed;
        }
        request = as_it_was;
    }
    let mut answered = luc_services::http::respond(&services, request).await;
    if writes && doors.broken == Some(Rule::UserBlocksMadeUp) {
        answered = match answered {
            Some(answered) => Some(with_more(answered).await),
            None => None,
        };
    }
    if writes && taken(&doors.vanish) {
        doors.lost.fetch_add(1, Ordering::Relaxed);
        return pending().await;
    }
    let late = doors.late_ms.swap(0, Ordering::Relaxed);
    if late > 0 {
        tokio::time::sleep(Duration::from_millis(late)).await;
    }
    answered.unwrap_or_else(|| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    })
}

/// What a site that keeps no word answers when it is to give back what it was lent, or is told of
/// limits; and the request as it was.
async fn claimed(request: Request, broken: Option<Rule>) -> (Option<Response>, Request) {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20)
        .await
        .unwrap_or_default();
    let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let mut granted = said["give_back"]["granted"].clone();
    let claim = match (broken, granted["epoch"].as_u64()) {
        (Some(Rule::BlocksKept), Some(_)) => Some(granted),
        (Some(Rule::BlocksGivenBackInWords), Some(epoch)) => {
            granted = json!({"epoch": epoch + 1, "share": {}});
            Some(granted)
        }
        (Some(Rule::LimitsHeardInWords), None) if said["closed"].is_object() => {
            let nothing = json!({"epoch": 0, "share": {}});
            Some(json!({"bound": nothing, "limits": {}, "stranger": true}))
        }
        _ => None,
    };
    let answer = claim.map(|claim| Response::new(Body::from(claim.to_string())));
    (answer, Request::from_parts(parts, Body::from(bytes)))
}

/// What a home says that grants more to users than it has written down.
async fn with_more(answered: Response) -> Response {
    let (mut parts, body) = answered.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20)
        .await
        .unwrap_or_default();
    let Ok(mut said) = serde_json::from_slice::<Value>(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    let share = said["granted"]["share"].as_object_mut();
    for (_, count) in share
        .into_iter()
        .flatten()
        .filter(|(item, _)| item.contains('@'))
    {
        *count = json!(count.as_u64().unwrap_or_default() + 3);
    }
    parts.headers.remove(http::header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(said.to_string()))
}

/// Takes one of what is counted; false if there is none.
fn taken(count: &AtomicU64) -> bool {
    let less = |left: u64| left.checked_sub(1);
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}

/// A site that says that it has promised, and forgets it.
pub(crate) struct Careless(pub(crate) Arc<Assembly>);

#[async_trait]
impl Handler for Careless {
    async fn request(&self, from: Peer, channel: Channel, body: Bytes) -> Result<Bytes, Refusal> {
        let question: Value = serde_json::from_slice(&body).unwrap_or_default();
        if question["promise"].is_object() {
            return Ok(Bytes::from_static(b"{\"promised\": []}"));
        }
        self.0.request(from, channel, body).await
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, _: Peer, _: Channel, _: SendHalf, _: RecvHalf) {}

    fn rtt(&self, peer: Peer, sample: Duration) {
        self.0.rtt(peer, sample);
    }
}
