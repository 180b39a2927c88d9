//! Whether a token still counts, and whom it means at this moment.
//!
//! A verified token is held against one snapshot: it must not have ended or been revoked, its user,
//! project and domains must be there, enabled, and in the epochs it was issued in, and its user
//! must
//! still have a role where it is good for. Nothing is remembered from the time it was issued.

use luc_core::time::Timestamp;
use luc_state::{Snapshot, key};

use super::entitlement::effective_roles;
use super::model::{AccessRule, AppCred, Domain, Place, Project, Revocation, User};
use super::token::{Claim, Claims};
use crate::caller::{AccessRuleRef, AppCredRef, Caller, DomainRef, RoleRef, Scope};

/// Why a token counts no longer. The reasons are for the log; callers hear nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Void {
    /// Its time is over.
    Expired,
    /// It, or the one it was made from, was revoked.
    Revoked,
    /// Its user is not there or disabled, or all the user's tokens were ended.
    User,
    /// What it is good for is not there or disabled.
    Scope,
    /// Its user has no role where it is good for.
    NoRole,
    /// Its application credential is not there.
    AppCred,
}

impl Void {
    /// Why, for the log.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Expired => "the token has expired",
            Self::Revoked => "the token was revoked",
            Self::User => "the user of the token is gone, disabled, or has ended it",
            Self::Scope => "the scope of the token is gone or disabled",
            Self::NoRole => "the user of the token has no role in its scope",
            Self::AppCred => "the application credential of the token is gone",
        }
    }
}

/// Whom `claims` mean at `now`.
pub(super) fn caller_of(
    snapshot: &Snapshot,
    claims: &Claims,
    now: Timestamp,
) -> Result<Caller, Void> {
    if claims.expires_at() <= now {
        return Err(Void::Expired);
    }
    if is_revoked(snapshot, &claims.audit_ids) {
        return Err(Void::Revoked);
    }
    let (user_name, user_domain) = user_of(snapshot, claims)?;
    let app_cred = claims.app_cred.as_ref().map(|id| {
        snapshot
            .get::<AppCred>(id)
            .filter(|cred| cred.user_id == claims.user)
            .ok_or(Void::AppCred)
    });
    let app_cred = app_cred.transpose()?;
    let (scope, place) = scope_of(snapshot, claims)?;
    let mut roles = Vec::new();
    if let Some(place) = place {
        roles = effective_roles(snapshot, claims.user.as_str(), &place);
        if let Some(cred) = &app_cred {
            roles.retain(|role| cred.roles.contains(&role.id));
        }
        if roles.is_empty() {
            return Err(Void::NoRole);
        }
    }
    let role = |role: &super::model::Role| RoleRef {
        id: role.id.clone(),
        name: role.name.clone(),
    };
    Ok(Caller {
        user_id: claims.user.clone(),
        user_name,
        user_domain,
        scope,
        roles: roles.iter().map(|stored| role(stored.value())).collect(),
        methods: claims.methods.clone(),
        audit_ids: claims.audit_ids.clone(),
        issued_at: claims.issued_at(),
        expires_at: claims.expires_at(),
        app_cred: app_cred.map(|cred| app_cred_ref(snapshot, cred.value())),
    })
}

/// Whether one of the revocations that are known means a token with these audit ids.
fn is_revoked(snapshot: &Snapshot, audit_ids: &[String]) -> bool {
    audit_ids.iter().enumerate().any(|(position, id)| {
        let own = position == 0;
        snapshot
            .find(&Revocation::BY_AUDIT_ID, &key(&[id]))
            .any(|event| own || event.chain)
    })
}

fn user_of(snapshot: &Snapshot, claims: &Claims) -> Result<(String, DomainRef), Void> {
    let user = snapshot.get::<User>(&claims.user).ok_or(Void::User)?;
    let domain = snapshot.get::<Domain>(&user.domain_id).ok_or(Void::User)?;
    let enabled = user.enabled && domain.enabled;
    let in_epoch =
        user.token_epoch == claims.epochs.user && domain.token_epoch == claims.epochs.user_domain;
    if !enabled || !in_epoch {
        return Err(Void::User);
    }
    Ok((user.name.clone(), domain_ref(domain.value())))
}

fn scope_of(snapshot: &Snapshot, claims: &Claims) -> Result<(Scope, Option<Place>), Void> {
    let domain_of = |id: &luc_core::id::DomainId| {
        let domain = snapshot.get::<Domain>(id).filter(|domain| domain.enabled);
        domain
            .filter(|domain| domain.token_epoch == claims.epochs.domain)
            .map(|domain| domain_ref(domain.value()))
            .ok_or(Void::Scope)
    };
    match &claims.scope {
        Claim::Unscoped => Ok((Scope::Unscoped, None)),
        Claim::System => Ok((Scope::System, Some(Place::System))),
        Claim::Domain(id) => Ok((
            Scope::Domain(domain_of(id)?),
            Some(Place::Domain(id.clone())),
        )),
        Claim::Project(id) => {
            let project = snapshot
                .get::<Project>(id)
                .filter(|project| project.enabled);
            let project = project
                .filter(|project| project.token_epoch == claims.epochs.project)
                .ok_or(Void::Scope)?;
            let scope = Scope::Project {
                id: id.clone(),
                name: project.name.clone(),
                domain: domain_of(&project.domain_id)?,
            };
            Ok((scope, Some(Place::Project(id.clone()))))
        }
    }
}

fn domain_ref(domain: &Domain) -> DomainRef {
    DomainRef {
        id: domain.id.clone(),
        name: domain.name.clone(),
    }
}

fn app_cred_ref(snapshot: &Snapshot, cred: &AppCred) -> AppCredRef {
    let rule = |id: &String| {
        snapshot.get::<AccessRule>(id).map(|rule| AccessRuleRef {
            id: rule.id.clone(),
            service: rule.service.clone(),
            path: rule.path.clone(),
            method: rule.method.clone(),
        })
    };
    AppCredRef {
        id: cred.id.clone(),
        name: cred.name.clone(),
        unrestricted: cred.unrestricted.unwrap_or(false),
        access_rules: cred
            .access_rules
            .as_ref()
            .map(|ids| ids.iter().filter_map(rule).collect()),
    }
}
