//! The proofs of identity: password, token, application credential.
//!
//! Each proves one user; several must prove the same. A user that does not exist, is disabled, or
//! whose domain is, costs the same time and gives the same answer as a wrong password.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::identity::requests::{
    AppCredPayload, DomainChoice, IdentityRequest, PasswordPayload, TokenPayload,
};
use luc_api::value::Secret;
use luc_core::SitePrefix;
use luc_core::id::UserId;
use luc_core::time::Timestamp;
use luc_state::{Snapshot, Stored, key};

use super::super::fetch_for;
use super::super::model::{AppCred, Domain, User};
use super::super::presence::{reach, reach_id};
use super::super::refusal::{expected, forbidden_action, not_found, unauthorized};
use super::super::standing::{Bench, caller_of, limited_by};
use super::super::token::{Claim, Claims, Epochs};
use super::super::trust::Trust;
use super::{read, scoping};
use crate::Services;
use crate::request::Request;

/// By password.
pub(super) const PASSWORD: &str = "password";
/// By an earlier token.
pub(super) const TOKEN: &str = "token";
/// By an application credential.
pub(super) const APP_CRED: &str = "application_credential";

/// The methods that there are.
pub(super) const METHODS: [&str; 3] = [PASSWORD, TOKEN, APP_CRED];

/// Who somebody has been proved to be, and what limits the token that follows.
pub(super) struct Proof {
    /// The user.
    pub(super) user: UserId,
    /// The methods, those behind an earlier token included.
    pub(super) methods: Vec<String>,
    /// The epochs of user and domain in which this was proved.
    pub(super) epochs: Epochs,
    /// The audit id of the first token of the chain.
    pub(super) chain: Option<String>,
    /// When the token must end at the latest.
    pub(super) expires_at: Option<Timestamp>,
    /// Whether a token of the system is exchanged.
    pub(super) from_system: bool,
    /// The application credential that was shown.
    pub(super) app_cred: Option<Arc<Stored<AppCred>>>,
    /// The site on whose word alone an earlier token rests, if it is not trusted.
    pub(super) via: Option<SitePrefix>,
}

impl Proof {
    fn of(user: &User, domain: &Domain, method: &str) -> Self {
        let epochs = Epochs {
            user: user.token_epoch,
            user_domain: domain.token_epoch,
            ..Epochs::default()
        };
        Self {
            user: user.id.clone(),
            methods: vec![method.to_owned()],
            epochs,
            chain: None,
            expires_at: None,
            from_system: false,
            app_cred: None,
            via: None,
        }
    }

    /// Both proofs together, if they are of the same user at the same time.
    fn and(mut self, other: Self) -> Result<Self, ApiError> {
        if self.user != other.user || self.epochs != other.epochs {
            return Err(unauthorized("the methods prove different users"));
        }
        for method in other.methods {
            if !self.methods.contains(&method) {
                self.methods.push(method);
            }
        }
        self.chain = self.chain.or(other.chain);
        self.expires_at = [self.expires_at, other.expires_at]
            .into_iter()
            .flatten()
            .min();
        self.from_system |= other.from_system;
        self.app_cred = self.app_cred.or(other.app_cred);
        self.via = self.via.or(other.via);
        Ok(self)
    }
}

/// Proves who asks by all the `named` methods.
pub(super) async fn prove(
    services: &Services,
    request: &Request,
    identity: &IdentityRequest,
    named: &[String],
) -> Result<Proof, ApiError> {
    let mut proved: Option<Proof> = None;
    if let Some(payload) = identity.token.as_ref().filter(|_| has(named, TOKEN)) {
        fetch_for(services, payload.id.reveal()).await?;
        proved = Some(by_token(services, request, payload)?);
    }
    if let Some(payload) = identity.password.as_ref().filter(|_| has(named, PASSWORD)) {
        let proof = by_password(services, payload).await?;
        proved = Some(match proved {
            Some(before) => before.and(proof)?,
            None => proof,
        });
    }
    let app_cred = identity.application_credential.as_ref();
    if let Some(payload) = app_cred.filter(|_| has(named, APP_CRED)) {
        let proof = by_app_cred(services, request, payload).await?;
        proved = Some(match proved {
            Some(before) => before.and(proof)?,
            None => proof,
        });
    }
    proved.ok_or_else(|| unauthorized("no method was named"))
}

