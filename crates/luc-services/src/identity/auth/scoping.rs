//! The wished scope of a token, and what it leads to.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::identity::requests::{DomainChoice, ProjectChoice, ScopeRequest};
use luc_core::id::{ProjectId, UserId};
use luc_state::{Snapshot, Stored, key};

use super::super::entitlement::effective_roles;
use super::super::model::{Domain, Place, Project, User};
use super::super::presence::{reach, reach_id};
use super::super::refusal::{expected, unauthorized};
use super::super::token::Claim;
use super::super::trust::Trust;
use crate::Services;

/// What a token is wished to be good for.
pub(super) enum Wish {
    /// Whatever the user's default is.
    Default,
    /// Explicitly nothing.
    Unscoped,
    /// The system.
    System,
    /// A project.
    Project(ProjectChoice),
    /// A domain.
    Domain(DomainChoice),
    /// A trust; there are none.
    Trust,
    /// What is known already.
    Known(Claim),
}

impl Wish {
    /// Reads the form of a wish: exactly one kind of scope.
    pub(super) fn of(scope: Option<&ScopeRequest>) -> Result<Self, ApiError> {
        let unclear = || {
            expected(
                "system, project, domain, OS-TRUST:trust or unscoped",
                "scope",
            )
        };
        let choices = match scope {
            None => return Ok(Self::Default),
            Some(ScopeRequest::Word(word)) if word == "unscoped" => return Ok(Self::Unscoped),
            Some(ScopeRequest::Word(_)) => return Err(unclear()),
            Some(ScopeRequest::Choices(choices)) => choices,
        };
        let mut wishes = [
            choices.system.as_ref().map(|_| Self::System),
            choices.unscoped.as_ref().map(|_| Self::Unscoped),
            choices.project.clone().map(Self::Project),
            choices.domain.clone().map(Self::Domain),
            choices.trust.as_ref().map(|_| Self::Trust),
        ]
        .into_iter()
        .flatten();
        match (wishes.next(), wishes.next()) {
            (Some(Self::Project(project)), None) if project.name.is_some() => {
                if project.domain.is_none() {
                    return Err(expected("domain", "project"));
                }
                Ok(Self::Project(project))
            }
            (Some(wish), None) => Ok(wish),
            _ => Err(unclear()),
        }
    }
}

/// Sees to it that this site holds the domain that the wish of `user` leads to, if it may. What
/// belongs to a project is not waited for, only who may do what there.
pub(super) async fn fetch(services: &Services, wish: &Wish, user: &UserId) -> Result<(), ApiError> {
    let snapshot = services.store.snapshot();
    let here = |id: &ProjectId| snapshot.get::<Project>(id).is_some();
    match wish {
        Wish::Domain(choice) => fetch_domain(services, &snapshot, choice).await,
        Wish::Project(choice) => match (&choice.domain, &choice.id) {
            (Some(of), _) if choice.name.is_some() => fetch_domain(services, &snapshot, of).await,
            (_, Some(id)) if snapshot.get::<Project>(id).is_none() => reach_id(services, id).await,
            _ => Ok(()),
        },
        Wish::Known(Claim::Project(id)) if !here(id) => reach_id(services, id.as_str()).await,
        Wish::Default => {
            let user = snapshot.get::<User>(user);
            let project = user.and_then(|user| user.default_project_id.clone());
            if let Some(project) = project.filter(|id| !here(id)) {
                // Without it the token is for nothing, which is what a wish for nothing may get.
                let _ = reach_id(services, project.as_str()).await;
            }
            Ok(())
        }
        Wish::Unscoped | Wish::System | Wish::Trust | Wish::Known(_) => Ok(()),
    }
}

async fn fetch_domain(
    services: &Services,
    snapshot: &Snapshot,
    choice: &DomainChoice,
) -> Result<(), ApiError> {
    match domain(snapshot, choice) {
        Ok(domain) => reach(services, domain.id.as_str()).await,
        Err(_) => Ok(()),
    }
}

/// What the wish of `user` leads to, with the epochs of the project and of the domain.
pub(super) fn resolve(
    snapshot: &Snapshot,
    trust: &Trust,
    wish: &Wish,
    user: &UserId,
) -> Result<(Claim, u32, u32), ApiError> {
    match wish {
        Wish::Unscoped => Ok((Claim::Unscoped, 0, 0)),
        Wish::System => Ok((Claim::System, 0, 0)),
        Wish::Trust => Err(unauthorized("there are no trusts")),
        Wish::Default => Ok(of_default(snapshot, trust, user)),
        Wish::Domain(choice) => {
            let domain = domain(snapshot, choice)?;
            Ok((Claim::Domain(domain.id.clone()), 0, domain.token_epoch))
        }
        Wish::Project(choice) => of_project(snapshot, &project(snapshot, choice)?),
        Wish::Known(Claim::Project(id)) => {
            let project = snapshot.get::<Project>(id);
            of_project(
                snapshot,
                &project.ok_or_else(|| unauthorized("the project is gone"))?,
            )
        }
        Wish::Known(claim) => Ok((claim.clone(), 0, 0)),
    }
}

fn of_project(
    snapshot: &Snapshot,
    project: &Arc<Stored<Project>>,
) -> Result<(Claim, u32, u32), ApiError> {
    let domain = snapshot.get::<Domain>(&project.domain_id);
    let domain = domain.ok_or_else(|| unauthorized("the domain of the project is gone"))?;
    Ok((
        Claim::Project(project.id.clone()),
        project.token_epoch,
        domain.token_epoch,
    ))
}

/// The user's default project if the user can use it, else nothing.
fn of_default(snapshot: &Snapshot, trust: &Trust, user: &UserId) -> (Claim, u32, u32) {
    let usable = |id: &ProjectId| {
        let project = snapshot
            .get::<Project>(id)
            .filter(|project| project.enabled)?;
        let domain = snapshot
            .get::<Domain>(&project.domain_id)
            .filter(|domain| domain.enabled)?;
        let place = Place::Project(id.clone());
        let roles = effective_roles(snapshot, trust, user.as_str(), &place);
        let claim = Claim::Project(id.clone());
        (!roles.is_empty()).then_some((claim, project.token_epoch, domain.token_epoch))
    };
    let user = snapshot.get::<User>(user);
    let default = user
        .as_ref()
        .and_then(|user| user.default_project_id.as_ref());
    default.and_then(usable).unwrap_or((Claim::Unscoped, 0, 0))
}

/// The domain that is chosen by name or id.
pub(super) fn domain(
    snapshot: &Snapshot,
    choice: &DomainChoice,
) -> Result<Arc<Stored<Domain>>, ApiError> {
    let found = match (&choice.name, &choice.id) {
        (Some(name), _) if !name.is_empty() => snapshot.one(&Domain::BY_NAME, &key(&[name])),
        (_, Some(id)) => snapshot.get::<Domain>(id),
        _ => return Err(expected("id or name", "domain")),
    };
    found.ok_or_else(|| unauthorized("there is no such domain"))
}

fn project(snapshot: &Snapshot, choice: &ProjectChoice) -> Result<Arc<Stored<Project>>, ApiError> {
    let found = match (&choice.name, &choice.domain, &choice.id) {
        (Some(name), Some(of), _) => {
            let domain = domain(snapshot, of)?;
            snapshot.one(&Project::BY_NAME, &key(&[domain.id.as_str(), name]))
        }
        (_, _, Some(id)) => snapshot.get::<Project>(id),
        _ => return Err(expected("id or name", "project")),
    };
    found.ok_or_else(|| unauthorized("there is no such project"))
}
