//! The controller's side: serves the agent's port to compute-only nodes of its site, and asks them
//! for what only they know.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode};
use luc_agent::controller::{Controller as _, ControllerError, ImageData, Images as _};
use luc_agent::observed::Observed;
use luc_api::value::Secret;
use luc_core::id::{ImageId, ServerId};
use luc_services::Services;
use luc_services::compute::ports::AskError;
use serde::Deserialize;
use serde_json::Value;

use super::node::refuse;
use super::wire::{Alive, Change, Console, Refusal, VERSION, Wishes};
use super::{SECRET_HEADER, WAIT, shows};
use crate::agents::{Followed, LocalController};

/// A report of a whole host fits; nothing larger is read.
const BODY_LENGTH_MAX: usize = 64 << 20;

/// What the controller's routes need.
#[derive(Clone)]
pub struct ControllerSide {
    /// The services.
    pub services: Arc<Services>,
    /// Where the nodes are reached, learnt from their heartbeats.
    pub hosts: Arc<RemoteHosts>,
    /// The site's join secret.
    pub secret: Secret,
}

/// The routes under `/luc/v1/hosts` for compute-only nodes.
pub fn controller_router(side: ControllerSide) -> Router {
    Router::new()
        .route("/luc/v1/hosts/{host}/wishes", get(wishes))
        .route("/luc/v1/hosts/{host}/reports", post(reports))
        .route("/luc/v1/hosts/{host}/heartbeat", post(heartbeat))
        .route("/luc/v1/hosts/{host}/images/{image}", get(image))
        .layer(DefaultBodyLimit::max(BODY_LENGTH_MAX))
        .with_state(side)
}

impl ControllerSide {
    #[expect(
        clippy::result_large_err,
        reason = "a refusal is an answer; it is made once a request"
    )]
    fn controller(&self, host: &str, headers: &HeaderMap) -> Result<LocalController, Response> {
        if !shows(headers, &self.secret) {
            tracing::warn!(host, "a node was refused: its join secret is wrong");
            let reason = "the join secret is wrong".to_owned();
            return Err(refuse(StatusCode::UNAUTHORIZED, reason));
        }
        Ok(LocalController::new(Arc::clone(&self.services), host))
    }
}

#[derive(Deserialize)]
struct After {
    after: Option<u64>,
}

async fn wishes(
    State(side): State<ControllerSide>,
    Path(host): Path<String>,
    Query(asked): Query<After>,
    headers: HeaderMap,
) -> Response {
    let controller = match side.controller(&host, &headers) {
        Ok(controller) => controller,
        Err(refusal) => return refusal,
    };
    let answer = match asked.after {
        None => {
            let (revision, snapshot) = controller.wanted();
            let snapshot = snapshot.iter().map(|wish| wish.as_ref().clone()).collect();
            Wishes {
                version: VERSION,
                revision,
                snapshot: Some(snapshot),
                changes: Vec::new(),
                reload: false,
            }
        }
        Some(after) => changes(&controller, after).await,
    };
    axum::Json(answer).into_response()
}

/// Waits for changes after `after`.
async fn changes(controller: &LocalController, after: u64) -> Wishes {
    let mut answer = Wishes {
        version: VERSION,
        revision: after,
        snapshot: None,
        changes: Vec::new(),
        reload: false,
    };
    let mut followed = controller.follow(after);
    let waited = tokio::time::timeout(WAIT, followed.next()).await;
    let Ok(mut next) = waited else { return answer };
    loop {
        match next {
            None | Some(Followed::Lost) => {
                answer.reload = true;
                return answer;
            }
            Some(Followed::Commit { revision, wants }) => {
                answer.revision = revision;
                answer
                    .changes
                    .extend(wants.into_iter().map(|(id, wish)| match wish {
                        Some(wish) => Change::Want(Box::new(wish.as_ref().clone())),
                        None => Change::Forget(id),
                    }));
            }
        }
        // What has piled up goes in one answer; commits of others keep the revision moving.
        let more = if answer.changes.is_empty() {
            WAIT
        } else {
            Duration::from_millis(1)
        };
        match tokio::time::timeout(more, followed.next()).await {
            Ok(following) if answer.changes.len() < 1000 => next = following,
            _ => return answer,
        }
    }
}