fn has(named: &[String], method: &str) -> bool {
    named.iter().any(|name| name == method)
}

async fn by_password(services: &Services, payload: &PasswordPayload) -> Result<Proof, ApiError> {
    let payload = payload
        .user
        .as_ref()
        .ok_or_else(|| expected("user", PASSWORD))?;
    fetch_user(services, payload.id.as_deref(), payload.domain.as_ref()).await?;
    let snapshot = services.store.snapshot();
    let by_name = payload.name.as_deref().filter(|name| !name.is_empty());
    let user = find_user(
        &snapshot,
        payload.id.as_deref(),
        by_name,
        payload.domain.as_ref(),
    )?;
    let secret = payload.password.clone().unwrap_or_else(|| Secret::new(""));
    let hashed = user.as_ref().and_then(|user| user.password.as_ref());
    if !services.identity.passwords.check(hashed, &secret).await? {
        return Err(unauthorized("no such user, or a wrong password"));
    }
    let user = user.ok_or_else(|| unauthorized("no such user"))?;
    let domain = usable_domain(&snapshot, &user)?;
    Ok(Proof::of(&user, &domain, PASSWORD))
}

/// Sees to it that this site holds the domain of a user, if it may.
async fn fetch_user(
    services: &Services,
    id: Option<&str>,
    domain: Option<&DomainChoice>,
) -> Result<(), ApiError> {
    let snapshot = services.store.snapshot();
    if let Some(domain) = domain.and_then(|choice| scoping::domain(&snapshot, choice).ok()) {
        return reach(services, domain.id.as_str()).await;
    }
    match id.filter(|id| snapshot.get::<User>(id).is_none()) {
        Some(id) => reach_id(services, id).await,
        None => Ok(()),
    }
}

/// Sees to it that this site holds the domain of an application credential, if it may.
async fn fetch_app_cred(services: &Services, payload: &AppCredPayload) -> Result<(), ApiError> {
    if let Some(id) = payload.id.as_deref().filter(|id| !id.is_empty()) {
        let here = services.store.snapshot().get::<AppCred>(id).is_some();
        return if here {
            Ok(())
        } else {
            reach_id(services, id).await
        };
    }
    match &payload.user {
        Some(user) => fetch_user(services, user.id.as_deref(), user.domain.as_ref()).await,
        None => Ok(()),
    }
}

