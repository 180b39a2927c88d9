//! The operator's API, beside the OpenStack services on the same port: sites, nodes, tickets,
//! operations, keys.
//!
//! | request | who | meaning |
//! |---|---|---|
//! | `GET /luc/v1/sites`, `GET /luc/v1/sites/<name>` | reader | the sites as seen from here |
//! | `DELETE /luc/v1/sites/<name>?insist=true&fenced=true` | admin | a site is removed for good |
//! | `POST /luc/v1/sites/leave` | admin | this site leaves |
//! | `POST /luc/v1/sites/<name>/domains` | admin | which domains an edge site may hold |
//! | `GET /luc/v1/nodes` | reader | the nodes of all sites |
//! | `DELETE /luc/v1/nodes/<id>?insist=true` | admin | a node's key is revoked |
//! | `POST /luc/v1/tickets` | admin | a ticket for a node or a site |
//! | `GET /luc/v1/dvms?all=true` | reader | the brains of the site or cloud, and their plans |
//! | `GET /luc/v1/quotas/<project>` | reader | where a project's limits are used and lent |
//! | `PUT /luc/v1/quotas/<project>/reserves/<site>` | admin | what is kept for a site |
//! | `GET /luc/v1/operations/<id>` | reader | what became of a forwarded write |
//! | `POST /luc/v1/signing-key` | admin | this site signs tokens with a new key |
//!
//! Callers show a token; the role `admin` on a project of the `default` domain, or system scope,
//! may change things, `reader` may look. What another site must do is handed on to it. Refusals
//! have one form: `{"error": {"code", "title", "message"}}`.

mod conflicts;
mod quotas;
mod views;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::{DomainId, NodeId, Uuid};
use luc_core::time::Timestamp;
use luc_services::Services;
use luc_services::caller::{Caller, Scope};
use luc_services::identity::model::Domain;
use luc_services::identity::{OldKey, rotate_key, settle_permits};
use luc_services::operations;
use luc_services::ports::sites::{ForwardError, Forwarded, ForwardedBody, Sites as _};
use luc_services::routing::disclosure::may_show;
use luc_services::sites::{self, Going, Invitation, Label, NodeInfo, Purpose};
use luc_state::key;
use serde::Deserialize;
use serde_json::{Value, json};

use super::assembly::Assembly;
use crate::brains::{self, Brains};
use crate::peering::Peering;

/// The longest body that is read.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How long another site may take over what is handed on to it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the routes need.
#[derive(Clone)]
pub struct Operators {
    /// The services.
    pub services: Arc<Services>,
    /// The node's end of the cloud.
    pub peering: Arc<Peering>,
    /// The conversation with other controllers.
    pub assembly: Arc<Assembly>,
    /// Where the node keeps its keys.
    pub data_dir: PathBuf,
    /// The brains of this process.
    pub brains: Arc<Brains>,
}

/// All routes, for people.
pub fn router(operators: Operators) -> Router {
    let operations = Router::new()
        .route("/luc/v1/dvms", get(dvms))
        .route("/luc/v1/operations/{id}", get(operation))
        .route("/luc/v1/signing-key", post(rotate))
        .with_state(operators.clone());
    shared_router(operators).merge(operations)
}

/// The routes that sites hand on to each other.
pub fn shared_router(operators: Operators) -> Router {
    Router::new()
        .route("/luc/v1/sites", get(list_sites))
        .route("/luc/v1/sites/leave", post(leave))
        .route("/luc/v1/sites/{site}", get(show_site).delete(remove_site))
        .route("/luc/v1/sites/{site}/domains", post(allow))
        .route("/luc/v1/nodes", get(list_nodes))
        .route("/luc/v1/nodes/{node}", delete(revoke))
        .route("/luc/v1/tickets", post(ticket))
        .route("/luc/v1/quotas/{project}", get(quotas::show))
        .route(
            "/luc/v1/quotas/{project}/reserves/{site}",
            put(quotas::reserve),
        )
        .with_state(operators)
}

/// A handler's outcome.
type Outcome = Result<Value, ApiError>;

