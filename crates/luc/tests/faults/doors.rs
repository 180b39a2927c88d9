//! Where requests of other sites come in: some of their answers are lost or late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::future::pending;
use http::StatusCode;
use luc_core::id::OpId;
use luc_services::Services;
use luc_services::ports::Drawn;
use luc_services::routing::FromSite;

/// What happens to the next answers that a site gives to others.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    /// How many of the next answers vanish after the request was carried out.
    pub(crate) vanish: AtomicU64,
    /// By how many milliseconds the next answer is late.
    pub(crate) late_ms: AtomicU64,
    /// How many answers were lost.
    pub(crate) lost: AtomicU64,
    /// The home remembers no operation: each arrival is a new one.
    pub(crate) forgetful: bool,
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
        if doors.forgetful {
            operation.id = OpId::born_at(services.site, &mut Drawn(&*services.random));
        }
    }
    let answered = luc_services::http::respond(&services, request).await;
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

/// Takes one of what is counted; false if there is none.
fn taken(count: &AtomicU64) -> bool {
    let less = |left: u64| left.checked_sub(1);
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}
