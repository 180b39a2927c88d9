//! The controller's side: serves the agent's port to compute-only nodes of its site, and asks them
//! for what only they know.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode};
use luc_agent::controller::{Controller as _, ControllerError, ImageData, Images as _};
use luc_agent::observed::Observed;
use luc_api::value::Secret;
use luc_core::id::{ImageId, ServerId};
use luc_runtime::NodeKey;
use luc_runtime::fabric::{Channel, Fabric, Peer};
use luc_services::Services;
use luc_services::compute::ports::AskError;
use serde::Deserialize;
use serde_json::Value;

use super::node::refuse;
use super::wire::{Alive, Begin, Builds, Change, Console, Heard, Refusal, VERSION, Wishes};
use super::{SECRET_HEADER, WAIT, shows};
use crate::agents::{Followed, LocalController};
use crate::sites::Membership;

/// A report of a whole host fits; nothing larger is read.
const BODY_LENGTH_MAX: usize = 64 << 20;

/// How long a node may take to answer about a machine.
const ASKED: Duration = Duration::from_secs(10);

/// What the controller's routes need.
#[derive(Clone)]
pub struct ControllerSide {
    /// The services.
    pub services: Arc<Services>,
    /// Where the nodes are reached, learnt from their heartbeats.
    pub hosts: Arc<RemoteHosts>,
    /// The site's join secret.
    pub secret: Secret,
    /// Who is of the cloud.
    pub membership: Arc<Membership>,
}

/// The routes under `/luc/v1/hosts` for compute-only nodes.
pub fn controller_router(side: ControllerSide) -> Router {
    Router::new()
        .route("/luc/v1/hosts/{host}/wishes", get(wishes))
        .route("/luc/v1/hosts/{host}/begin", post(begin))
        .route("/luc/v1/hosts/{host}/reports", post(reports))
        .route("/luc/v1/hosts/{host}/heartbeat", post(heartbeat))
        .route("/luc/v1/hosts/{host}/images/{image}", get(image))
        .route("/luc/v1/hosts/{host}/members", get(members))
        .route("/luc/v1/hosts/{host}/addresses", post(addresses))
        .layer(DefaultBodyLimit::max(BODY_LENGTH_MAX))
        .with_state(side)
}

impl ControllerSide {
    #[expect(
        clippy::result_large_err,
        reason = "a refusal is an answer; it is made once a request"
    )]
    fn controller(
        &self,
        host: &str,
        headers: &HeaderMap,
        peer: Known,
    ) -> Result<LocalController, Response> {
        let known = match &peer {
            Some(Extension(peer)) => self.is_node(host, peer),
            None => shows(headers, &self.secret),
        };
        if !known {
            tracing::warn!(
                host,
                "a node was refused: it does not prove that it is this host"
            );
            let reason = "the join secret is wrong, or the key is another node's".to_owned();
            return Err(refuse(StatusCode::UNAUTHORIZED, reason));
        }
        Ok(LocalController::new(Arc::clone(&self.services), host))
    }

    /// Whether `peer` is the node called `host` of this site.
    fn is_node(&self, host: &str, peer: &Peer) -> bool {
        let own = self.services.site;
        let key = peer.key.to_string();
        peer.id().is_some_and(|id| id.site == own)
            && self.membership.with(|members| {
                let nodes = members.site(own).map(|own| own.nodes.as_slice());
                let mut nodes = nodes.unwrap_or_default().iter();
                nodes.any(|node| node.key == key && node.name == host)
            })
    }
}

/// Who asks over the fabric; `None` where somebody asks at the API port.
type Known = Option<Extension<Peer>>;

async fn members(
    State(side): State<ControllerSide>,
    Path(host): Path<String>,
    peer: Known,
    headers: HeaderMap,
) -> Response {
    match side.controller(&host, &headers, peer) {
        Ok(_) => axum::Json(side.membership.members()).into_response(),
        Err(refusal) => refusal,
    }
}

/// A node says where the fabric reaches it.
async fn addresses(
    State(side): State<ControllerSide>,
    Path(host): Path<String>,
    peer: Known,
    headers: HeaderMap,
    axum::Json(said): axum::Json<Vec<String>>,
) -> Response {
    let key = peer.as_ref().map(|peer| peer.key.to_string());
    if let Err(refusal) = side.controller(&host, &headers, peer) {
        return refusal;
    }
    let Some(key) = key else {
        let reason = "a node that has not joined is not reached over the fabric".to_owned();
        return refuse(StatusCode::BAD_REQUEST, reason);
    };
    match luc_services::sites::locate(&side.services, &key, &said).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refuse(StatusCode::CONFLICT, refusal.to_string()),
    }
}

#[derive(Deserialize)]
struct Asked {
    after: Option<u64>,
    /// Whether the node asks before it begins new servers; one of an older release does not.
    #[serde(default)]
    asks: bool,
}

