//! Roles of a user or group on a project, a domain or the system.
//!
//! Six families of paths with the same four operations; which one it is follows from the
//! parameters of the path.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::policy::Attributes;
use luc_core::id::DomainId;
use luc_state::{Snapshot, Stored, TxError};
use serde_json::Value;

use super::listing::{self, root};
use super::model::{Actor, Assignment, Domain, Group, Place, Project, Role, User};
use super::refusal::{Refusal, not_found, transact};
use super::views;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// What the path of a grant names, as far as it is there.
struct Named<'r> {
    /// `user` or `group`, and its id.
    actor: (&'static str, &'r str),
    /// `project`, `domain` or `system`, and its id.
    place: (&'static str, &'r str),
    role_id: &'r str,
    user: Option<Arc<Stored<User>>>,
    group: Option<Arc<Stored<Group>>>,
    project: Option<Arc<Stored<Project>>>,
    domain: Option<Arc<Stored<Domain>>>,
    role: Option<Arc<Stored<Role>>>,
}

impl<'r> Named<'r> {
    fn of(snapshot: &Snapshot, request: &'r Request) -> Self {
        let param = |name: &str| Some(request.param(name)).filter(|id| !id.is_empty());
        let (user_id, group_id) = (param("user_id"), param("group_id"));
        let (project_id, domain_id) = (param("project_id"), param("domain_id"));
        let actor = match user_id {
            Some(id) => ("user", id),
            None => ("group", group_id.unwrap_or_default()),
        };
        let place = match (project_id, domain_id) {
            (Some(id), _) => ("project", id),
            (None, Some(id)) => ("domain", id),
            (None, None) => ("system", "system"),
        };
        Self {
            actor,
            place,
            role_id: request.param("role_id"),
            user: user_id.and_then(|id| snapshot.get::<User>(id)),
            group: group_id.and_then(|id| snapshot.get::<Group>(id)),
            project: project_id.and_then(|id| snapshot.get::<Project>(id)),
            domain: domain_id.and_then(|id| snapshot.get::<Domain>(id)),
            role: param("role_id").and_then(|id| snapshot.get::<Role>(id)),
        }
    }

    /// What policy may ask.
    fn target(&self) -> Attributes<'_> {
        let mut target = Attributes::new();
        if let Some(user) = &self.user {
            target = target
                .with("target.user.id", user.id.as_str())
                .with("target.user.domain_id", user.domain_id.as_str());
        }
        if let Some(group) = &self.group {
            target = target
                .with("target.group.id", group.id.as_str())
                .with("target.group.domain_id", group.domain_id.as_str());
        }
        if let Some(project) = &self.project {
            target = target
                .with("target.project.id", project.id.as_str())
                .with("target.project.domain_id", project.domain_id.as_str());
        }
        if let Some(domain) = &self.domain {
            target = target.with("target.domain.id", domain.id.as_str());
        }
        if let Some(role) = &self.role {
            target = target.with("target.role.name", role.name.as_str()).with(
                "target.role.domain_id",
                role.domain_id.as_ref().map(DomainId::as_str),
            );
        }
        target
    }

    fn role(&self) -> Result<&Arc<Stored<Role>>, ApiError> {
        self.role
            .as_ref()
            .ok_or_else(|| not_found("role", self.role_id))
    }

    /// Where, which must be there; with the domain whose it is, if it has one.
    fn place(&self) -> Result<(Place, Option<DomainId>), ApiError> {
        let missing = || not_found(self.place.0, self.place.1);
        match self.place.0 {
            "project" => {
                let project = self.project.as_ref().ok_or_else(missing)?;
                Ok((
                    Place::Project(project.id.clone()),
                    Some(project.domain_id.clone()),
                ))
            }
            "domain" => {
                let domain = self.domain.as_ref().ok_or_else(missing)?;
                Ok((Place::Domain(domain.id.clone()), Some(domain.id.clone())))
            }
            _ => Ok((Place::System, None)),
        }
    }

    /// Who, which must be there, with the domain whose it is.
    fn actor(&self) -> Result<(Actor, DomainId), ApiError> {
        match (&self.user, &self.group) {
            (Some(user), _) => Ok((Actor::User(user.id.clone()), user.domain_id.clone())),
            (None, Some(group)) => Ok((Actor::Group(group.id.clone()), group.domain_id.clone())),
            (None, None) => Err(not_found(self.actor.0, self.actor.1)),
        }
    }

    fn assignment_id(&self) -> String {
        Assignment::id_of(self.actor, self.place, self.role_id)
    }

    fn missing(&self) -> ApiError {
        ApiError::not_found(format!(
            "Could not find role assignment with role: {}, user or group: {}, project, domain, or \
             system: {}.",
            self.role_id, self.actor.1, self.place.1
        ))
    }
}

