//! An aggregate goes to the site of its first host.
//!
//! The hosts of an aggregate are of one site, for only that site can decide in one transaction what
//! becomes of their zones. An aggregate without hosts binds nothing: it can be made at any site,
//! and goes to that of the first host that is put into it. That site makes it with the host; then
//! the record here only says where it is, and requests that use its old number are handed on. If
//! the same is asked again after a crash between the two, the site there knows it by its UUID.

use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::Bytes;
use http::{Method, Uri};
use luc_api::ApiError;
use luc_api::compute::aggregate::{MovingAggregate, NewAggregate};
use luc_core::SitePrefix;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{check_name_is_free, next_number, not_found, put, refused, view};
use crate::Services;
use crate::compute::model::aggregate::{Aggregate, Moved};
use crate::compute::write::transact;
use crate::ports::sites::{ForwardedBody, SiteView};
use crate::reply::Reply;
use crate::request::Request;
use crate::routing::forward::{Head, Outgoing, ask_each, forward};
use crate::routing::{Arrival, numbers};

/// How long the sites are asked which of them has the host.
const PATIENCE: Duration = Duration::from_secs(3);

/// The most bytes of an answer.
const ANSWER_MAX: usize = 1 << 20;

/// Moves `aggregate` to the site of `host`, with that host in it. Nothing if no site has the host.
pub(super) async fn to_host(
    services: &Services,
    request: &Request,
    aggregate: &Aggregate,
    host: &str,
) -> Result<Option<Reply>, ApiError> {
    let Some(view) = site_of(services, request, host).await? else {
        return Ok(None);
    };
    if !aggregate.hosts.is_empty() {
        let site = view.name;
        let reason =
            format!("Host {host} is of site {site}, and the hosts of an aggregate are of one site");
        return Err(refused("add host to", &aggregate.id, &reason, true));
    }
    let moving = MovingAggregate {
        uuid: aggregate.uuid.clone(),
        metadata: aggregate.metadata.clone(),
        host: host.to_owned(),
        created_at: aggregate.created_at,
    };
    let body = json!({"aggregate": {
        "name": aggregate.name,
        "availability_zone": aggregate.zone,
        "luc:moving": moving,
    }});
    let answer = ask(services, request, view.site, Method::POST, "", &body).await?;
    let status = answer.status();
    if !status.is_success() {
        let (parts, body) = answer.into_parts();
        let mut reply = Reply::empty().status(status);
        reply.headers = parts.headers;
        reply.body = body;
        return Ok(Some(reply));
    }
    let mut shown = read(answer).await?;
    let number = shown["aggregate"]["id"].as_u64().unwrap_or_default();
    let moved = Moved {
        site: view.site,
        number,
    };
    if let Err(refused) = leave(services, request, aggregate, &moved).await {
        take_back(services, request, &moved, host).await?;
        return Err(refused);
    }
    numbers::lift(&mut shown, view.site);
    Reply::json(&shown).map(Some)
}

/// Makes an aggregate that moves here, with its first host.
pub(super) async fn arrived(
    services: &Services,
    request: &Request,
    wish: &NewAggregate,
    moving: &MovingAggregate,
) -> Result<Reply, ApiError> {
    let made = transact(&services.store, |tx| {
        let all = tx.all::<Aggregate>();
        let known = all.iter().find(|known| known.uuid == moving.uuid);
        let id = known.map_or_else(|| next_number(tx).to_string(), |known| known.id.clone());
        check_name_is_free(tx, &wish.name, Some(&id))?;
        let present = known.filter(|known| known.moved.is_none());
        let mut aggregate = Aggregate {
            id,
            uuid: moving.uuid.clone(),
            name: wish.name.clone(),
            zone: wish.availability_zone.clone(),
            hosts: present.map(|known| known.hosts.clone()).unwrap_or_default(),
            metadata: moving.metadata.clone(),
            created_at: moving.created_at,
            updated_at: Some(request.now),
            moved: None,
        };
        if !aggregate.hosts.contains(&moving.host) {
            put(tx, &mut aggregate, &moving.host)?;
        }
        if known.is_some() {
            tx.update(aggregate.clone())?;
        } else {
            tx.insert(aggregate.clone())?;
        }
        Ok(aggregate)
    })
    .await?;
    Reply::json(&json!({"aggregate": view::whole(request, &made)}))
}

