//! Requests that another site or a compute-only node of this site hands on: HTTP over streams of
//! [`Channel::FORWARD`], served by the same router as the API port.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use luc_core::SitePrefix;
use luc_runtime::fabric::{Channel, Handler, Peer, RecvHalf, Refusal, SendHalf};
use luc_services::routing::wire;

use super::membership::Membership;

/// Serves what comes in.
pub struct Forwards {
    site: SitePrefix,
    membership: Arc<Membership>,
    router: OnceLock<Router>,
}

impl Forwards {
    /// For a node of `site`; serves nothing before [`Self::serve`].
    pub fn new(site: SitePrefix, membership: Arc<Membership>) -> Self {
        Self {
            site,
            membership,
            router: OnceLock::new(),
        }
    }

    /// Answers with `router` from now on.
    pub fn serve(&self, router: Router) {
        // A second router would be a programming error that changes nothing.
        let _ = self.router.set(router);
    }
}

#[async_trait]
impl Handler for Forwards {
    async fn request(&self, _: Peer, _: Channel, _: Bytes) -> Result<Bytes, Refusal> {
        Err(Refusal::UnknownChannel)
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, from: Peer, _: Channel, send: SendHalf, recv: RecvHalf) {
        let (Some(router), Some(peer)) = (self.router.get(), from.id()) else {
            return;
        };
        // A node of this site hands on what clients asked it; a controller of another site says
        // that it forwards, under which operation.
        let (site, own) = (peer.site, self.site);
        let controller = self.membership.controllers(site).contains(&from.key);
        if site != own && !controller {
            return;
        }
        let marked = axum::middleware::from_fn(move |request: Request, next: Next| {
            mark(site, own, request, next)
        });
        luc_runtime::http::serve(from, send, recv, router.clone().layer(marked)).await;
    }
}

async fn mark(site: SitePrefix, own: SitePrefix, request: Request, next: Next) -> Response {
    if site == own {
        return next.run(request).await;
    }
    match wire::received(site, request) {
        Ok(request) => next.run(request).await,
        Err(error) => (StatusCode::BAD_REQUEST, Body::from(error.to_string())).into_response(),
    }
}
