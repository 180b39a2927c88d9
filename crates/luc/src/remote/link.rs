//! The way from a compute-only node to a controller of its site: over the fabric, or for a node
//! that has not joined by plain HTTP with the site's join secret.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{Request, Response};
use luc_api::value::Secret;
use luc_core::SitePrefix;
use luc_runtime::fabric::{Channel, Fabric};
use tokio::time::Instant;

use super::SECRET_HEADER;
use crate::sites::Membership;

/// A way to the controller.
#[derive(Clone)]
pub enum Link {
    /// Over the fabric to any controller of the site; both sides have proven who they are.
    Fabric {
        /// The node's end.
        fabric: Arc<dyn Fabric>,
        /// Who the controllers are.
        membership: Arc<Membership>,
        /// The node's site.
        site: SitePrefix,
    },
    /// Over a network that the operator trusts.
    Plain {
        /// The client.
        http: reqwest::Client,
        /// The controller's URL, without a path.
        url: String,
        /// What is shown to it.
        secret: Secret,
    },
}

impl Link {
    /// The plain way to the controller at `url`.
    pub fn plain(url: &str, secret: Secret) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .build()?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self::Plain { http, url, secret })
    }

    /// Asks the controller as this node; the path begins with a slash.
    pub async fn ask(
        &self,
        mut request: Request<Body>,
        patience: Duration,
    ) -> Result<Response<Body>, String> {
        if let Self::Plain { secret, .. } = self {
            let secret = secret.reveal().parse();
            let secret = secret.map_err(|_| "the join secret is no header".to_owned())?;
            request.headers_mut().insert(SECRET_HEADER, secret);
        }
        self.hand_on(request, patience).await
    }

    /// Hands somebody else's request on; its answer's head must be there within `patience`.
    pub async fn hand_on(
        &self,
        request: Request<Body>,
        patience: Duration,
    ) -> Result<Response<Body>, String> {
        match self {
            Self::Fabric {
                fabric,
                membership,
                site,
            } => {
                let deadline = Instant::now() + patience;
                let mut reason = "no controller of this site is known".to_owned();
                for key in membership.controllers(*site) {
                    let opened =
                        luc_runtime::http::open(&**fabric, key, Channel::FORWARD, deadline);
                    match opened.await {
                        Ok(opened) => {
                            let sent = opened.send(request, deadline).await;
                            return sent.map_err(|error| error.to_string());
                        }
                        Err(error) => reason = error.to_string(),
                    }
                }
                Err(reason)
            }
            Self::Plain { http, url, .. } => plainly(http, url, request, patience).await,
        }
    }
}

async fn plainly(
    http: &reqwest::Client,
    url: &str,
    request: Request<Body>,
    patience: Duration,
) -> Result<Response<Body>, String> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let sent = http
        .request(parts.method, format!("{url}{path}"))
        .headers(parts.headers)
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send();
    let answer = tokio::time::timeout(patience, sent).await;
    let answer = answer.map_err(|_| "no answer in time".to_owned())?;
    let answer = answer.map_err(|error| error.to_string())?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove(TRANSFER_ENCODING);
    response.headers_mut().remove(CONNECTION);
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    Ok(response)
}