/// The other site that has `host`. A site that cannot be asked might.
async fn site_of(
    services: &Services,
    request: &Request,
    host: &str,
) -> Result<Option<SiteView>, ApiError> {
    let mut others = services.sites.all();
    others.retain(|view| view.site != services.site);
    let (reachable, silent): (Vec<_>, Vec<_>) = others.into_iter().partition(|view| view.reachable);
    let mut silent: Vec<String> = silent.into_iter().map(|view| view.name).collect();
    let mut found = Vec::new();
    let path = format!("{}/os-services?host={host}", root(request));
    let head = head(request, Method::GET, &path)?;
    for (view, answer) in ask_each(services, reachable, &head, PATIENCE).await {
        match answer {
            Some(answer) if answer.status().is_success() => {
                let listed = read(answer).await?;
                if listed["services"]
                    .as_array()
                    .is_some_and(|list| !list.is_empty())
                {
                    found.push(view);
                }
            }
            Some(_) => {}
            None => silent.push(view.name),
        }
    }
    if found.len() > 1 {
        let names: Vec<_> = found.into_iter().map(|view| view.name).collect();
        let names = names.join(", ");
        let message = format!("Several sites have a host {host}: {names}. Ask one of them.");
        return Err(ApiError::conflict(message));
    }
    match (found.pop(), silent.into_iter().next()) {
        (None, Some(site)) => Err(ApiError::SiteUnreachable { site }),
        (found, _) => Ok(found),
    }
}

/// Leaves word here where `aggregate` is now, unless it has been changed meanwhile.
async fn leave(
    services: &Services,
    request: &Request,
    aggregate: &Aggregate,
    moved: &Moved,
) -> Result<(), ApiError> {
    transact(&services.store, |tx| {
        let id = &aggregate.id;
        let stored = tx.get::<Aggregate>(id).ok_or_else(|| not_found(id))?;
        if stored.value() != aggregate {
            let reason = "It was changed at the same time";
            return Err(refused("add host to", id, reason, true).into());
        }
        tx.update(Aggregate {
            zone: None,
            hosts: BTreeSet::new(),
            metadata: BTreeMap::new(),
            updated_at: Some(request.now),
            moved: Some(moved.clone()),
            ..aggregate.clone()
        })?;
        Ok(())
    })
    .await
}

/// Deletes at the other site what cannot be left here.
async fn take_back(
    services: &Services,
    request: &Request,
    moved: &Moved,
    host: &str,
) -> Result<(), ApiError> {
    let Moved { site, number } = moved;
    let body = json!({"remove_host": {"host": host}});
    let action = format!("/{number}/action");
    ask(services, request, *site, Method::POST, &action, &body).await?;
    let own = format!("/{number}");
    ask(services, request, *site, Method::DELETE, &own, &Value::Null).await?;
    Ok(())
}

/// The path of compute as the caller wrote it.
fn root(request: &Request) -> &str {
    let end = request.path.find("/os-aggregates");
    end.map_or("", |end| &request.path[..end])
}

fn head(request: &Request, method: Method, path: &str) -> Result<Head, ApiError> {
    let uri: Uri = path
        .parse()
        .map_err(|error| ApiError::internal(format!("{path} is no path: {error}")))?;
    let mut headers = request.headers.clone();
    headers.remove(http::header::CONTENT_LENGTH);
    Ok(Head {
        method,
        uri,
        headers,
    })
}

/// Asks `site` on behalf of the caller about its aggregates.
async fn ask(
    services: &Services,
    request: &Request,
    site: SitePrefix,
    method: Method,
    rest: &str,
    body: &Value,
) -> Result<Response<Body>, ApiError> {
    let path = format!("{}/os-aggregates{rest}", root(request));
    let bytes = match body {
        Value::Null => Bytes::new(),
        body => Bytes::from(body.to_string()),
    };
    let outgoing = Outgoing {
        head: head(request, method, &path)?,
        body: ForwardedBody::Whole(bytes),
    };
    forward(services, site, outgoing, &Arrival::default()).await
}

async fn read(answer: Response<Body>) -> Result<Value, ApiError> {
    let broken = |error: &dyn std::fmt::Display| {
        ApiError::internal(format!("reading the answer of a site: {error}"))
    };
    let bytes = to_bytes(answer.into_body(), ANSWER_MAX).await;
    let bytes = bytes.map_err(|error| broken(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| broken(&error))
}
