//! Issues tokens: `POST /v3/auth/tokens`.

use http::StatusCode;
use http::header::{HeaderName, WWW_AUTHENTICATE};
use luc_api::identity::requests::{IdentityRequest, IssueToken};
use luc_api::{ApiError, Service};
use luc_core::id::DomainId;
use luc_state::Snapshot;
use serde_json::{Value, json};

use super::super::model::User;
use super::super::refusal::{expected, forbidden_action, unauthorized};
use super::super::standing::{Bench, caller_of};
use super::super::token::{Claim, Claims};
use super::super::trust::Trust;
use super::super::{bits, cache, catalog, views};
use super::methods::{self, METHODS, Proof};
use super::scoping::{self, Wish};
use crate::Services;
use crate::caller::{Caller, Scope};
use crate::reply::Reply;
use crate::request::Request;

pub(super) static SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// Authenticates and issues a token.
pub(in super::super) async fn issue(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let IssueToken { auth } = request.body()?;
    let named = named_methods(&auth.identity)?;
    if named
        .iter()
        .any(|method| !METHODS.contains(&method.as_str()))
    {
        let message = "Attempted to authenticate with an unsupported method.";
        return refusal_with(request, message, &json!({"methods": METHODS}));
    }
    if auth.identity.application_credential.is_some()
        && named.iter().any(|method| method == methods::APP_CRED)
        && auth.scope.is_some()
    {
        let message = "Error authenticating with application credential: Application credentials \
                       cannot request a scope.";
        return refusal_with(request, message, &json!({}));
    }
    let wish = Wish::of(auth.scope.as_ref())?;
    let proof = methods::prove(services, request, &auth.identity, &named).await?;
    check_exchange(&proof, &wish)?;
    let wish = match &proof.app_cred {
        Some(cred) => Wish::of_app_cred(cred),
        None => wish,
    };
    scoping::fetch(services, &wish, &proof.user).await?;
    let (claims, caller) = claims_of(services, request, proof, &wish)?;
    let key = services.identity.key();
    let signed = claims.sign(&key);
    let signed = signed.map_err(|error| ApiError::internal(format!("writing a token: {error}")))?;
    remember(services, &signed, (claims, key.id()), &caller);
    let shown = shown(&services.store.snapshot(), request, &caller);
    Reply::json(&shown)?.header(SUBJECT_TOKEN.clone(), &signed)
}

/// The methods that are named, each once, all of which have a payload.
fn named_methods(identity: &IdentityRequest) -> Result<Vec<String>, ApiError> {
    let mut named: Vec<String> = Vec::new();
    for method in &identity.methods {
        let has_payload = match method.as_str() {
            methods::PASSWORD => identity.password.is_some(),
            methods::TOKEN => identity.token.is_some(),
            methods::APP_CRED => identity.application_credential.is_some(),
            other => identity.extra.contains_key(other),
        };
        if !has_payload {
            return Err(expected(method, "identity"));
        }
        if !named.contains(method) {
            named.push(method.clone());
        }
    }
    Ok(named)
}

/// What a token may not be exchanged for: from the system there is no way down, or a stolen token
/// of the cloud's administrator would open every project.
fn check_exchange(proof: &Proof, wish: &Wish) -> Result<(), ApiError> {
    if proof.from_system && matches!(wish, Wish::Project(_) | Wish::Domain(_)) {
        return Err(forbidden_action(
            "Using a system-scoped token to create a project-scoped or domain-scoped token is not \
             allowed.",
        ));
    }
    Ok(())
}

