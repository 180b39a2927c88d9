//! Which row of the endpoint table a request means, and whether its caller may ask it at all.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use luc_api::endpoint::{Access, Endpoint};
use luc_api::version::negotiate;
use luc_api::{ApiError, Microversion, Service, Verb};

use super::route::{Found, allowed};
use crate::caller::Caller;
use crate::request::Payload;

pub(super) static API_VERSION: HeaderName = HeaderName::from_static("openstack-api-version");
pub(super) static NOVA_VERSION: HeaderName =
    HeaderName::from_static("x-openstack-nova-api-version");

/// The microversion that the headers ask for.
pub(super) fn version_asked(
    service: Service,
    headers: &HeaderMap,
) -> Result<Microversion, ApiError> {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let modern: Vec<String> = headers
        .get_all(&API_VERSION)
        .iter()
        .filter_map(text)
        .collect();
    let legacy = headers.get(&NOVA_VERSION).and_then(text);
    negotiate(
        service,
        modern.iter().map(String::as_str),
        legacy.as_deref(),
    )
}

/// Refuses a caller without a token, or beyond the access rules of its credential.
pub(super) fn admit(
    endpoint: &Endpoint,
    caller: Option<&Caller>,
    method: &Method,
    path: &str,
) -> Result<(), ApiError> {
    let reason = match caller {
        _ if endpoint.access == Access::Public => return Ok(()),
        None => "no token",
        Some(caller) if !caller.permits(endpoint.service(), method.as_str(), path) => {
            "not within the access rules"
        }
        Some(_) => return Ok(()),
    };
    Err(ApiError::Unauthorized { reason })
}

/// The rows of the path for this method and microversion.
pub(super) fn candidates(
    found: &Found<'_>,
    method: &Method,
    version: Microversion,
) -> Result<Vec<&'static Endpoint>, ApiError> {
    let rows_of = |verb: Verb| -> Vec<&'static Endpoint> {
        found
            .rows
            .iter()
            .copied()
            .filter(|row| row.verb == verb)
            .collect()
    };
    let verb = Verb::of(method);
    let mut rows = verb.map(rows_of).unwrap_or_default();
    if rows.is_empty() && verb == Some(Verb::Head) {
        rows = rows_of(Verb::Get);
    }
    if rows.is_empty() {
        return Err(ApiError::MethodNotAllowed {
            method: method.to_string(),
            allowed: allowed(found.rows),
        });
    }
    let is_action = rows.iter().any(|row| row.action.is_some());
    if !is_action {
        rows.retain(|row| row.versions.contains(version));
        if rows.is_empty() {
            return Err(ApiError::not_found("The resource could not be found."));
        }
    } else if rows.iter().any(|row| row.versions.contains(version)) {
        rows.retain(|row| row.versions.contains(version));
    }
    Ok(rows)
}

/// The one row that is meant: the only one, or the one whose action the body names.
pub(super) fn select(
    candidates: &[&'static Endpoint],
    payload: &Payload,
) -> Result<&'static Endpoint, ApiError> {
    if let [only] = candidates
        && only.action.is_none()
    {
        return Ok(only);
    }
    let Payload::Bytes(bytes) = payload else {
        return Err(ApiError::internal("an action was streamed"));
    };
    let body: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(bytes).map_err(|error| {
            let message = format!("Malformed request body: expected a JSON object ({error})");
            ApiError::BadRequest { message }
        })?;
    let named = candidates
        .iter()
        .find(|row| row.action.is_some_and(|action| body.contains_key(action)))
        .or_else(|| candidates.iter().find(|row| row.action.is_none()));
    named.copied().ok_or_else(|| {
        let given = body.keys().next().map_or("(none)", String::as_str);
        ApiError::bad_request(format!("There is no such action: {given}"))
    })
}
