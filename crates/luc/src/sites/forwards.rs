//! Requests that another site or a compute-only node of this site hands on: HTTP over streams of
//! [`Channel::FORWARD`], served by the same router as the API port.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
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
    routers: ArcSwapOption<Routers>,
}

/// What is answered to whom.
struct Routers {
    /// To the nodes of this site.
    own: Router,
    /// To the controllers of other sites.
    others: Router,
}

impl Forwards {
    /// For a node of `site`; serves nothing before [`Self::serve`].
    pub fn new(site: SitePrefix, membership: Arc<Membership>) -> Self {
        Self {
            site,
            membership,
            routers: ArcSwapOption::empty(),
        }
    }

    /// Answers the nodes of this site with `own` and other sites with `others` from now on.
    pub fn serve(&self, own: Router, others: Router) {
        self.routers.store(Some(Arc::new(Routers { own, others })));
    }

    /// Answers nobody any more, and lets go of what the routers hold.
    pub fn close(&self) {
        self.routers.store(None);
    }
}

#[async_trait]
impl Handler for Forwards {
    async fn request(&self, _: Peer, _: Channel, _: Bytes) -> Result<Bytes, Refusal> {
        Err(Refusal::UnknownChannel)
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, from: Peer, _: Channel, send: SendHalf, recv: RecvHalf) {
        let (Some(routers), Some(peer)) = (self.routers.load_full(), from.id()) else {
            return;
        };
        let site = peer.site;
        if site == self.site {
            luc_runtime::http::serve(from, send, recv, routers.own.clone()).await;
        } else if self.membership.controllers(site).contains(&from.key) {
            let marked = axum::middleware::from_fn(move |request: Request, next: Next| {
                mark(site, request, next)
            });
            let router = routers.others.clone().layer(marked);
            luc_runtime::http::serve(from, send, recv, router).await;
        }
    }
}

/// Says which site hands `request` on, and under which operation.
async fn mark(site: SitePrefix, request: Request, next: Next) -> Response {
    match wire::received(site, request) {
        Ok(request) => next.run(request).await,
        Err(error) => (StatusCode::BAD_REQUEST, Body::from(error.to_string())).into_response(),
    }
}
