//! The identity service: who somebody is, what they may do where, and where the services are.
//!
//! Keystone's API v3 over the site's store. Tokens are signed by the site ([`token`], verifiable
//! offline) and say nothing that can go stale: whether one counts, and with which roles, is read
//! from the records at each use ([`standing`]). Every other service asks [`authenticate`] who sends
//! a request. Trusts, credentials and federation are not here yet.
//!
//! ```text
//! login ─▶ auth (methods, scope) ─▶ claims ─▶ signed token
//! token ─▶ signature (cached) ─▶ standing: user, scope, roles of this moment ─▶ caller
//! ```

mod access_rules;
mod app_creds;
mod assignments;
mod auth;
mod bootstrap;
mod cache;
mod catalog;
mod domains;
mod endpoints;
mod entitlement;
mod grants;
mod groups;
mod inferences;
mod listing;
pub mod model;
mod ownership;
mod password;
mod permits;
mod places;
mod presence;
mod projects;
mod refusal;
mod regions;
mod removal;
pub mod residency;
mod roles;
mod rotation;
mod services;
mod signing;
mod standing;
mod tags;
mod token;
mod trust;
mod users;
mod views;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use luc_api::identity::IdentityOp;
use luc_api::{ApiError, Service, discovery};
use luc_core::Entropy as _;

pub use bootstrap::{Founding, bootstrap, enlist_key};
pub use model::schema;
pub use ownership::{AsDomain, as_domain, identity_owned};
pub use password::HashCost;
pub use permits::settle_permits;
pub use presence::{
    admit_follower, admits_project, allow_site, disallow_site, retain_at, sites_of,
};
pub use rotation::{OldKey, forget_ended, rotate_key};
pub use signing::{SigningKey, SigningKeyError};
pub(crate) use trust::opens_cloud;

use crate::Services;
use crate::caller::Caller;
use crate::ports::{Drawn, Randomness};
use crate::reply::Reply;
use crate::request::Request;

/// The identity service's own parts.
pub struct Identity {
    key: RwLock<Arc<SigningKey>>,
    token_lifetime: Duration,
    passwords: password::Passwords,
    verified: cache::TokenCache,
    interests: presence::Interests,
}

impl Identity {
    /// Signs tokens that live for `token_lifetime` with `key`, and hashes passwords at `cost`.
    /// The key's public half must be in the store: [`bootstrap`] and [`enlist_key`] put it there.
    pub fn new(
        key: SigningKey,
        token_lifetime: Duration,
        cost: HashCost,
        random: &dyn Randomness,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            key: RwLock::new(Arc::new(key)),
            token_lifetime,
            passwords: password::Passwords::new(cost, bits(random))?,
            verified: cache::TokenCache::default(),
            interests: presence::Interests::default(),
        })
    }

    /// The key that signs at this moment.
    fn key(&self) -> Arc<SigningKey> {
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&key)
    }
}

/// Random bits.
fn bits<const N: usize>(random: &dyn Randomness) -> [u8; N] {
    let mut bytes = [0u8; N];
    Drawn(random).fill(&mut bytes);
    bytes
}

/// Whom `token` means at this moment: called for each request to each service. Everything is read
/// from this site's own store; see [`welcome`] for a site that lacks what it needs.
///
/// Every refusal is the same 401 to the caller; the reason is for the log.
pub fn authenticate(services: &Services, token: &str) -> Result<Arc<Caller>, ApiError> {
    let caller = recognise(services, token)?;
    if let Some(project) = caller.project_id() {
        let interests = &services.identity.interests;
        interests.touch(services, project, services.clock.now());
    }
    Ok(caller)
}

/// As [`authenticate`], but where this site holds nothing of the domains that a valid token of
/// another site is about it follows them first. That happens once per domain; if their home is
/// silent the refusal names it.
pub async fn welcome(services: &Services, token: &str) -> Result<Arc<Caller>, ApiError> {
    let refusal = match authenticate(services, token) {
        Ok(caller) => return Ok(caller),
        Err(refusal) => refusal,
    };
    if !fetch_for(services, token).await? {
        return Err(refusal);
    }
    authenticate(services, token)
}