/// What the token will say, and whom it means at this moment.
fn claims_of(
    services: &Services,
    request: &Request,
    proof: Proof,
    wish: &Wish,
) -> Result<(Claims, Caller), ApiError> {
    let snapshot = services.store.snapshot();
    let trust = Trust::of(services);
    let (scope, project_epoch, domain_epoch) =
        scoping::resolve(&snapshot, &trust, wish, &proof.user)?;
    let lifetime_end = request.now.plus(services.identity.token_lifetime);
    let ends = [Some(lifetime_end), proof.expires_at]
        .into_iter()
        .flatten()
        .min();
    let mut claims = Claims::new(proof.user, request.now, ends.unwrap_or(lifetime_end));
    claims.audit_ids = vec![audit_id(services)];
    claims.audit_ids.extend(proof.chain);
    claims.methods = proof.methods;
    claims.via = proof.via;
    claims.scope = scope;
    claims.app_cred = proof.app_cred.map(|cred| cred.id.clone());
    claims.epochs = proof.epochs;
    claims.epochs.project = project_epoch;
    claims.epochs.domain = domain_epoch;
    let bench = Bench {
        snapshot: &snapshot,
        trust: &trust,
        now: request.now,
    };
    let key = services.identity.key();
    let caller =
        caller_of(&bench, &claims, key.id()).map_err(|void| unauthorized(void.reason()))?;
    claims.domains = domains_of(&caller);
    check_rules(&snapshot, &claims)?;
    Ok((claims, caller))
}

/// The domains that a site must hold to know whom a token means.
fn domains_of(caller: &Caller) -> Vec<DomainId> {
    let mut domains = vec![caller.user_domain.id.clone()];
    match &caller.scope {
        Scope::Project { domain, .. } | Scope::Domain(domain) if !domains.contains(&domain.id) => {
            domains.push(domain.id.clone());
        }
        _ => {}
    }
    domains
}

/// Whether enough methods were used, by the rules that the user's options name: one of the rules
/// must be met, as far as it names methods that exist here. Without a rule, one method is enough.
fn check_rules(snapshot: &Snapshot, claims: &Claims) -> Result<(), ApiError> {
    let user = snapshot.get::<User>(&claims.user);
    let user = user.ok_or_else(|| unauthorized("the user is gone"))?;
    let option = |name: &str| user.options.get(name);
    let enabled = option("multi_factor_auth_enabled")
        .and_then(Value::as_bool)
        .unwrap_or(true);
    let rules = option("multi_factor_auth_rules").and_then(Value::as_array);
    let rules: Vec<Vec<&str>> = rules
        .into_iter()
        .flatten()
        .map(|rule| {
            let methods = rule
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            methods.filter(|method| METHODS.contains(method)).collect()
        })
        .filter(|rule: &Vec<&str>| !rule.is_empty())
        .collect();
    let is_met = |rule: &Vec<&str>| {
        rule.iter()
            .all(|method| claims.methods.iter().any(|used| used == method))
    };
    if !enabled || rules.is_empty() || rules.iter().any(is_met) {
        return Ok(());
    }
    Err(unauthorized(
        "more authentication methods are required of the user",
    ))
}

/// 128 random bits, in 22 characters.
fn audit_id(services: &Services) -> String {
    use base64::Engine as _;
    let bytes: [u8; 16] = bits(&*services.random);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// A token made here needs no verification when it comes back.
fn remember(services: &Services, signed: &str, read: (Claims, &str), caller: &Caller) {
    let known = cache::Known {
        claims: read.0.into(),
        kid: read.1.into(),
        caller: caller.clone().into(),
        // Of no snapshot: whom it means is read again when it is first used.
        revision: luc_state::Revision::ZERO,
    };
    services.identity.verified.put(cache::digest(signed), known);
}

/// The token as it is shown, with the catalog unless the query says otherwise.
pub(super) fn shown(snapshot: &Snapshot, request: &Request, caller: &Caller) -> Value {
    let wanted = !request.query.has("nocatalog");
    let catalog = wanted.then(|| catalog::of_caller(snapshot, caller, &request.base_url));
    views::token(caller, catalog)
}

/// A 401 that says in `identity` how to do better; it has a form of its own in Keystone.
fn refusal_with(request: &Request, message: &str, identity: &Value) -> Result<Reply, ApiError> {
    let error = json!({
        "code": 401, "identity": identity, "message": message, "title": "Unauthorized",
    });
    let realm = format!(
        "Keystone uri=\"{}\"",
        Service::Identity.url(&request.base_url)
    );
    let reply = Reply::json(&json!({"error": error}))?.status(StatusCode::UNAUTHORIZED);
    reply.header(WWW_AUTHENTICATE, &realm)
}

impl Wish {
    /// What an application credential is for.
    fn of_app_cred(cred: &super::super::model::AppCred) -> Self {
        match &cred.project_id {
            Some(project) => Self::Known(Claim::Project(project.clone())),
            None => Self::Unscoped,
        }
    }
}
