//! What became of an operation: `luc op show`.
//!
//! The site that handed the operation on knows where it went; any other asks that one. A home that
//! has no record of the operation writes one that says it was given up, so that "not done" stays
//! true if the request is still on its way. "Not done" is said only where the site that handed the
//! operation on knows its home, and that one has given it up.
//!
//! The site may have forgotten (a restart): then every site is asked, and gives it up. If none has
//! carried it out there is "no record": the operation may be of long ago, and the id a mistyped one
//! of another that was carried out.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::OpId;
use luc_core::time::Timestamp;
use luc_state::TxError;
use serde_json::{Value, json};

use super::record::Operation;
use crate::Services;
use crate::ports::sites::ForwardedBody;
use crate::routing::Arrival;
use crate::routing::forward::{Head, Outgoing, ask_each, forward, name_of};
use crate::write::settled;

/// What stands before the id in the path between sites.
pub(super) const PATH: &str = "/luc/v1/between/operations/";

/// How long other sites are waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// The most bytes of an answer.
const ANSWER_MAX: usize = 1 << 20;

/// The outcome of an operation that was given up before it arrived: it never will be done.
const NOT_DONE: &str = "not done";

/// The outcome where nobody has a record: it was not done, or its record is forgotten
/// ([`super::KEPT`]), or there never was such an operation.
pub const NO_RECORD: &str = "no record";

/// What became of the operation `id`, as JSON: `{"operation": {"id", "outcome": "done" | "not done"
/// | "under way" | "unknown" | "no record", …}}`.
///
/// For an operator; the caller has checked the right to ask. What is not the id of an operation is
/// a bad request.
pub async fn show(services: &Services, id: &str) -> Result<Value, ApiError> {
    let wrong = || ApiError::bad_request(format!("'{id}' is not the id of an operation."));
    let id = OpId::parse(id).map_err(|_| wrong())?;
    // That it was given up here does not say that it was done nowhere.
    if let Some(shown) = held(services, &id).filter(|shown| outcome(shown) != NOT_DONE) {
        return Ok(shown);
    }
    let birth = id.birth_site().ok_or_else(wrong)?;
    let others = others(services);
    if others.contains(&birth)
        && let Some(shown) = asked_of(services, birth, &id).await
    {
        return Ok(shown);
    }
    resolved(services, &id).await
}

