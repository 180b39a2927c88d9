//! A small client of the OpenStack APIs, for the demo, the tests and the measurements.
//!
//! It authenticates with a password, finds the services in the catalog and speaks JSON. It is no
//! SDK: people and programs use the stock clients.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::clouds::{Access, identity_url};

/// How long a node may take to take a connection.
const CONNECTING: Duration = Duration::from_secs(5);

/// How long a request may take, with its answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long the data of an image may take.
const UPLOADING: Duration = Duration::from_secs(3600);

/// What sends requests and waits at most `whole` for each.
pub(crate) fn http(whole: Duration) -> anyhow::Result<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy();
    let client = client.connect_timeout(CONNECTING).timeout(whole);
    client.build().context("preparing a client")
}

/// Sends `request`, which `what` names in errors: its method and URL.
pub(crate) async fn send(
    request: reqwest::RequestBuilder,
    what: &str,
) -> anyhow::Result<reqwest::Response> {
    request.send().await.map_err(|error| failed(error, what))
}

/// Why `what` has no answer: where nothing came in time that is said, for the error of the HTTP
/// library hides it.
pub(crate) fn failed(error: reqwest::Error, what: &str) -> anyhow::Error {
    let silent = error.is_timeout();
    let error = anyhow::Error::new(error.without_url());
    if silent {
        return error.context(format!(
            "{what}: no answer in time; does the node there hang?"
        ));
    }
    error.context(what.to_owned())
}

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
        let response = send(request, what).await?;
        let status = response.status();
        let text = response.bytes().await;
        let text = text.map_err(|error| failed(error, what))?;
        Ok(Self {
            status,
            body: serde_json::from_slice(&text).unwrap_or_default(),
        })
    }
}

impl Client {
    /// Authenticates and reads the catalog.
    pub async fn login(access: &Access) -> anyhow::Result<Self> {
        let http = http(PATIENCE)?;
        let url = format!("{}/auth/tokens", identity_url(&access.auth_url));
        let domains = &access.domains;
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": access.user, "domain": domains.user.to_json(),
                "password": access.password.reveal(),
            }}},
            "scope": {"project": {
                "name": access.project, "domain": domains.project.to_json(),
            }},
        }});
        let what = format!("authenticating at {url}");
        let response = send(http.post(&url).json(&body), &what).await?;
        let status = response.status();
        if status != StatusCode::CREATED {
            let text = response.text().await.unwrap_or_default();
            bail!("{what}: {}", refusal(status, &text));
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
        let base = self.compute.rsplit_once(prefix);
        let base = base.map_or(self.compute.as_str(), |(base, _)| base);
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
        let issued = send(self.http.post(&url).json(&body), &format!("POST {url}")).await?;
        let token = issued
            .headers()
            .get("x-subject-token")
            .with_context(|| format!("POST {url}: {}", issued.status()))?
            .clone();
        let request = self
            .http
            .delete(&url)
            .header("X-Auth-Token", &self.token)
            .header("X-Subject-Token", token);
        let revoked = send(request, &format!("DELETE {url}")).await?;
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
        let request = self
            .http
            .put(&url)
            .timeout(UPLOADING)
            .header("X-Auth-Token", &self.token)
            .header("Content-Type", "application/octet-stream")
            .body(reqwest::Body::wrap_stream(stream));
        let response = send(request, &format!("PUT {url}")).await?;
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

/// A refusal in the node's own words, which are in `text`.
pub(crate) fn refusal(status: StatusCode, text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    match value["error"]["message"].as_str() {
        Some(message) => format!("{message} ({status})"),
        None if text.is_empty() => status.to_string(),
        None => format!("{status} {text}"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_node_that_does_not_answer_is_named_and_not_waited_for_for_ever() {
        // It takes connections, as a stopped process does, and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/luc/v1/sites", silent.local_addr().unwrap());
        let request = http(Duration::from_millis(50)).unwrap().get(&url);
        let error = send(request, &format!("GET {url}")).await.unwrap_err();
        let said = format!("{error:#}");
        assert!(
            said.contains(&url) && said.contains("no answer in time"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn a_login_names_the_domains_and_keeps_the_words_of_a_refusal() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut asked = Vec::new();
            let mut part = [0u8; 4096];
            while !String::from_utf8_lossy(&asked).contains("lyon") {
                let read = stream.read(&mut part).await.unwrap();
                assert_ne!(read, 0, "it ends too early");
                asked.extend_from_slice(&part[..read]);
            }
            let body = r#"{"error": {"message": "Ada is locked out."}}"#;
            let answer = format!(
                "HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&asked).into_owned()
        });
        let access = Access {
            auth_url: format!("{address}/identity/v3/"),
            user: "ada".to_owned(),
            password: luc_api::value::Secret::new("secret"),
            project: "demo".to_owned(),
            region: String::new(),
            domains: crate::clouds::Domains {
                user: crate::clouds::DomainRef::Id("0a1b".to_owned()),
                project: crate::clouds::DomainRef::Name("lyon".to_owned()),
            },
        };
        let refused = Client::login(&access).await.err().unwrap();
        let said = format!("{refused:#}");
        assert!(said.contains("Ada is locked out. (401"), "{said}");
        let asked = asked.await.unwrap();
        assert!(
            asked.starts_with("POST /identity/v3/auth/tokens "),
            "{asked}"
        );
        let (_, body) = asked.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        let user = &body["auth"]["identity"]["password"]["user"];
        assert_eq!(user["domain"], json!({"id": "0a1b"}));
        let project = &body["auth"]["scope"]["project"];
        assert_eq!(project["domain"], json!({"name": "lyon"}));
    }
}