/// Sees to it that this site holds the domains that a token of a known key is about, as far as it
/// may; whether it lacked any. An error names the silent site that has one.
async fn fetch_for(services: &Services, token: &str) -> Result<bool, ApiError> {
    let snapshot = services.store.snapshot();
    let Ok((claims, kid)) = auth::read(&snapshot, token) else {
        return Ok(false);
    };
    let lacking = claims.domains.iter();
    let lacking: Vec<_> = lacking
        .filter(|domain| !presence::holds(services, &snapshot, domain.as_str()))
        .collect();
    for domain in &lacking {
        presence::reach_signed(services, domain, &kid).await?;
    }
    Ok(!lacking.is_empty())
}

fn recognise(services: &Services, token: &str) -> Result<Arc<Caller>, ApiError> {
    let identity = &services.identity;
    let now = services.clock.now();
    let snapshot = services.store.snapshot();
    let digest = cache::digest(token);
    let known = identity.verified.get(&digest);
    if let Some(known) = &known
        && known.revision == snapshot.revision()
        && now < known.caller.expires_at
    {
        return Ok(Arc::clone(&known.caller));
    }
    let (claims, kid) = if let Some(known) = known {
        (known.claims, known.kid)
    } else {
        let read = auth::read(&snapshot, token);
        let (claims, kid) = read.map_err(|error| refusal::unauthorized(error.reason()))?;
        (Arc::new(claims), Arc::from(kid))
    };
    let bench = standing::Bench {
        snapshot: &snapshot,
        trust: &trust::Trust::of(services),
        now,
    };
    let caller = standing::caller_of(&bench, &claims, &kid).map_err(|void| {
        identity.verified.forget(&digest);
        refusal::unauthorized(void.reason())
    })?;
    let caller = Arc::new(caller);
    let revision = snapshot.revision();
    identity.verified.put(
        digest,
        cache::Known {
            claims,
            kid,
            caller: Arc::clone(&caller),
            revision,
        },
    );
    Ok(caller)
}

