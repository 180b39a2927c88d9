//! Whether a token still counts, and whom it means at this moment.
//!
//! A verified token is held against one snapshot: it must not have ended or been revoked, its user,
//! project and domains must be there, enabled, and in the epochs it was issued in, the site that
//! signed it must be one whose word counts for them ([`super::trust`]), and its user must still
//! have a role where it is good for. Nothing is remembered from the time it was issued, and no
//! other site is asked.

use std::sync::Arc;

use luc_core::SitePrefix;
use luc_core::time::Timestamp;
use luc_state::{Snapshot, Stored, key};

use super::entitlement::effective_roles;
use super::model::{AccessRule, AppCred, Domain, Place, Project, PublicKey, Revocation, User};
use super::token::{Claim, Claims};
use super::trust::Trust;
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
    /// The key that signed it is not there, or not of a site whose word counts for it.
    Signer,
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
            Self::Signer => "the word of the site that signed the token does not go that far",
        }
    }
}

/// Against what a token is held.
pub(super) struct Bench<'b> {
    /// The records.
    pub(super) snapshot: &'b Snapshot,
    /// The sites.
    pub(super) trust: &'b Trust,
    /// The moment.
    pub(super) now: Timestamp,
}

/// The sites on whose word a token rests: each must go as far as the token does.
#[derive(Clone, Copy)]
struct Words {
    signer: SitePrefix,
    via: Option<SitePrefix>,
}

impl Words {
    fn all(self, counts: impl Fn(SitePrefix) -> bool) -> bool {
        counts(self.signer) && self.via.is_none_or(counts)
    }
}

/// The site that signed the token, if its word alone does not count for the whole cloud: what the
/// token is exchanged for must not go farther.
pub(super) fn limited_by(bench: &Bench<'_>, claims: &Claims, kid: &str) -> Option<SitePrefix> {
    let signer = bench.snapshot.get::<PublicKey>(kid)?.home();
    if bench.trust.is_trusted(signer) {
        claims.via
    } else {
        // It may have written whatever it likes into the rest.
        Some(signer)
    }
}

/// Whom `claims`, signed by the key `kid`, mean.
pub(super) fn caller_of(bench: &Bench<'_>, claims: &Claims, kid: &str) -> Result<Caller, Void> {
    let (snapshot, trust) = (bench.snapshot, bench.trust);
    if claims.expires_at() <= bench.now {
        return Err(Void::Expired);
    }
    if is_revoked(snapshot, &claims.audit_ids) {
        return Err(Void::Revoked);
    }
    let key = snapshot.get::<PublicKey>(kid).ok_or(Void::Signer)?;
    let signer = key.home();
    let words = Words {
        signer,
        via: claims.via,
    };
    let (user_name, user_domain) = user_of(bench, claims, words)?;
    let app_cred = claims.app_cred.as_ref().map(|id| {
        snapshot
            .get::<AppCred>(id)
            .filter(|cred| cred.user_id == claims.user)
            .ok_or(Void::AppCred)
    });
    let app_cred = app_cred.transpose()?;
    let (scope, place) = scope_of(bench, claims, words)?;
    let mut roles = Vec::new();
    if let Some(place) = place {
        roles = effective_roles(snapshot, trust, claims.user.as_str(), &place);
        roles.retain(|role| words.all(|site| trust.grants(site, role)));
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

fn user_of(bench: &Bench<'_>, claims: &Claims, words: Words) -> Result<(String, DomainRef), Void> {
    let snapshot = bench.snapshot;
    let user = snapshot.get::<User>(&claims.user).ok_or(Void::User)?;
    let domain = snapshot.get::<Domain>(&user.domain_id).ok_or(Void::User)?;
    if !words.all(|site| bench.trust.lives_at(snapshot, &domain, site)) {
        return Err(Void::Signer);
    }
    let signer = words.signer;
    let enabled = user.enabled && domain.enabled && user.home() == domain.home();
    let in_epoch = is_in(user.token_epoch, claims.epochs.user, &user, signer)
        && is_in(
            domain.token_epoch,
            claims.epochs.user_domain,
            &domain,
            signer,
        );
    if !enabled || !in_epoch {
        return Err(Void::User);
    }
    Ok((user.name.clone(), domain_ref(domain.value())))
}

/// Whether a token of epoch `claimed` counts in epoch `epoch` of `record`. A site that is nearer to
/// the home of the record may know a later epoch than the copy here.
fn is_in<R>(epoch: u32, claimed: u32, record: &Stored<R>, signer: SitePrefix) -> bool {
    claimed == epoch || (claimed > epoch && signer == record.home())
}

fn scope_of(
    bench: &Bench<'_>,
    claims: &Claims,
    words: Words,
) -> Result<(Scope, Option<Place>), Void> {
    let (snapshot, signer) = (bench.snapshot, words.signer);
    let domain_of = |id: &luc_core::id::DomainId| -> Result<Arc<Stored<Domain>>, Void> {
        let domain = snapshot.get::<Domain>(id).filter(|domain| domain.enabled);
        let domain = domain.ok_or(Void::Scope)?;
        if !words.all(|site| bench.trust.lives_at(snapshot, &domain, site)) {
            return Err(Void::Signer);
        }
        if !is_in(domain.token_epoch, claims.epochs.domain, &domain, signer) {
            return Err(Void::Scope);
        }
        Ok(domain)
    };
    match &claims.scope {
        Claim::Unscoped => Ok((Scope::Unscoped, None)),
        Claim::System if !words.all(|site| bench.trust.is_trusted(site)) => Err(Void::Signer),
        Claim::System => Ok((Scope::System, Some(Place::System))),
        Claim::Domain(id) => {
            let domain = domain_ref(domain_of(id)?.value());
            Ok((Scope::Domain(domain), Some(Place::Domain(id.clone()))))
        }
        Claim::Project(id) => {
            let project = snapshot
                .get::<Project>(id)
                .filter(|project| project.enabled);
            let project = project.ok_or(Void::Scope)?;
            let domain = domain_of(&project.domain_id)?;
            let in_epoch = is_in(project.token_epoch, claims.epochs.project, &project, signer);
            if !in_epoch || project.home() != domain.home() {
                return Err(Void::Scope);
            }
            let scope = Scope::Project {
                id: id.clone(),
                name: project.name.clone(),
                domain: domain_ref(domain.value()),
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