/// Who may do it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Look.
    Reader,
    /// Change.
    Admin,
}

impl Operators {
    /// The caller, if the token lets it.
    async fn admit(&self, headers: &HeaderMap, needs: Needs) -> Result<(), ApiError> {
        let token = headers.get("x-auth-token");
        let token = token.and_then(|token| token.to_str().ok());
        let token = token.ok_or(ApiError::Unauthorized { reason: "no token" })?;
        let caller = luc_services::identity::welcome(&self.services, token).await?;
        let role = match needs {
            Needs::Reader => "reader",
            Needs::Admin => "admin",
        };
        if of_the_cloud(&caller) && caller.has_role(role) {
            return Ok(());
        }
        Err(ApiError::forbidden(format!(
            "The role {role} on the system or on a project of the default domain is needed."
        )))
    }

    fn named(&self, text: &str) -> Result<SitePrefix, ApiError> {
        let found = self
            .peering
            .membership
            .with(|members| members.named(text).map(|member| member.site));
        found.ok_or_else(|| ApiError::not_found(format!("There is no site '{text}'.")))
    }

    /// The ids of domains that are named by name or id.
    fn domains(&self, named: Option<Vec<String>>) -> Result<Option<Vec<DomainId>>, ApiError> {
        let snapshot = self.services.store.snapshot();
        let id = |text: &String| {
            if let Some(domain) = snapshot.get::<Domain>(text.as_str()) {
                return Ok(domain.id.clone());
            }
            let mut by_name = snapshot.find(&Domain::BY_NAME, &key(&[text]));
            let named = by_name.next().map(|domain| domain.id.clone());
            // Another site may know an id that this one does not.
            let elsewhere = || Uuid::parse(text).ok().and(DomainId::parse(text).ok());
            let found = named.or_else(elsewhere);
            found.ok_or_else(|| ApiError::not_found(format!("There is no domain '{text}'.")))
        };
        named
            .map(|named| named.iter().map(id).collect())
            .transpose()
    }

    fn name_of(&self, site: SitePrefix) -> Option<String> {
        let membership = &self.peering.membership;
        membership.with(|members| members.site(site).map(|member| member.name.clone()))
    }

    /// Carries out a request, here or where it must be.
    async fn answer<W>(
        self,
        request: Request,
        needs: Needs,
        work: impl FnOnce(Self, Bytes) -> W + Send,
    ) -> Response
    where
        W: Future<Output = Outcome> + Send,
    {
        let (parts, body) = request.into_parts();
        if let Err(error) = self.admit(&parts.headers, needs).await {
            return refusal(&error);
        }
        let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
            return refusal(&ApiError::bad_request("The body is too long."));
        };
        match work(self.clone(), body.clone()).await {
            Ok(value) => Json(value).into_response(),
            Err(ApiError::Elsewhere { home }) => self.hand_on(home, parts, body).await,
            Err(error) => refusal(&error),
        }
    }

    async fn hand_on(
        &self,
        home: SitePrefix,
        parts: http::request::Parts,
        body: Bytes,
    ) -> Response {
        if !may_show(&self.services, home, &parts.headers) {
            let message = "An edge site must do this; your token is not shown to it.";
            return fault(StatusCode::FORBIDDEN, message);
        }
        let request = Forwarded {
            parts,
            body: ForwardedBody::Whole(body),
            operation: None,
            patience: PATIENCE,
        };
        match self.peering.sites.forward(home, request).await {
            Ok(response) => response,
            Err(error) => {
                let name = self.name_of(home).unwrap_or_else(|| home.to_string());
                let status = match error {
                    ForwardError::NotSent { .. } => StatusCode::SERVICE_UNAVAILABLE,
                    ForwardError::Unknown { .. } => StatusCode::GATEWAY_TIMEOUT,
                };
                fault(status, &format!("Site {name} must do this: {error}."))
            }
        }
    }
}

