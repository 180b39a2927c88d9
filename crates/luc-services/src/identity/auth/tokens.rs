//! Tokens that somebody asks about, or ends: `GET`, `HEAD` and `DELETE /v3/auth/tokens`.

use std::time::Duration;

use luc_api::ApiError;
use luc_api::policy::Attributes;
use luc_api::value::parse_bool;
use luc_core::time::Timestamp;
use luc_core::{SitePrefix, Uuid};
use luc_state::Tx;

use super::super::fetch_for;
use super::super::model::Revocation;
use super::super::refusal::{Refusal, transact};
use super::super::standing::{Bench, caller_of};
use super::super::token::Claims;
use super::super::trust::Trust;
use super::login::{SUBJECT_TOKEN, shown};
use super::read;
use crate::Services;
use crate::caller::Caller;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

/// How long after its end a token is still told of to those who ask for it with `allow_expired`:
/// services finish long operations under it (Keystone's `allow_expired_window`).
pub(in super::super) const EXPIRED_WINDOW: Duration = Duration::from_secs(48 * 3600);

/// From how many revocations on the expired ones among them are removed with the next.
const REVOCATIONS_KEPT: usize = 256;

/// A service that understands access rules says so by this header; to others such tokens are not
/// shown, for they would take them for more than they are.
const ACCESS_RULES: &str = "openstack-identity-access-rules";

/// Shows a token that counts. `HEAD` is the same without the body.
pub(in super::super) async fn validate(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.caller()?;
    let subject = subject_of(request)?;
    fetch_for(services, subject).await?;
    let (_, caller) = look_up(services, request, subject)?;
    request.authorize(&target(&caller))?;
    let shown = shown(&services.store.snapshot(), request, &caller);
    Reply::json(&shown)?.header(SUBJECT_TOKEN.clone(), subject)
}

/// Ends a token. Those that were made from it end with it unless `cascade=false`.
pub(in super::super) async fn revoke(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.caller()?;
    let subject = subject_of(request)?;
    fetch_for(services, subject).await?;
    let (claims, caller) = look_up(services, request, subject)?;
    request.authorize(&target(&caller))?;
    let chain = request
        .query
        .get("cascade")
        .and_then(parse_bool)
        .unwrap_or(true);
    let ended = Revocation {
        id: Uuid::born_at(services.site, &mut Drawn(&*services.random)).simple(),
        audit_id: claims.audit_ids.first().cloned().unwrap_or_default(),
        chain,
        expires_at: claims.expires_at().plus(EXPIRED_WINDOW),
    };
    let crowded = services.store.snapshot().count::<Revocation>() >= REVOCATIONS_KEPT;
    transact(services, |tx| {
        if crowded {
            forget_expired(tx, services.site, request.now)?;
        }
        tx.insert(ended.clone())?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// Removes what this site revoked and what has ended since.
pub(in super::super) fn forget_expired(
    tx: &mut Tx<'_>,
    site: SitePrefix,
    now: Timestamp,
) -> Result<usize, Refusal> {
    let mut forgotten = 0;
    for revocation in tx.all::<Revocation>() {
        if revocation.home() == site && revocation.expires_at <= now {
            tx.delete::<Revocation>(&revocation.id)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

fn subject_of(request: &Request) -> Result<&str, ApiError> {
    let subject = request
        .headers
        .get(&SUBJECT_TOKEN)
        .and_then(|value| value.to_str().ok());
    subject
        .filter(|subject| !subject.is_empty())
        .ok_or_else(|| ApiError::not_found("No token in the request"))
}

/// What the token says and whom it means.
fn look_up(
    services: &Services,
    request: &Request,
    subject: &str,
) -> Result<(Claims, Caller), ApiError> {
    let invalid = || ApiError::not_found("Failed to validate token");
    let snapshot = services.store.snapshot();
    let (claims, kid) = read(&snapshot, subject)
        .map_err(|_| ApiError::not_found("Could not recognize the token"))?;
    let expired_too = request
        .query
        .get("allow_expired")
        .and_then(parse_bool)
        .unwrap_or(false);
    let told_until = claims.expires_at().plus(EXPIRED_WINDOW);
    let now = if expired_too && request.now < told_until {
        request.now.min(claims.issued_at())
    } else {
        request.now
    };
    let bench = Bench {
        snapshot: &snapshot,
        trust: &Trust::of(services),
        now,
    };
    let caller = caller_of(&bench, &claims, &kid).map_err(|_| invalid())?;
    let narrowed = caller
        .app_cred
        .as_ref()
        .is_some_and(|cred| cred.access_rules.is_some());
    if narrowed && !understands_access_rules(request) {
        return Err(invalid());
    }
    Ok((claims, caller))
}

fn understands_access_rules(request: &Request) -> bool {
    let version = request
        .headers
        .get(ACCESS_RULES)
        .and_then(|value| value.to_str().ok());
    version
        .and_then(|text| text.trim().parse::<f64>().ok())
        .is_some_and(|version| version >= 1.0)
}

fn target(subject: &Caller) -> Attributes<'_> {
    Attributes::new()
        .with("target.token.user_id", subject.user_id.as_str())
        .with(
            "target.token.user.domain.id",
            subject.user_domain.id.as_str(),
        )
}
