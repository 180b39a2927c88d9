//! A request as handlers see it: who asks, for what, with which parameters and body.
//!
//! The dispatcher builds it after routing, authentication and version negotiation. A handler reads
//! the body as a type of the endpoint table, and *must* check the policy rule of its row through
//! [`Request::authorize`] before it answers: the dispatcher refuses to send an answer for which no
//! check was made.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use luc_api::body::{self, RequestBody};
use luc_api::endpoint::Access;
use luc_api::policy::{Attributes, Policy, Target};
use luc_api::query::Query;
use luc_api::{ApiError, Endpoint, Microversion, Service};
use luc_core::time::Timestamp;

use crate::caller::Caller;

/// The body of a request, as far as it has been read.
pub enum Payload {
    /// Read whole, within the endpoint's limit.
    Bytes(Bytes),
    /// To be streamed by the handler.
    Stream(Streamed),
}

/// A body that is read by one task only, so that a request may be looked at by many.
pub struct Streamed(Mutex<Body>);

impl Streamed {
    /// The body itself.
    pub fn into_body(self) -> Body {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Body> for Payload {
    fn from(body: Body) -> Self {
        Self::Stream(Streamed(Mutex::new(body)))
    }
}

/// Where what a request makes may be placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Here, or where there is room.
    #[default]
    Anywhere,
    /// Here; another site asks, and tries the next if there is no room.
    Here,
    /// Here, room or not: nobody else has any.
    Last,
}

/// A routed, authenticated request.
pub struct Request {
    /// The row of the endpoint table.
    pub endpoint: &'static Endpoint,
    /// `req-` and a UUID; on every answer and in every log line.
    pub request_id: String,
    /// `scheme://host:port` under which the caller reached this node; links start with it.
    pub base_url: String,
    /// The path as it was asked, without the query; for pagination links.
    pub path: String,
    /// The microversion in force.
    pub version: Microversion,
    /// When the request arrived.
    pub now: Timestamp,
    /// The decoded `{parameters}` of the path.
    pub params: Vec<(&'static str, String)>,
    /// The decoded query string.
    pub query: Query,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The body.
    pub payload: Payload,
    pub(crate) place: Place,
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) authorized: AtomicBool,
}

impl Request {
    /// The caller; a 401 where there is none.
    pub fn caller(&self) -> Result<&Arc<Caller>, ApiError> {
        self.caller
            .as_ref()
            .ok_or(ApiError::Unauthorized { reason: "no token" })
    }

    /// The caller's project; a 403 where the token is not scoped to one.
    pub fn project_id(&self) -> Result<&luc_core::id::ProjectId, ApiError> {
        self.caller()?.project_id().ok_or_else(|| {
            ApiError::forbidden("This operation needs a token that is scoped to a project.")
        })
    }

    /// A parameter of the path. The router has matched the row's path, so it is there.
    pub fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(key, _)| *key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The body as `T`, or the member that is wrong.
    pub fn body<T: RequestBody>(&self) -> Result<T, ApiError> {
        match &self.payload {
            Payload::Bytes(bytes) => body::parse(bytes, self.version),
            Payload::Stream(_) => Err(ApiError::internal("a stream was read as JSON")),
        }
    }

    /// Checks the row's own rule against `target`; a 403 if it does not hold.
    pub fn authorize(&self, target: &dyn Target) -> Result<(), ApiError> {
        match self.endpoint.access {
            Access::Public => Ok(()),
            Access::Token => {
                self.authorized.store(true, Ordering::Relaxed);
                self.caller().map(drop)
            }
            Access::Rule(rule) => self.authorize_as(rule, target),
        }
    }

    /// Checks another rule: for the finer rules that some operations have beside their own.
    pub fn authorize_as(&self, rule: &str, target: &dyn Target) -> Result<(), ApiError> {
        self.authorized.store(true, Ordering::Relaxed);
        if self.may(rule, target) {
            return Ok(());
        }
        Err(ApiError::forbidden(match self.endpoint.service() {
            Service::Identity => {
                format!("You are not authorized to perform the requested action: {rule}.")
            }
            _ => format!("Policy doesn't allow {rule} to be performed."),
        }))
    }

    /// Whether `rule` holds for the caller and `target`: for what is shown or hidden by rights.
    pub fn may(&self, rule: &str, target: &dyn Target) -> bool {
        let Some(caller) = &self.caller else {
            return false;
        };
        let service = self.endpoint.service();
        let mut credentials = caller.credentials();
        if service != Service::Identity {
            credentials.is_admin = Some(self.policy.is_admin(service, &credentials));
        }
        self.policy
            .check(service, rule, &credentials, target)
            .is_allowed()
    }

    /// The target of operations without an object: the caller's own project and user.
    pub fn own_target(&self) -> Attributes<'_> {
        self.caller
            .as_ref()
            .map(|caller| caller.own_target())
            .unwrap_or_default()
    }
}
