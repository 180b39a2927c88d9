//! The compute-only node's own port: answers the controller about its machines, and hands every
//! request to the cloud's API on to the controller, so that any node answers for the cloud.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::{HeaderMap, StatusCode, header};
use luc_agent::agent::Agent;
use luc_core::id::ServerId;
use luc_runtime::fabric::Peer;
use serde::Deserialize;

use super::wire::{Console, Refusal};
use super::{Link, shows};

/// How long the controller may take to begin an answer.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the node's port needs.
pub struct NodeSide {
    /// The node's agent.
    pub agent: Arc<Agent>,
    /// The way to the controller.
    pub link: Link,
}

/// The routes of a compute-only node.
pub fn node_router(side: NodeSide) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/luc/v1/machines/{server}/console", get(console))
        .route("/luc/v1/machines/{server}/stats", get(stats))
        .fallback(hand_on)
        .with_state(Arc::new(side))
}

#[derive(Deserialize)]
struct Lines {
    lines: Option<usize>,
}

async fn console(
    State(side): State<Arc<NodeSide>>,
    Path(server): Path<String>,
    Query(asked): Query<Lines>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    let id = match allowed(&side, &headers, peer, &server) {
        Ok(id) => id,
        Err(refusal) => return refusal,
    };
    match side.agent.console(&id, asked.lines).await {
        Ok(output) => axum::Json(Console { output }).into_response(),
        Err(error) => refuse(StatusCode::NOT_FOUND, error.to_string()),
    }
}

async fn stats(
    State(side): State<Arc<NodeSide>>,
    Path(server): Path<String>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    let id = match allowed(&side, &headers, peer, &server) {
        Ok(id) => id,
        Err(refusal) => return refusal,
    };
    match side.agent.stats(&id).await {
        Ok(stats) => axum::Json(crate::agents::diagnostics(&stats)).into_response(),
        Err(error) => refuse(StatusCode::NOT_FOUND, error.to_string()),
    }
}

#[expect(
    clippy::result_large_err,
    reason = "a refusal is an answer; it is made once a request"
)]
fn allowed(
    side: &NodeSide,
    headers: &HeaderMap,
    peer: Option<Extension<Peer>>,
    server: &str,
) -> Result<ServerId, Response> {
    let known = match (&side.link, peer) {
        (
            Link::Fabric {
                membership, site, ..
            },
            Some(Extension(peer)),
        ) => membership.controllers(*site).contains(&peer.key),
        (Link::Plain { secret, .. }, _) => shows(headers, secret),
        (Link::Fabric { .. }, None) => false,
    };
    if !known {
        let reason = "only a controller of this site may ask".to_owned();
        return Err(refuse(StatusCode::UNAUTHORIZED, reason));
    }
    ServerId::parse(server).map_err(|error| refuse(StatusCode::BAD_REQUEST, error.to_string()))
}

pub(super) fn refuse(status: StatusCode, reason: String) -> Response {
    (status, axum::Json(Refusal { reason })).into_response()
}

/// Hands a request on to the controller and its answer back, both streamed.
async fn hand_on(State(side): State<Arc<NodeSide>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    if parts.uri.path().starts_with(super::HOSTS) {
        // The controller would take it for the word of this node itself.
        let reason = "only the node itself speaks of its machines".to_owned();
        return refuse(StatusCode::NOT_FOUND, reason);
    }
    if let Some(host) = parts.headers.remove(header::HOST) {
        // Links in the answer name the node that was asked.
        parts.headers.entry("x-forwarded-host").or_insert(host);
    }
    parts.headers.remove(header::CONNECTION);
    parts.headers.remove(super::SECRET_HEADER);
    let request = Request::from_parts(parts, body);
    match side.link.hand_on(request, PATIENCE).await {
        Ok(answer) => answer,
        Err(reason) => {
            let message = format!("The controller of this site cannot be reached: {reason}");
            let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, message);
            let later = http::HeaderValue::from_static("5");
            response.headers_mut().insert(header::RETRY_AFTER, later);
            response
        }
    }
}