/// The answer to another site that asks what became of the operation `id`.
pub(super) async fn for_site(
    services: &Services,
    id: &str,
    arrival: &Arrival,
) -> Result<Response<Body>, ApiError> {
    let id = OpId::parse(id).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let asker = arrival.from.as_ref().map(|from| from.site);
    let shown = match held(services, &id) {
        Some(shown) => shown,
        // Not for this site to do: it handed the operation on.
        None if !arrival.alone || services.operations.home_of(&id).is_some() => {
            resolved(services, &id).await?
        }
        // Only the site that handed it on knows that it no longer does.
        None if asker.is_some() && asker == id.birth_site() => {
            give_up(services, &id).await?;
            held(services, &id).unwrap_or_else(|| view(&id, NOT_DONE))
        }
        None => view(&id, NO_RECORD),
    };
    let mut response = Response::new(Body::from(shown.to_string()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

fn view(id: &OpId, outcome: &str) -> Value {
    json!({"operation": {"id": id.as_str(), "outcome": outcome}})
}

fn outcome(shown: &Value) -> &str {
    shown["operation"]["outcome"].as_str().unwrap_or_default()
}

/// What this site itself knows for certain.
fn held(services: &Services, id: &OpId) -> Option<Value> {
    if services.operations.is_under_way(id) {
        return Some(view(id, "under way"));
    }
    let snapshot = services.store.snapshot();
    let operation = snapshot.get::<Operation>(id);
    let operation = operation.filter(|operation| operation.home() == services.site)?;
    if operation.given_up {
        return Some(view(id, NOT_DONE));
    }
    let mut shown = view(id, "done");
    let facts = json!({
        "site": name_of(services, services.site),
        "from": name_of(services, operation.from),
        "request": operation.request,
        "began": time_of(operation.began),
        "status": operation.answer.as_ref().map(|answer| answer.status),
        "wrote": operation.wrote,
    });
    if let (Some(shown), Value::Object(facts)) = (shown["operation"].as_object_mut(), facts) {
        shown.extend(facts);
    }
    Some(shown)
}

/// Asks the site that the operation went to, or all if that is forgotten.
async fn resolved(services: &Services, id: &OpId) -> Result<Value, ApiError> {
    let home = services.operations.home_of(id);
    let mut asked = services.sites.all();
    asked.retain(|view| view.site != services.site && home.is_none_or(|home| home == view.site));
    let (mut silent, mut given_up) = (Vec::new(), false);
    let mut under_way = None;
    for (view, answer) in ask_each(services, asked, &head(id), PATIENCE).await {
        let shown = match answer {
            Some(answer) if answer.status().is_success() => read(answer).await,
            _ => None,
        };
        match shown {
            None => silent.push(view.name),
            Some(shown) => match outcome(&shown) {
                "done" => return Ok(shown),
                NOT_DONE => given_up = true,
                NO_RECORD => {}
                _ => under_way = Some(shown),
            },
        }
    }
    if let Some(shown) = under_way {
        return Ok(shown);
    }
    if silent.is_empty() {
        let sure = given_up && home.is_some();
        return Ok(view(id, if sure { NOT_DONE } else { NO_RECORD }));
    }
    let mut shown = view(id, "unknown");
    shown["operation"]["silent"] = json!(silent);
    Ok(shown)
}

/// What `site`, which handed the operation on, finds out.
async fn asked_of(services: &Services, site: SitePrefix, id: &OpId) -> Option<Value> {
    let outgoing = Outgoing {
        head: head(id),
        body: ForwardedBody::Whole(Bytes::new()),
    };
    let answer = forward(services, site, outgoing, &Arrival::default()).await;
    let answer = answer.ok().filter(|answer| answer.status().is_success())?;
    read(answer).await
}

/// A time as people and programs read it (RFC 3339).
fn time_of(at: Timestamp) -> Option<String> {
    let at = time::OffsetDateTime::from_unix_timestamp(at.unix_secs()).ok()?;
    at.format(&time::format_description::well_known::Rfc3339)
        .ok()
}

fn head(id: &OpId) -> Head {
    let uri = format!("{PATH}{id}");
    Head {
        method: Method::GET,
        // An id has no character that a path must not have, but for what a client made up.
        uri: uri.parse().unwrap_or_default(),
        headers: HeaderMap::new(),
    }
}

async fn read(answer: Response<Body>) -> Option<Value> {
    let bytes = axum::body::to_bytes(answer.into_body(), ANSWER_MAX).await;
    serde_json::from_slice(&bytes.ok()?).ok()
}

fn others(services: &Services) -> Vec<SitePrefix> {
    let all = services.sites.all().into_iter().map(|view| view.site);
    all.filter(|site| *site != services.site).collect()
}

/// Notes that the operation is given up, unless it has been carried out.
async fn give_up(services: &Services, id: &OpId) -> Result<(), ApiError> {
    let note = Operation {
        id: id.clone(),
        from: id.birth_site().unwrap_or(services.site),
        request: String::new(),
        fingerprint: String::new(),
        began: services.clock.now(),
        given_up: true,
        wrote: Vec::new(),
        answer: None,
    };
    let written = services.store.transact(|tx| -> Result<(), TxError> {
        if tx.get::<Operation>(id).is_none() {
            tx.insert(note.clone())?;
        }
        Ok(())
    });
    settled(written.await, |refused| {
        ApiError::internal(refused.to_string())
    })
}