/// Whether the caller's token is about the cloud as a whole.
fn of_the_cloud(caller: &Caller) -> bool {
    match &caller.scope {
        Scope::System => true,
        Scope::Project { domain, .. } | Scope::Domain(domain) => domain.id.as_str() == "default",
        Scope::Unscoped => false,
    }
}

fn refusal(error: &ApiError) -> Response {
    let fault_of = luc_api::fault::render(luc_api::Service::Identity, error, true);
    let message = match error {
        ApiError::Unauthorized { .. } => "A valid token is needed (X-Auth-Token).".to_owned(),
        other => other.to_string(),
    };
    fault(fault_of.status, &message)
}

fn fault(status: StatusCode, message: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({"error": {"code": status.as_u16(), "title": title, "message": message}});
    (status, Json(body)).into_response()
}

async fn list_sites(State(operators): State<Operators>, request: Request) -> Response {
    let work =
        async move |operators: Operators, _: Bytes| Ok(json!({"sites": operators.site_views()}));
    operators.answer(request, Needs::Reader, work).await
}

async fn show_site(
    State(operators): State<Operators>,
    Path(site): Path<String>,
    request: Request,
) -> Response {
    let work = async move |operators: Operators, _: Bytes| {
        let home = operators.named(&site)?;
        let prefix = home.to_string();
        let views = operators.site_views();
        let found = views.into_iter().find(|view| view["id"] == prefix.as_str());
        let mut found = found.unwrap_or_default();
        let nodes = operators.node_views().await;
        let of_site = |node: &Value| node["site_id"] == prefix.as_str();
        found["nodes"] = nodes.into_iter().filter(of_site).collect();
        let snapshot = operators.services.store.snapshot();
        let name = |site| operators.name_of(site);
        found["conflicts"] = conflicts::listed(&snapshot, home, name).into();
        Ok(json!({"site": found}))
    };
    operators.answer(request, Needs::Reader, work).await
}

#[derive(Deserialize)]
struct Insist {
    #[serde(default)]
    insist: bool,
    #[serde(default)]
    fenced: bool,
}

async fn remove_site(
    State(operators): State<Operators>,
    Path(site): Path<String>,
    Query(asked): Query<Insist>,
    request: Request,
) -> Response {
    let work = async move |operators: Operators, _: Bytes| {
        // One that is gone already has only its prefix.
        let gone = |site: &SitePrefix| {
            operators
                .peering
                .membership
                .members()
                .removed
                .contains(site)
        };
        let prefix = match site.parse().ok().filter(gone) {
            Some(prefix) => prefix,
            None => operators.named(&site)?,
        };
        let going = Going {
            reason: "removed by an operator",
            insist: asked.insist,
            fenced: asked.fenced,
        };
        sites::remove(&operators.services, prefix, going).await?;
        Ok(json!({"removed": site}))
    };
    operators.answer(request, Needs::Admin, work).await
}

