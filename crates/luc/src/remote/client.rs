//! The compute-only node's side of the agent's port: [`Controller`] by HTTP.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use luc_agent::controller::Wishes as AgentWishes;
use luc_agent::controller::{Change, Controller, ControllerError, ImageData, Images};
use luc_agent::host::Heartbeat;
use luc_agent::observed::Observed;
use luc_api::value::Secret;
use luc_core::id::ImageId;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::agents::Ratios;

use super::wire::{self, Alive, Refusal, VERSION};
use super::{SECRET_HEADER, WAIT};

/// A controller that is reached over the network.
#[derive(Clone)]
pub struct RemoteController {
    http: reqwest::Client,
    base: String,
    host: String,
    reached_at: SocketAddr,
    secret: Secret,
    ratios: Ratios,
}

impl RemoteController {
    /// The controller at `url`, asked for the wishes of `host`, which itself is reached at
    /// `reached_at`.
    pub fn new(
        url: &str,
        host: &str,
        reached_at: SocketAddr,
        secret: Secret,
    ) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .build()?;
        let base = format!("{}/luc/v1/hosts/{host}", url.trim_end_matches('/'));
        Ok(Self {
            http,
            base,
            host: host.to_owned(),
            reached_at,
            secret,
            ratios: Ratios::default(),
        })
    }

    /// The same with other allocation ratios.
    #[must_use]
    pub fn with_ratios(mut self, ratios: Ratios) -> Self {
        self.ratios = ratios;
        self
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/{path}", self.base);
        self.http
            .request(method, url)
            .header(SECRET_HEADER, self.secret.reveal())
    }

    async fn wishes_after(&self, after: Option<u64>) -> Result<wire::Wishes, ControllerError> {
        let path = after.map_or_else(|| "wishes".to_owned(), |rev| format!("wishes?after={rev}"));
        let request = self
            .request(Method::GET, &path)
            .timeout(WAIT + Duration::from_secs(10));
        let wishes: wire::Wishes = json(send(request).await?).await?;
        if wishes.version != VERSION {
            let reason = format!(
                "the controller speaks version {} of the conversation, this node {VERSION}",
                wishes.version
            );
            return Err(ControllerError::Refused { reason });
        }
        Ok(wishes)
    }
}

/// Where a follower of changes stands.
struct Following {
    controller: RemoteController,
    revision: u64,
    waiting: VecDeque<Change>,
    ended: bool,
}

async fn next_change(mut following: Following) -> Option<(Change, Following)> {
    while !following.ended {
        if let Some(change) = following.waiting.pop_front() {
            return Some((change, following));
        }
        match following
            .controller
            .wishes_after(Some(following.revision))
            .await
        {
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
        let response = send(self.request(Method::GET, &format!("images/{id}"))).await?;
        let bytes = response.bytes_stream();
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
        let first = self.wishes_after(None).await?;
        let snapshot = first
            .snapshot
            .unwrap_or_default()
            .into_iter()
            .map(Arc::new)
            .collect();
        let following = Following {
            controller: self.clone(),
            revision: first.revision,
            waiting: VecDeque::new(),
            ended: false,
        };
        tracing::info!(host = %self.host, controller = %self.base, "following the controller");
        let changes = futures::stream::unfold(following, next_change).boxed();
        Ok(AgentWishes { snapshot, changes })
    }

    async fn report(&self, reports: Vec<Observed>) -> Result<(), ControllerError> {
        let request = self.request(Method::POST, "reports").json(&reports);
        send(request.timeout(Duration::from_secs(10)))
            .await
            .map(drop)
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<(), ControllerError> {
        let alive = Alive {
            version: VERSION,
            reached_at: self.reached_at,
            ratios: self.ratios,
            heartbeat,
        };
        let request = self.request(Method::POST, "heartbeat").json(&alive);
        send(request.timeout(Duration::from_secs(10)))
            .await
            .map(drop)
    }
}

/// Sends; a refusal in the controller's own words.
async fn send(request: RequestBuilder) -> Result<Response, ControllerError> {
    let response = request
        .send()
        .await
        .map_err(|error| ControllerError::Unavailable {
            reason: error.to_string(),
        })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let refusal: Option<Refusal> = response.json().await.ok();
    let reason = refusal.map_or_else(|| status.to_string(), |refusal| refusal.reason);
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Err(ControllerError::Unavailable { reason })
    } else {
        Err(ControllerError::Refused { reason })
    }
}

async fn json<T: DeserializeOwned>(response: Response) -> Result<T, ControllerError> {
    response
        .json()
        .await
        .map_err(|error| ControllerError::Unavailable {
            reason: format!("an answer that is none: {error}"),
        })
}