/// Lists the roles of somebody somewhere; assigned ones only.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let snapshot = services.store.snapshot();
    let named = Named::of(&snapshot, request);
    request.authorize(&named.target())?;
    named.place()?;
    named.actor()?;
    let both = Assignment::actor_and_place(named.actor, named.place);
    let root = root(request);
    let roles: Vec<Value> = snapshot
        .find(&Assignment::BY_ACTOR_AND_PLACE, &both)
        .filter_map(|assignment| snapshot.get::<Role>(&assignment.role_id))
        .map(|role| views::role(&root, role.value()))
        .collect();
    listing::reply_whole(request, "roles", roles)
}

/// Whether somebody has a role somewhere.
pub(super) fn check(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let snapshot = services.store.snapshot();
    let named = Named::of(&snapshot, request);
    request.authorize(&named.target())?;
    named.role()?;
    named.place()?;
    named.actor()?;
    let found = snapshot.get::<Assignment>(named.assignment_id());
    found.map(|_| Reply::empty()).ok_or_else(|| named.missing())
}

/// Gives somebody a role somewhere; again is no harm.
pub(super) async fn add(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let named = Named::of(&services.store.snapshot(), request);
    request.authorize(&named.target())?;
    let role = Arc::clone(named.role()?);
    let (place, place_domain) = named.place()?;
    let (actor, actor_domain) = named.actor()?;
    check_domain_role(&role, &place, place_domain.as_ref())?;
    let domain = place_domain.unwrap_or(actor_domain);
    transact(services, |tx| {
        let still_there = match &actor {
            Actor::User(id) => tx.get::<User>(id).is_some(),
            Actor::Group(id) => tx.get::<Group>(id).is_some(),
        };
        let place_there = match &place {
            Place::Project(id) => tx.get::<Project>(id).is_some(),
            Place::Domain(id) => tx.get::<Domain>(id).is_some(),
            Place::System => true,
        };
        if !still_there {
            return Err(not_found(named.actor.0, named.actor.1).into());
        }
        if !place_there {
            return Err(not_found(named.place.0, named.place.1).into());
        }
        if tx.get::<Role>(&role.id).is_none() {
            return Err(not_found("role", named.role_id).into());
        }
        tx.put(Assignment::new(
            actor.clone(),
            place.clone(),
            &role.id,
            &domain,
        ))?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// A role of a domain is given only on projects of that domain, and never on the system.
fn check_domain_role(
    role: &Role,
    place: &Place,
    place_domain: Option<&DomainId>,
) -> Result<(), ApiError> {
    match (&role.domain_id, place) {
        (Some(_), Place::System) => Err(ApiError::bad_request(format!(
            "Role {} is a domain-specific role. Unable to use a domain-specific role in a system \
             assignment.",
            role.id
        ))),
        (Some(own), Place::Project(project)) if Some(own) != place_domain => {
            Err(ApiError::forbidden(format!(
                "Project {project} must be in the same domain as the role {} being assigned.",
                role.id
            )))
        }
        _ => Ok(()),
    }
}

/// Takes a role from somebody somewhere. Tokens notice by themselves.
pub(super) async fn remove(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let named = Named::of(&services.store.snapshot(), request);
    request.authorize(&named.target())?;
    named.role()?;
    named.place()?;
    transact(services, |tx| -> Result<(), Refusal> {
        match tx.delete::<Assignment>(named.assignment_id()) {
            Err(TxError::Missing { .. }) => Err(named.missing().into()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    })
    .await?;
    Ok(Reply::empty())
}
