//! The compute-only node's side of the agent's port: [`Controller`] by HTTP.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use futures::StreamExt as _;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use luc_agent::controller::Wishes as AgentWishes;
use luc_agent::controller::{Change, Controller, ControllerError, ImageData, Images};
use luc_agent::desired::HostPlace;
use luc_agent::host::Heartbeat;
use luc_agent::observed::Observed;
use luc_core::id::ImageId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agents::Ratios;

use super::begin::{self, Begun};
use super::wire::{self, Alive, Heard, Refusal, VERSION};
use super::{Link, WAIT};

/// How long the controller may take over a report.
const TELL: Duration = Duration::from_secs(10);

/// The longest answer that is read whole: all wishes of a host.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A controller that is reached over the network.
#[derive(Clone)]
pub struct RemoteController {
    link: Link,
    base: String,
    host: String,
    reached_at: SocketAddr,
    ratios: Ratios,
}

impl RemoteController {
    /// The controller behind `link`, asked for the wishes of `host`, which itself is reached at
    /// `reached_at`.
    pub fn new(link: Link, host: &str, reached_at: SocketAddr) -> Self {
        Self {
            link,
            base: format!("/luc/v1/hosts/{host}"),
            host: host.to_owned(),
            reached_at,
            ratios: Ratios::default(),
        }
    }

    /// The same with other allocation ratios.
    #[must_use]
    pub fn with_ratios(mut self, ratios: Ratios) -> Self {
        self.ratios = ratios;
        self
    }

    /// Sends; a refusal in the controller's own words.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        patience: Duration,
    ) -> Result<Response<Body>, ControllerError> {
        let unavailable = |reason: String| ControllerError::Unavailable { reason };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.base))
            .header(CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, Body::from))
            .map_err(|error| unavailable(error.to_string()))?;
        let response = self
            .link
            .ask(request, patience)
            .await
            .map_err(unavailable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let refusal: Option<Refusal> = json(response).await.ok();
        let reason = refusal.map_or_else(|| status.to_string(), |refusal| refusal.reason);
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            Err(ControllerError::Unavailable { reason })
        } else {
            Err(ControllerError::Refused { reason })
        }
    }

    /// Sends something; what comes back is often nothing.
    async fn tell<T: Serialize>(&self, path: &str, what: &T) -> Result<Bytes, ControllerError> {
        let body = serde_json::to_vec(what).map_err(|error| ControllerError::Refused {
            reason: error.to_string(),
        })?;
        let sent = self.send(Method::POST, path, Some(body), TELL);
        whole(sent.await?).await
    }

    async fn wishes_after(&self, after: Option<u64>) -> Result<wire::Wishes, ControllerError> {
        let path = after.map_or_else(
            || "wishes?asks=true".to_owned(),
            |revision| format!("wishes?asks=true&after={revision}"),
        );
        let patience = WAIT + Duration::from_secs(10);
        let wishes: wire::Wishes =
            json(self.send(Method::GET, &path, None, patience).await?).await?;
        if wishes.version != VERSION {
            let reason = format!(
                "the controller speaks version {} of the conversation, this node {VERSION}",
                wishes.version
            );
            return Err(ControllerError::Refused { reason });
        }
        Ok(wishes)
    }

    /// Takes those new servers out of `wishes` that the controller does not let this host begin.
    /// What is left may be handed on; until then nobody here knows of it.
    async fn begin(
        &self,
        wishes: &mut wire::Wishes,
        begun: &mut Begun,
    ) -> Result<(), ControllerError> {
        let builds = begun.new_in(wishes);
        if builds.is_empty() {
            return Ok(());
        }
        let answer = self.tell("begin", &wire::Builds(builds.clone())).await?;
        let answer: wire::Begin =
            serde_json::from_slice(&answer).map_err(|error| no_answer(&error))?;
        begun.note(builds, &answer.stale);
        begin::take_out(wishes, &answer.stale);
        Ok(())
    }
}

/// Where a follower of changes stands.
struct Following {
    controller: RemoteController,
    revision: u64,
    begun: Begun,
    waiting: VecDeque<Change>,
    ended: bool,
}

impl Following {
    /// What has changed, as far as it may be begun here.
    async fn more(&mut self) -> Result<wire::Wishes, ControllerError> {
        let mut wishes = self.controller.wishes_after(Some(self.revision)).await?;
        self.controller.begin(&mut wishes, &mut self.begun).await?;
        Ok(wishes)
    }
}

async fn next_change(mut following: Following) -> Option<(Change, Following)> {
    while !following.ended {
        if let Some(change) = following.waiting.pop_front() {
            return Some((change, following));
        }
        match following.more().await {
            Ok(wishes) if !wishes.reload => {
                following.revision = wishes.revision;
                following
                    .waiting
                    .extend(wishes.changes.into_iter().map(|change| match change {
                        wire::Change::Want(wish) => Change::Want(Arc::new(*wish)),
                        wire::Change::Forget(id) => Change::Forget(id),
                    }));
            }
            // The agent asks for everything again, with its own back-off.
            Ok(_) | Err(_) => {
                following.ended = true;
                return Some((Change::Reload, following));
            }
        }
    }
    None
}

#[async_trait]
impl Images for RemoteController {
    async fn image(&self, id: &ImageId) -> Result<ImageData, ControllerError> {
        let path = format!("images/{id}");
        let response = self.send(Method::GET, &path, None, WAIT).await?;
        let bytes = response.into_body().into_data_stream();
        Ok(ImageData::Stream(
            bytes
                .map(|part| part.map_err(std::io::Error::other))
                .boxed(),
        ))
    }
}

#[async_trait]
impl Controller for RemoteController {
    async fn wishes(&self) -> Result<AgentWishes, ControllerError> {
        let mut first = self.wishes_after(None).await?;
        let mut begun = Begun::default();
        self.begin(&mut first, &mut begun).await?;
        let snapshot = first
            .snapshot
            .unwrap_or_default()
            .into_iter()
            .map(Arc::new)
            .collect();
        let following = Following {
            controller: self.clone(),
            revision: first.revision,
            begun,
            waiting: VecDeque::new(),
            ended: false,
        };
        tracing::info!(host = %self.host, controller = %self.base, "following the controller");
        let changes = futures::stream::unfold(following, next_change).boxed();
        Ok(AgentWishes { snapshot, changes })
    }

    async fn report(&self, reports: Vec<Observed>) -> Result<(), ControllerError> {
        self.tell("reports", &reports).await.map(drop)
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HostPlace, ControllerError> {
        let alive = Alive {
            version: VERSION,
            reached_at: self.reached_at,
            ratios: self.ratios,
            heartbeat,
        };
        let answer = self.tell("heartbeat", &alive).await?;
        let heard = Heard::read(&answer).map_err(|error| no_answer(&error))?;
        Ok(heard.place)
    }
}

async fn json<T: DeserializeOwned>(response: Response<Body>) -> Result<T, ControllerError> {
    let body = whole(response).await?;
    serde_json::from_slice(&body).map_err(|error| no_answer(&error))
}

async fn whole(response: Response<Body>) -> Result<Bytes, ControllerError> {
    let body = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX).await;
    body.map_err(|error| no_answer(&error))
}

fn no_answer(error: &dyn std::error::Error) -> ControllerError {
    ControllerError::Unavailable {
        reason: format!("an answer that is none: {error}"),
    }
}
