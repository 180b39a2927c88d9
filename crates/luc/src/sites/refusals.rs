//! What members of the cloud asked of this site between nodes and did not get: counted each time,
//! logged once for each site and kind of refusal, so that a member in the wrong hands floods no
//! log.
//!
//! Not here: strangers ([`super::doorman`]), what the fabric itself refuses (it logs once, too),
//! and what clients are refused whose requests were only handed on (those are ordinary answers).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use luc_core::SitePrefix;
use luc_services::routing::FromSite;

use crate::metrics::Metrics;

/// Where nodes speak to each other.
const BETWEEN: &str = "/luc/v1/";

/// How many kinds are remembered as logged; more are only counted.
const LOGGED_MAX: usize = 1024;

/// What was logged.
#[derive(Default)]
struct Logged(Mutex<BTreeSet<(SitePrefix, u16)>>);

impl Logged {
    fn is_news(&self, site: SitePrefix, status: u16) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logged.len() < LOGGED_MAX && logged.insert((site, status))
    }
}

/// `router`, with what it refuses to other sites noted in `metrics` and, once, in the log.
pub fn noted(router: Router, metrics: &Arc<Metrics>) -> Router {
    let (metrics, logged) = (Arc::clone(metrics), Arc::new(Logged::default()));
    router.layer(from_fn(move |request: Request, next: Next| {
        note(Arc::clone(&metrics), Arc::clone(&logged), (request, next))
    }))
}

async fn note(metrics: Arc<Metrics>, logged: Arc<Logged>, call: (Request, Next)) -> Response {
    let (request, next) = call;
    let from = request.extensions().get::<FromSite>();
    let between = request.uri().path().starts_with(BETWEEN);
    let asked = from
        .filter(|_| between)
        .map(|from| (from.site, request.uri().path().to_owned()));
    let answer = next.run(request).await;
    if let (Some((site, path)), true) = (asked, answer.status().is_client_error()) {
        let status = answer.status().as_u16();
        metrics.refused_site(status);
        if logged.is_news(site, status) {
            tracing::warn!(%site, status, path, "a site was refused (logged once)");
        }
    }
    answer
}
