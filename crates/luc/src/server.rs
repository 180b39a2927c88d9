//! The node's HTTP port: OpenStack services, health, metrics, and a page that says what this is.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use luc_api::Service;
use luc_services::Services;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::readiness::Readiness;

/// What the port needs.
#[derive(Clone)]
pub struct Front {
    /// The services.
    pub services: Arc<Services>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Whether the controller can take work.
    pub readiness: Arc<Readiness>,
    /// Cancelled when the node begins to stop: it is then no longer ready.
    pub stopping: CancellationToken,
}

/// A bound port that is not served yet.
pub struct Bound {
    listener: TcpListener,
    /// The address, with the port that was taken for port 0.
    pub address: SocketAddr,
}

/// Binds `address`; the error says what to do when it is taken.
pub async fn bind(address: SocketAddr) -> anyhow::Result<Bound> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("listening on {address}: choose another with --listen or `api.listen`")
    })?;
    let address = listener
        .local_addr()
        .context("reading the port that was bound")?;
    Ok(Bound { listener, address })
}

/// Serves `router` until `stopping` is cancelled, then finishes the requests under way.
pub async fn serve(
    bound: Bound,
    router: Router,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    let listener = axum::serve::ListenerExt::tap_io(bound.listener, |stream| {
        // Answers are small and awaited: do not hold them back.
        let _ = stream.set_nodelay(true);
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(stopping.cancelled_owned())
        .await
        .context("serving the API")
}

/// Everything that a controller answers.
pub fn router(front: Front) -> Router {
    Router::new()
        .route("/", get(front_page))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .fallback(openstack)
        .with_state(front)
}

async fn openstack(State(front): State<Front>, request: Request) -> Response {
    let response = luc_services::http::respond(&front.services, request).await;
    response.unwrap_or_else(|| {
        let message = "There is nothing here. The services are listed at /.";
        let body = json!({"error": {"code": 404, "title": "Not Found", "message": message}});
        (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
    })
}

/// What answers here, for people and programs that ask without knowing.
async fn front_page() -> Response {
    let services: serde_json::Map<String, serde_json::Value> = Service::ALL
        .iter()
        .map(|service| {
            let facts = service.facts();
            (facts.catalog_type.to_owned(), json!(facts.prefix))
        })
        .collect();
    let body = json!({
        "name": "LUC OS",
        "version": env!("CARGO_PKG_VERSION"),
        "services": services,
        "health": ["/healthz", "/readyz"],
        "metrics": "/metrics",
    });
    axum::Json(body).into_response()
}

async fn readiness(State(front): State<Front>) -> Response {
    if front.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match front.readiness.trouble().await {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n").into_response(),
    }
}

async fn metrics(State(front): State<Front>) -> Response {
    let revision = front.services.store.snapshot().revision();
    front
        .metrics
        .store_revision
        .set(i64::try_from(revision.number()).unwrap_or(i64::MAX));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut response = Response::new(Body::from(front.metrics.text()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
