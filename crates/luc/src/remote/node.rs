//! The compute-only node's own port: answers the controller about its machines, and hands every
//! request to the cloud's API on to the controller, so that any node answers for the cloud.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use luc_agent::agent::Agent;
use luc_api::value::Secret;
use luc_core::id::ServerId;
use serde::Deserialize;

use super::shows;
use super::wire::{Console, Refusal};

/// What the node's port needs.
pub struct NodeSide {
    /// The node's agent.
    pub agent: Arc<Agent>,
    /// The controller's URL.
    pub controller: String,
    /// The site's join secret.
    pub secret: Secret,
    /// For handing requests on.
    pub http: reqwest::Client,
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
    headers: HeaderMap,
) -> Response {
    let id = match allowed(&side, &headers, &server) {
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
    headers: HeaderMap,
) -> Response {
    let id = match allowed(&side, &headers, &server) {
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
fn allowed(side: &NodeSide, headers: &HeaderMap, server: &str) -> Result<ServerId, Response> {
    if !shows(headers, &side.secret) {
        return Err(refuse(
            StatusCode::UNAUTHORIZED,
            "the join secret is wrong".to_owned(),
        ));
    }
    ServerId::parse(server).map_err(|error| refuse(StatusCode::BAD_REQUEST, error.to_string()))
}

pub(super) fn refuse(status: StatusCode, reason: String) -> Response {
    (status, axum::Json(Refusal { reason })).into_response()
}

/// Hands a request on to the controller and its answer back, both streamed.
async fn hand_on(State(side): State<Arc<NodeSide>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |whole| whole.as_str());
    let url = format!("{}{path}", side.controller.trim_end_matches('/'));
    if let Some(host) = parts.headers.remove(header::HOST) {
        // Links in the answer name the node that was asked.
        parts.headers.entry("x-forwarded-host").or_insert(host);
    }
    parts.headers.remove(header::CONNECTION);
    parts.headers.remove(super::SECRET_HEADER);
    let asked = side
        .http
        .request(parts.method, url)
        .headers(parts.headers)
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send()
        .await;
    match asked {
        Ok(answer) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            response.headers_mut().remove(header::TRANSFER_ENCODING);
            response.headers_mut().remove(header::CONNECTION);
            *response.body_mut() = Body::from_stream(answer.bytes_stream());
            response
        }
        Err(error) => {
            let message = format!("The controller of this site cannot be reached: {error}");
            let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, message);
            let later = http::HeaderValue::from_static("5");
            response.headers_mut().insert(header::RETRY_AFTER, later);
            response
        }
    }
}