async fn wishes(
    State(side): State<ControllerSide>,
    Path(host): Path<String>,
    Query(asked): Query<Asked>,
    peer: Known,
    headers: HeaderMap,
) -> Response {
    let controller = match side.controller(&host, &headers, peer) {
        Ok(controller) => controller,
        Err(refusal) => return refusal,
    };
    if !asked.asks
        && let Err(error) = controller.admitted()
    {
        return done(Err(error));
    }
    let mut answer = match asked.after {
        None => {
            let (revision, snapshot) = controller.wanted();
            let snapshot = snapshot.iter().map(|wish| wish.as_ref().clone()).collect();
            Wishes {
                version: VERSION,
                revision,
                snapshot: Some(snapshot),
                changes: Vec::new(),
                reload: false,
                ask: false,
            }
        }
        Some(after) => changes(&controller, after).await,
    };
    answer.ask = asked.asks;
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
        ask: false,
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

/// A node asks to begin new servers that it has read of.
async fn begin(
    State(side): State<ControllerSide>,
    Path(host): Path<String>,
    peer: Known,
    headers: HeaderMap,
    axum::Json(Builds(builds)): axum::Json<Builds>,
) -> Response {
    let begun = match side.controller(&host, &headers, peer) {
        Ok(controller) => controller.begin(&builds),
        Err(refusal) => return refusal,
    };
    match begun {
        Ok(stale) => axum::Json(Begin { stale }).into_response(),
        Err(error) => done(Err(error)),
    }
}

async fn reports(
    State(side): State<ControllerSide>,
    Path(host): Path<String>,
    peer: Known,
    headers: HeaderMap,
    axum::Json(reports): axum::Json<Vec<Observed>>,
) -> Response {
    match side.controller(&host, &headers, peer) {
        Ok(controller) => done(controller.report(reports).await),
        Err(refusal) => refusal,
    }
}

async fn heartbeat(
    State(side): State<ControllerSide>,
    Path(host): Path<String>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    peer: Known,
    headers: HeaderMap,
    axum::Json(alive): axum::Json<Alive>,
) -> Response {
    let key = peer.as_ref().map(|peer| peer.key);
    let controller = match side.controller(&host, &headers, peer) {
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
    let ip = from.map_or(alive.reached_at.ip(), |from| from.0.0.ip());
    let reached = match key {
        Some(key) => Reached::Key(key),
        None => Reached::Address(SocketAddr::new(ip, alive.reached_at.port())),
    };
    side.hosts.learn(&host, reached);
    let controller = controller.reached_at(ip).with_ratios(alive.ratios);
    match controller.heartbeat(alive.heartbeat).await {
        Ok(place) => axum::Json(Heard { place }).into_response(),
        Err(error) => done(Err(error)),
    }
}

async fn image(
    State(side): State<ControllerSide>,
    Path((host, image)): Path<(String, String)>,
    peer: Known,
    headers: HeaderMap,
) -> Response {
    let controller = match side.controller(&host, &headers, peer) {
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
    reached: Mutex<BTreeMap<String, Reached>>,
    fabric: OnceLock<Arc<dyn Fabric>>,
}

/// Where a node is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// Over the fabric.
    Key(NodeKey),
    /// At its port.
    Address(SocketAddr),
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
            reached: Mutex::default(),
            fabric: OnceLock::new(),
        })
    }

    /// Asks nodes that are on the fabric over `fabric`.
    pub fn with_fabric(&self, fabric: Arc<dyn Fabric>) {
        // A second one would be a programming error that changes nothing.
        let _ = self.fabric.set(fabric);
    }

    fn learn(&self, host: &str, at: Reached) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if reached.insert(host.to_owned(), at) != Some(at) {
            tracing::info!(host, ?at, "a compute node has come");
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
        let reached = {
            let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
            reached.get(host).copied()
        };
        let unreachable = || AskError::Unreachable {
            host: host.to_owned(),
        };
        let failed = |reason: String| AskError::Failed {
            host: host.to_owned(),
            reason,
        };
        let path = format!("/luc/v1/machines/{server}/{what}");
        let (status, body) = match reached.ok_or_else(unreachable)? {
            Reached::Address(address) => self.ask_at(address, &path).await,
            Reached::Key(key) => self.ask_over_fabric(key, &path).await,
        }
        .ok_or_else(unreachable)?;
        if status == StatusCode::NOT_FOUND {
            return Err(AskError::NoSuchServer {
                host: host.to_owned(),
                server: server.clone(),
            });
        }
        if !status.is_success() {
            let refusal: Option<Refusal> = serde_json::from_slice(&body).ok();
            let reason = refusal.map_or_else(|| status.to_string(), |refusal| refusal.reason);
            return Err(failed(reason));
        }
        serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
    }

    async fn ask_at(&self, address: SocketAddr, path: &str) -> Option<(StatusCode, Bytes)> {
        let request = self.http.get(format!("http://{address}{path}"));
        let request = request.header(SECRET_HEADER, self.secret.reveal());
        let answer = request.send().await.ok()?;
        Some((answer.status(), answer.bytes().await.ok()?))
    }

    async fn ask_over_fabric(&self, key: NodeKey, path: &str) -> Option<(StatusCode, Bytes)> {
        let fabric = self.fabric.get()?;
        let request = http::Request::get(path).body(Body::empty()).ok()?;
        let deadline = tokio::time::Instant::now() + ASKED;
        let asked = luc_runtime::http::send(&**fabric, key, Channel::FORWARD, request, deadline);
        let answer = asked.await.ok()?;
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), BODY_LENGTH_MAX).await;
        Some((status, body.ok()?))
    }
}
