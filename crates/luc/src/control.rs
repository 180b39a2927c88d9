//! How `luc split` and `luc heal` reach a running `luc up --sites`: a port on this machine whose
//! address and secret stand in a file that only the owner reads.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::extract::{Path as InPath, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client;
use crate::clouds::write_private;
use crate::host::{SystemRandomness, generated_password};
use crate::many::Cloud;
use crate::operate::{segment, show};
use crate::server;

/// The file with address and secret.
const FILE: &str = "control.json";
const SECRET: &str = "x-luc-control";

#[derive(Clone)]
struct Control {
    cloud: Arc<Cloud>,
    secret: String,
}

/// Serves the commands for `cloud` until `stopping`; where it is found stands in `directory`.
pub async fn serve(
    directory: &Path,
    cloud: Arc<Cloud>,
    stopping: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    let bound = server::bind(([127, 0, 0, 1], 0).into()).await?;
    let secret = generated_password(&SystemRandomness);
    let facts = json!({"url": format!("http://{}", bound.address), "secret": secret});
    write_private(&directory.join(FILE), facts.to_string().as_bytes())?;
    let router = Router::new()
        .route("/split/{site}", post(cut))
        .route("/heal", post(mend))
        .with_state(Control { cloud, secret });
    Ok(tokio::spawn(async move {
        if let Err(error) = server::serve(bound, router, stopping).await {
            tracing::warn!(%error, "`luc split` and `luc heal` are no longer heard");
        }
    }))
}

async fn cut(
    State(control): State<Control>,
    InPath(site): InPath<String>,
    headers: HeaderMap,
) -> Response {
    let outcome = control
        .allowed(&headers)
        .map(|()| control.cloud.split(&site));
    answer(outcome, &json!({ "split": site }))
}

async fn mend(State(control): State<Control>, headers: HeaderMap) -> Response {
    let outcome = control.allowed(&headers).map(|()| {
        control.cloud.heal();
        Ok(())
    });
    answer(outcome, &json!({"healed": true}))
}

impl Control {
    fn allowed(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let shown = headers.get(SECRET).and_then(|value| value.to_str().ok());
        if shown == Some(self.secret.as_str()) {
            Ok(())
        } else {
            Err(StatusCode::FORBIDDEN)
        }
    }
}

fn answer(outcome: Result<anyhow::Result<()>, StatusCode>, done: &Value) -> Response {
    match outcome {
        Err(status) => status.into_response(),
        Ok(Ok(())) => Json(done).into_response(),
        Ok(Err(error)) => (StatusCode::NOT_FOUND, error.to_string()).into_response(),
    }
}

/// Cuts `site` of the cloud in `directory` off.
pub async fn split(directory: &Path, site: &str, json_wanted: bool) -> anyhow::Result<()> {
    let path = format!("/split/{}", segment("the site", site)?);
    let done = ask(directory, &path).await?;
    show(&done, json_wanted, || {
        format!("{site} is cut off; `luc heal` ends that.")
    });
    Ok(())
}

/// Takes back every cut of the cloud in `directory`.
pub async fn heal(directory: &Path, json_wanted: bool) -> anyhow::Result<()> {
    let done = ask(directory, "/heal").await?;
    show(&done, json_wanted, || {
        "All sites reach each other again.".to_owned()
    });
    Ok(())
}

async fn ask(directory: &Path, path: &str) -> anyhow::Result<Value> {
    let file = directory.join(FILE);
    let text = std::fs::read_to_string(&file).with_context(|| {
        format!(
            "reading {}: is `luc up --sites …` running there?",
            file.display()
        )
    })?;
    let facts: Value = serde_json::from_str(&text).context("reading where the cloud listens")?;
    let member = |name: &str| facts[name].as_str().unwrap_or_default().to_owned();
    let url = format!("{}{path}", member("url"));
    let request = client::http(client::PATIENCE)?.post(&url);
    let request = request.header(SECRET, member("secret"));
    let sent = client::send(request, &format!("POST {url}")).await;
    let sent = sent.context("asking the running cloud: is `luc up --sites …` running there?")?;
    let status = sent.status();
    if !status.is_success() {
        bail!("{status} {}", sent.text().await.unwrap_or_default());
    }
    sent.json().await.context("reading what was done")
}