async fn reports(
    State(side): State<ControllerSide>,
    Path(host): Path<String>,
    headers: HeaderMap,
    axum::Json(reports): axum::Json<Vec<Observed>>,
) -> Response {
    match side.controller(&host, &headers) {
        Ok(controller) => done(controller.report(reports).await),
        Err(refusal) => refusal,
    }
}

async fn heartbeat(
    State(side): State<ControllerSide>,
    Path(host): Path<String>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    axum::Json(alive): axum::Json<Alive>,
) -> Response {
    let controller = match side.controller(&host, &headers) {
        Ok(controller) => controller,
        Err(refusal) => return refusal,
    };
    if alive.version != VERSION {
        let reason = format!(
            "this node speaks version {} of the conversation, the controller {VERSION}",
            alive.version
        );
        return refuse(StatusCode::CONFLICT, reason);
    }
    let reached = SocketAddr::new(from.ip(), alive.reached_at.port());
    side.hosts.learn(&host, reached);
    let controller = controller.reached_at(from.ip()).with_ratios(alive.ratios);
    done(controller.heartbeat(alive.heartbeat).await)
}

async fn image(
    State(side): State<ControllerSide>,
    Path((host, image)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let controller = match side.controller(&host, &headers) {
        Ok(controller) => controller,
        Err(refusal) => return refusal,
    };
    let id = match ImageId::parse(&image) {
        Ok(id) => id,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error.to_string()),
    };
    match controller.image(&id).await {
        Ok(ImageData::File(path)) => match tokio::fs::File::open(&path).await {
            Ok(file) => {
                let stream = tokio_util::io::ReaderStream::with_capacity(file, 1 << 18);
                Response::new(Body::from_stream(stream))
            }
            Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
        Ok(ImageData::Stream(stream)) => Response::new(Body::from_stream(stream)),
        Err(error) => done(Err(error)),
    }
}

fn done(outcome: Result<(), ControllerError>) -> Response {
    match outcome {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error @ ControllerError::Unavailable { .. }) => {
            refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        }
        Err(error @ ControllerError::Refused { .. }) => {
            refuse(StatusCode::CONFLICT, error.to_string())
        }
    }
}

/// Where compute-only nodes are reached.
pub struct RemoteHosts {
    http: reqwest::Client,
    secret: Secret,
    addresses: Mutex<BTreeMap<String, SocketAddr>>,
}

impl RemoteHosts {
    /// No node known yet.
    pub fn new(secret: Secret) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self {
            http,
            secret,
            addresses: Mutex::default(),
        })
    }

    fn learn(&self, host: &str, address: SocketAddr) {
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if addresses.insert(host.to_owned(), address) != Some(address) {
            tracing::info!(host, %address, "a compute node has joined");
        }
    }

    /// The serial console of a machine on another node.
    pub async fn console(
        &self,
        host: &str,
        server: &ServerId,
        lines: Option<u64>,
    ) -> Result<String, AskError> {
        let lines = lines
            .map(|lines| format!("?lines={lines}"))
            .unwrap_or_default();
        let answer = self.ask(host, server, &format!("console{lines}")).await?;
        let console: Console =
            serde_json::from_value(answer).map_err(|error| AskError::Failed {
                host: host.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(console.output)
    }

    /// Measurements of a machine on another node.
    pub async fn diagnostics(&self, host: &str, server: &ServerId) -> Result<Value, AskError> {
        self.ask(host, server, "stats").await
    }

    async fn ask(&self, host: &str, server: &ServerId, what: &str) -> Result<Value, AskError> {
        let address = {
            let addresses = self
                .addresses
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            addresses.get(host).copied()
        };
        let unreachable = || AskError::Unreachable {
            host: host.to_owned(),
        };
        let address = address.ok_or_else(unreachable)?;
        let url = format!("http://{address}/luc/v1/machines/{server}/{what}");
        let request = self
            .http
            .get(url)
            .header(SECRET_HEADER, self.secret.reveal());
        let answer = request.send().await.map_err(|_| unreachable())?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND {
            return Err(AskError::NoSuchServer {
                host: host.to_owned(),
                server: server.clone(),
            });
        }
        if !status.is_success() {
            let refusal: Option<Refusal> = answer.json().await.ok();
            let reason = refusal.map_or_else(|| status.to_string(), |refusal| refusal.reason);
            return Err(AskError::Failed {
                host: host.to_owned(),
                reason,
            });
        }
        answer.json().await.map_err(|error| AskError::Failed {
            host: host.to_owned(),
            reason: error.to_string(),
        })
    }
}