async fn leave(State(operators): State<Operators>, request: Request) -> Response {
    let work = async move |operators: Operators, _: Bytes| {
        sites::leave(&operators.services)?;
        let membership = &operators.peering.membership;
        let mut reasons = Vec::new();
        for site in membership.others() {
            if !membership.trusts(site) {
                continue;
            }
            match operators.assembly.farewell(site).await {
                Ok(()) => return Ok(json!({"left": operators.peering.site_name()})),
                Err(reason) => reasons.push(reason),
            }
        }
        let message = format!("No trusted site took note: {}.", reasons.join("; "));
        Err(ApiError::Unavailable { message })
    };
    operators.answer(request, Needs::Admin, work).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Domains {
    /// By name or id.
    domains: Option<Vec<String>>,
}

async fn allow(
    State(operators): State<Operators>,
    Path(site): Path<String>,
    request: Request,
) -> Response {
    let work = async move |operators: Operators, body: Bytes| {
        let prefix = operators.named(&site)?;
        let Domains { domains } = parsed(&body)?;
        let domains = operators.domains(domains)?;
        sites::allow(&operators.services, prefix, domains.clone()).await?;
        // Other homes of domains do so when the record arrives there.
        settle_permits(&operators.services).await?;
        Ok(json!({"site": site, "domains": domains}))
    };
    operators.answer(request, Needs::Admin, work).await
}

async fn list_nodes(State(operators): State<Operators>, request: Request) -> Response {
    let work = async move |operators: Operators, _: Bytes| {
        Ok(json!({"nodes": operators.node_views().await}))
    };
    operators.answer(request, Needs::Reader, work).await
}

async fn revoke(
    State(operators): State<Operators>,
    Path(node): Path<String>,
    Query(asked): Query<Insist>,
    request: Request,
) -> Response {
    let work = async move |operators: Operators, _: Bytes| {
        let snapshot = operators.services.store.snapshot();
        let named = |info: &NodeInfo| info.id.as_str() == node || info.key == node;
        let found = snapshot.all::<NodeInfo>().find(|info| named(info));
        let id = match found {
            Some(found) => found.id.clone(),
            None => NodeId::parse(&node).map_err(|e| ApiError::bad_request(e.to_string()))?,
        };
        let revoked = sites::revoke(&operators.services, &id, asked.insist).await?;
        Ok(json!({"revoked": revoked.key}))
    };
    operators.answer(request, Needs::Admin, work).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TicketBody {
    purpose: Purpose,
    #[serde(default)]
    label: Label,
    /// By name or id.
    #[serde(default)]
    domains: Option<Vec<String>>,
    #[serde(default = "an_hour")]
    expires_in_secs: u64,
}

const fn an_hour() -> u64 {
    3600
}

async fn ticket(State(operators): State<Operators>, request: Request) -> Response {
    let work = async move |operators: Operators, body: Bytes| {
        let asked: TicketBody = parsed(&body)?;
        let invitation = Invitation {
            purpose: asked.purpose,
            label: asked.label,
            domains: operators.domains(asked.domains)?,
            lifetime: Duration::from_secs(asked.expires_in_secs),
        };
        operators.peering.check_inviter()?;
        let inviter = operators.peering.inviter();
        let ticket = sites::invite(&operators.services, &inviter, &invitation).await?;
        Ok(json!({
            "ticket": ticket.encode(),
            "purpose": ticket.purpose,
            "label": ticket.label,
            "site": ticket.site_name,
            "expires": shown(ticket.expires),
        }))
    };
    operators.answer(request, Needs::Admin, work).await
}

async fn operation(
    State(operators): State<Operators>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let work = async move |operators: Operators, _: Bytes| {
        operations::show(&operators.services, &id).await
    };
    operators.answer(request, Needs::Reader, work).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    void_old: bool,
}

async fn rotate(State(operators): State<Operators>, request: Request) -> Response {
    let work = async move |operators: Operators, body: Bytes| {
        let Rotation { void_old } = parsed(&body)?;
        let services = &operators.services;
        let fresh = crate::identity::new_signing_key(&operators.data_dir, services.site);
        let fresh = fresh.map_err(|error| ApiError::internal(format!("{error:#}")))?;
        let id = fresh.id().to_owned();
        let old = if void_old { OldKey::Void } else { OldKey::Keep };
        rotate_key(services, fresh, old).await?;
        Ok(json!({"key": id}))
    };
    operators.answer(request, Needs::Admin, work).await
}

async fn dvms(
    State(operators): State<Operators>,
    Query(asked): Query<brains::api::Asked>,
    request: Request,
) -> Response {
    let work = async move |operators: Operators, _: Bytes| {
        let view = brains::api::view(&operators.brains, &operators.services, asked).await;
        serde_json::to_value(view).map_err(|error| ApiError::internal(error.to_string()))
    };
    operators.answer(request, Needs::Reader, work).await
}

/// A time as people and programs read it (RFC 3339); empty if it is beyond what that can say.
fn shown(at: Timestamp) -> String {
    let seconds = time::OffsetDateTime::from_unix_timestamp(at.unix_secs());
    let format = &time::format_description::well_known::Rfc3339;
    let text = seconds.ok().and_then(|seconds| seconds.format(format).ok());
    text.unwrap_or_default()
}

fn parsed<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(error.to_string()))
}