/// Carries out an operation of the identity service.
#[expect(
    clippy::too_many_lines,
    reason = "one line for each row of the endpoint table"
)]
pub async fn handle(
    services: &Arc<Services>,
    op: IdentityOp,
    request: &mut Request,
) -> Result<Reply, ApiError> {
    use IdentityOp as Op;
    let request = &*request;
    match op {
        Op::ListVersions => {
            let base = &request.base_url;
            let location = format!("{}/", Service::Identity.url(base));
            let versions = Reply::json(&discovery::root(Service::Identity, base))?;
            let status = discovery::root_status(Service::Identity);
            let status = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::OK);
            versions
                .status(status)
                .header(http::header::LOCATION, &location)
        }
        Op::ShowVersion => Reply::json(&discovery::version(Service::Identity, &request.base_url)),

        Op::IssueToken => auth::issue(services, request).await,
        Op::ValidateToken | Op::CheckToken => auth::validate(services, request).await,
        Op::RevokeToken => auth::revoke(services, request).await,
        Op::ShowCatalog => auth::show_catalog(services, request),
        Op::ListOwnProjects => auth::list_projects(services, request),
        Op::ListOwnDomains => auth::list_domains(services, request),
        Op::ShowOwnSystem => auth::show_system(services, request),

        Op::ListDomains => domains::list(services, request),
        Op::CreateDomain => domains::create(services, request).await,
        Op::ShowDomain => domains::show(services, request),
        Op::UpdateDomain => domains::update(services, request).await,
        Op::DeleteDomain => domains::delete(services, request).await,

        Op::ListProjects => projects::list(services, request),
        Op::CreateProject => projects::create(services, request).await,
        Op::ShowProject => projects::show(services, request),
        Op::UpdateProject => projects::update(services, request).await,
        Op::DeleteProject => projects::delete(services, request).await,
        Op::ListTags => tags::list(services, request),
        Op::ReplaceTags => tags::replace(services, request).await,
        Op::DeleteTags => tags::clear(services, request).await,
        Op::CheckTag => tags::check(services, request),
        Op::AddTag => tags::add(services, request).await,
        Op::RemoveTag => tags::remove(services, request).await,

        Op::ListUsers => users::list(services, request),
        Op::CreateUser => users::create(services, request).await,
        Op::ShowUser => users::show(services, request),
        Op::UpdateUser => users::update(services, request).await,
        Op::DeleteUser => users::delete(services, request).await,
        Op::ChangePassword => users::change_password(services, request).await,
        Op::ListUserProjects => users::list_projects(services, request),
        Op::ListUserGroups => users::list_groups(services, request),
        Op::RevokeUserTokens => users::revoke_tokens(services, request).await,

        Op::ListAppCreds => app_creds::list(services, request),
        Op::CreateAppCred => app_creds::create(services, request).await,
        Op::ShowAppCred => app_creds::show(services, request),
        Op::DeleteAppCred => app_creds::delete(services, request).await,
        Op::ListAccessRules => access_rules::list(services, request),
        Op::ShowAccessRule => access_rules::show(services, request),
        Op::DeleteAccessRule => access_rules::delete(services, request).await,

        Op::ListGroups => groups::list(services, request),
        Op::CreateGroup => groups::create(services, request).await,
        Op::ShowGroup => groups::show(services, request),
        Op::UpdateGroup => groups::update(services, request).await,
        Op::DeleteGroup => groups::delete(services, request).await,
        Op::ListGroupUsers => groups::list_users(services, request),
        Op::CheckGroupUser => groups::check_user(services, request),
        Op::AddGroupUser => groups::add_user(services, request).await,
        Op::RemoveGroupUser => groups::remove_user(services, request).await,

        Op::ListRoles => roles::list(services, request),
        Op::CreateRole => roles::create(services, request).await,
        Op::ShowRole => roles::show(services, request),
        Op::UpdateRole => roles::update(services, request).await,
        Op::DeleteRole => roles::delete(services, request).await,
        Op::ListImpliedRoles => inferences::list_of_role(services, request),
        Op::ShowImpliedRole => inferences::show(services, request),
        Op::CheckImpliedRole => inferences::check(services, request),
        Op::AddImpliedRole => inferences::add(services, request).await,
        Op::RemoveImpliedRole => inferences::remove(services, request).await,
        Op::ListRoleInferences => inferences::list(services, request),

        Op::ListAssignments => assignments::list(services, request),
        Op::ListProjectUserRoles
        | Op::ListProjectGroupRoles
        | Op::ListDomainUserRoles
        | Op::ListDomainGroupRoles
        | Op::ListSystemUserRoles
        | Op::ListSystemGroupRoles => grants::list(services, request),
        Op::CheckProjectUserRole
        | Op::CheckProjectGroupRole
        | Op::CheckDomainUserRole
        | Op::CheckDomainGroupRole
        | Op::CheckSystemUserRole
        | Op::CheckSystemGroupRole => grants::check(services, request),
        Op::AddProjectUserRole
        | Op::AddProjectGroupRole
        | Op::AddDomainUserRole
        | Op::AddDomainGroupRole
        | Op::AddSystemUserRole
        | Op::AddSystemGroupRole => grants::add(services, request).await,
        Op::RemoveProjectUserRole
        | Op::RemoveProjectGroupRole
        | Op::RemoveDomainUserRole
        | Op::RemoveDomainGroupRole
        | Op::RemoveSystemUserRole
        | Op::RemoveSystemGroupRole => grants::remove(services, request).await,

        Op::ListServices => services::list(services, request),
        Op::CreateService => services::create(services, request).await,
        Op::ShowService => services::show(services, request),
        Op::UpdateService => services::update(services, request).await,
        Op::DeleteService => services::delete(services, request).await,
        Op::ListEndpoints => endpoints::list(services, request),
        Op::CreateEndpoint => endpoints::create(services, request).await,
        Op::ShowEndpoint => endpoints::show(services, request),
        Op::UpdateEndpoint => endpoints::update(services, request).await,
        Op::DeleteEndpoint => endpoints::delete(services, request).await,
        Op::ListRegions => regions::list(services, request),
        Op::CreateRegion | Op::PutRegion => regions::create(services, request).await,
        Op::ShowRegion => regions::show(services, request),
        Op::UpdateRegion => regions::update(services, request).await,
        Op::DeleteRegion => regions::delete(services, request).await,
    }
}

#[cfg(test)]
pub(crate) mod tests;