/// The user of an id, or of a name in a domain. A name without a domain is a 400, what does not
/// exist is `None`.
fn find_user(
    snapshot: &Snapshot,
    id: Option<&str>,
    name: Option<&str>,
    domain: Option<&DomainChoice>,
) -> Result<Option<Arc<Stored<User>>>, ApiError> {
    let Some(name) = name else {
        let id = id
            .filter(|id| !id.is_empty())
            .ok_or_else(|| expected("id or name", "user"))?;
        return Ok(snapshot.get::<User>(id));
    };
    let domain = domain.ok_or_else(|| expected("domain", "user"))?;
    match scoping::domain(snapshot, domain) {
        Ok(domain) => Ok(snapshot.one(&User::BY_NAME, &key(&[domain.id.as_str(), name]))),
        Err(ApiError::Unauthorized { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The domain of a user who may authenticate.
fn usable_domain(snapshot: &Snapshot, user: &User) -> Result<Arc<Stored<Domain>>, ApiError> {
    let domain = snapshot
        .get::<Domain>(&user.domain_id)
        .filter(|domain| domain.enabled);
    domain
        .filter(|_| user.enabled)
        .ok_or_else(|| unauthorized("the user or the user's domain is disabled"))
}

fn by_token(
    services: &Services,
    request: &Request,
    payload: &TokenPayload,
) -> Result<Proof, ApiError> {
    let (claims, via) = verified(services, payload.id.reveal(), request.now)?;
    if claims.methods.iter().any(|method| method == APP_CRED) {
        return Err(forbidden_action(
            "Using a delegated token to create another token is not allowed.",
        ));
    }
    let mut methods = vec![TOKEN.to_owned()];
    methods.extend(
        claims
            .methods
            .iter()
            .filter(|method| *method != TOKEN)
            .cloned(),
    );
    Ok(Proof {
        user: claims.user.clone(),
        methods,
        epochs: Epochs {
            project: 0,
            domain: 0,
            ..claims.epochs
        },
        chain: claims.chain().cloned(),
        expires_at: Some(claims.expires_at()),
        from_system: claims.scope == Claim::System,
        app_cred: None,
        via,
    })
}

/// What a token says that counts at `now`, and the site whose word limits it; anything else is a
/// 404, as Keystone answers for tokens that are asked about.
fn verified(
    services: &Services,
    token: &str,
    now: Timestamp,
) -> Result<(Claims, Option<SitePrefix>), ApiError> {
    if token.is_empty() {
        return Err(ApiError::not_found("No token in the request"));
    }
    let snapshot = services.store.snapshot();
    let (claims, kid) =
        read(&snapshot, token).map_err(|_| ApiError::not_found("Could not recognize the token"))?;
    let bench = Bench {
        snapshot: &snapshot,
        trust: &Trust::of(services),
        now,
    };
    caller_of(&bench, &claims, &kid)
        .map_err(|_| ApiError::not_found("Failed to validate token"))?;
    let via = limited_by(&bench, &claims, &kid);
    Ok((claims, via))
}

async fn by_app_cred(
    services: &Services,
    request: &Request,
    payload: &AppCredPayload,
) -> Result<Proof, ApiError> {
    fetch_app_cred(services, payload).await?;
    let snapshot = services.store.snapshot();
    let cred = find_app_cred(&snapshot, payload)?;
    let secret = payload.secret.clone().unwrap_or_else(|| Secret::new(""));
    let hashed = cred.as_ref().map(|cred| &cred.secret);
    if !services.identity.passwords.check(hashed, &secret).await? {
        return Err(unauthorized(
            "no such application credential, or a wrong secret",
        ));
    }
    let cred = cred.ok_or_else(|| unauthorized("no such application credential"))?;
    if cred.expires_at.is_some_and(|end| end <= request.now) {
        return Err(unauthorized("the application credential has expired"));
    }
    let user = snapshot.get::<User>(&cred.user_id);
    let user = user.ok_or_else(|| unauthorized("the user of the credential is gone"))?;
    let domain = usable_domain(&snapshot, &user)?;
    let mut proof = Proof::of(&user, &domain, APP_CRED);
    proof.expires_at = cred.expires_at;
    proof.app_cred = Some(cred);
    Ok(proof)
}

fn find_app_cred(
    snapshot: &Snapshot,
    payload: &AppCredPayload,
) -> Result<Option<Arc<Stored<AppCred>>>, ApiError> {
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(id) = filled(&payload.id) {
        let cred = snapshot.get::<AppCred>(&id);
        return cred
            .map(Some)
            .ok_or_else(|| not_found("Application Credential", &id));
    }
    let place = "application credential";
    let name = filled(&payload.name).ok_or_else(|| expected("name or ID", place))?;
    let user = payload
        .user
        .as_ref()
        .ok_or_else(|| expected("user", place))?;
    let by_name = user.name.as_deref().filter(|_| filled(&user.id).is_none());
    let user = find_user(snapshot, user.id.as_deref(), by_name, user.domain.as_ref())?;
    Ok(user.and_then(|user| snapshot.one(&AppCred::BY_NAME, &key(&[user.id.as_str(), &name]))))
}
