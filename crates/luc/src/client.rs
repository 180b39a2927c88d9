//! A small client of the OpenStack APIs, for the demo, the tests and the measurements.
//!
//! It authenticates with a password, finds the services in the catalog and speaks JSON. It is no
//! SDK: people and programs use the stock clients.

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::clouds::Access;

/// An authenticated caller of one cloud.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    token: String,
    compute: String,
    image: String,
    identity: String,
    project: String,
}

/// Which service a path belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// The identity service.
    Identity,
    /// The image service.
    Image,
    /// The compute service.
    Compute,
}

/// An answer: its status and its JSON, `null` where there is none.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// Sends a request and reads what comes; `what` names it in errors.
    async fn read(request: reqwest::RequestBuilder, what: &str) -> anyhow::Result<Self> {
        let response = request.send().await.with_context(|| what.to_owned())?;
        let status = response.status();
        let text = response.bytes().await.with_context(|| what.to_owned())?;
        Ok(Self {
            status,
            body: serde_json::from_slice(&text).unwrap_or_default(),
        })
    }
}

impl Client {
    /// Authenticates and reads the catalog.
    pub async fn login(access: &Access) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .context("preparing a client")?;
        let url = format!("{}/auth/tokens", access.auth_url);
        let domain = json!({"name": "Default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": access.user, "domain": domain, "password": access.password.reveal(),
            }}},
            "scope": {"project": {"name": access.project, "domain": domain}},
        }});
        let response = http.post(&url).json(&body).send().await;
        let response = response.with_context(|| format!("authenticating at {url}"))?;
        if response.status() != StatusCode::CREATED {
            bail!("authenticating at {url}: {}", response.status());
        }
        let token = response
            .headers()
            .get("x-subject-token")
            .and_then(|value| value.to_str().ok())
            .context("the answer to the authentication has no token")?
            .to_owned();
        let body: Value = response.json().await.context("reading the catalog")?;
        let endpoint = |kind: &str| {
            let entry = body["token"]["catalog"]
                .as_array()?
                .iter()
                .find(|e| e["type"] == kind)?;
            let all = entry["endpoints"].as_array()?;
            let url = all.iter().find(|e| e["interface"] == "public")?["url"].as_str()?;
            Some(url.trim_end_matches('/').to_owned())
        };
        let found =
            |kind: &str| endpoint(kind).with_context(|| format!("no {kind} in the catalog"));
        let image = format!("{}/v2", found("image")?);
        let project = body["token"]["project"]["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Ok(Self {
            compute: found("compute")?,
            identity: found("identity")?,
            image,
            http,
            token,
            project,
        })
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The id of the project that the token is scoped to.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Sends a request and reads the answer, whatever its status.
    pub async fn ask(
        &self,
        method: Method,
        target: Target,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Answer> {
        let base = match target {
            Target::Identity => &self.identity,
            Target::Image => &self.image,
            Target::Compute => &self.compute,
        };
        let url = format!("{base}{path}");
        let mut request = self.http.request(method.clone(), &url);
        request = request.header("X-Auth-Token", &self.token);
        request = request.header("OpenStack-API-Version", "compute latest");
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::read(request, &format!("{method} {url}")).await
    }

    /// Asks the node itself, outside the OpenStack services: `path` begins with `/luc`.
    pub async fn ask_node(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Answer> {
        let prefix = luc_api::Service::Compute.facts().prefix;
        let base = self.compute.split(prefix).next().unwrap_or_default();
        let url = format!("{base}{path}");
        let mut request = self.http.request(method.clone(), &url);
        request = request.header("X-Auth-Token", &self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::read(request, &format!("{method} {url}")).await
    }

    /// Changes an image by a JSON Patch (RFC 6902).
    pub async fn patch_image(&self, path: &str, changes: &Value) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.image);
        let request = self
            .http
            .patch(&url)
            .header("X-Auth-Token", &self.token)
            .header(
                "Content-Type",
                "application/openstack-images-v2.1-json-patch",
            )
            .body(changes.to_string());
        Answer::read(request, &format!("PATCH {url}")).await
    }

    /// Issues a token from its own, and revokes that one.
    pub async fn issue_and_revoke(&self) -> anyhow::Result<()> {
        let url = format!("{}/auth/tokens", self.identity);
        let body = json!({"auth": {
            "identity": {"methods": ["token"], "token": {"id": self.token}},
        }});
        let issued = self.http.post(&url).json(&body).send().await;
        let issued = issued.with_context(|| format!("POST {url}"))?;
        let token = issued
            .headers()
            .get("x-subject-token")
            .with_context(|| format!("POST {url}: {}", issued.status()))?
            .clone();
        let revoked = self
            .http
            .delete(&url)
            .header("X-Auth-Token", &self.token)
            .header("X-Subject-Token", token)
            .send()
            .await
            .with_context(|| format!("DELETE {url}"))?;
        if !revoked.status().is_success() {
            bail!("DELETE {url}: {}", revoked.status());
        }
        Ok(())
    }

    /// Reads; an error for anything but success.
    pub async fn get(&self, target: Target, path: &str) -> anyhow::Result<Value> {
        let answer = self.ask(Method::GET, target, path, None).await?;
        if !answer.status.is_success() {
            bail!("GET {path}: {} {}", answer.status, answer.body);
        }
        Ok(answer.body)
    }

    /// Changes; an error for anything but success.
    pub async fn post(&self, target: Target, path: &str, body: Value) -> anyhow::Result<Value> {
        let answer = self.ask(Method::POST, target, path, Some(body)).await?;
        if !answer.status.is_success() {
            bail!("POST {path}: {} {}", answer.status, answer.body);
        }
        Ok(answer.body)
    }

    /// Deletes; an error for anything but success or absence.
    pub async fn delete(&self, target: Target, path: &str) -> anyhow::Result<()> {
        let answer = self.ask(Method::DELETE, target, path, None).await?;
        if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        bail!("DELETE {path}: {} {}", answer.status, answer.body);
    }

    /// Uploads the data of an image from a file, streamed.
    pub async fn upload(&self, image: &str, file: &std::path::Path) -> anyhow::Result<()> {
        let opened = tokio::fs::File::open(file).await;
        let opened = opened.with_context(|| format!("opening {}", file.display()))?;
        let stream = tokio_util::io::ReaderStream::new(opened);
        let url = format!("{}/images/{image}/file", self.image);
        let response = self
            .http
            .put(&url)
            .header("X-Auth-Token", &self.token)
            .header("Content-Type", "application/octet-stream")
            .body(reqwest::Body::wrap_stream(stream))
            .send()
            .await
            .with_context(|| format!("PUT {url}"))?;
        if !response.status().is_success() {
            bail!(
                "PUT {url}: {} {}",
                response.status(),
                response.text().await.unwrap_or_default()
            );
        }
        Ok(())
    }
}
