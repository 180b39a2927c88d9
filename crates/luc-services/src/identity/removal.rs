//! What goes when something goes: each removal takes along all that would point nowhere, in the
//! same transaction.
//!
//! Servers, images and other resources of a project stay, as in Keystone: they belong to their
//! services, and an administrator can still remove them.

use luc_core::id::{DomainId, GroupId, ProjectId, RoleId, UserId};
use luc_state::{IndexKey, Record as _, Tx, key};

use super::domains::of_domain;
use super::model::{
    AccessRule, AppCred, Assignment, Domain, Group, ImpliedRole, Membership, Project, Role, User,
};
use super::refusal::Refusal;

/// Removes a user with memberships, assignments and application credentials.
pub(super) fn user(tx: &mut Tx<'_>, id: &UserId) -> Result<(), Refusal> {
    let of_user = key(&[id.as_str()]);
    for membership in tx.find(&Membership::BY_USER, &of_user) {
        tx.delete::<Membership>(membership.value().id())?;
    }
    assignments_of(tx, &key(&["user", id.as_str()]))?;
    for cred in tx.find(&AppCred::BY_USER, &of_user) {
        tx.delete::<AppCred>(&cred.id)?;
    }
    for rule in tx.find(&AccessRule::BY_USER, &of_user) {
        tx.delete::<AccessRule>(&rule.id)?;
    }
    tx.delete::<User>(id)?;
    Ok(())
}

/// Removes a group with memberships and assignments.
pub(super) fn group(tx: &mut Tx<'_>, id: &GroupId) -> Result<(), Refusal> {
    for membership in tx.find(&Membership::BY_GROUP, &key(&[id.as_str()])) {
        tx.delete::<Membership>(membership.value().id())?;
    }
    assignments_of(tx, &key(&["group", id.as_str()]))?;
    tx.delete::<Group>(id)?;
    Ok(())
}

/// Removes a project with the assignments on it and the application credentials for it; users
/// whose default it was have none then.
pub(super) fn project(tx: &mut Tx<'_>, id: &ProjectId) -> Result<(), Refusal> {
    assignments_on(tx, &key(&["project", id.as_str()]))?;
    let of_project = key(&[id.as_str()]);
    for cred in tx.find(&AppCred::BY_PROJECT, &of_project) {
        tx.delete::<AppCred>(&cred.id)?;
    }
    for user in tx.find(&User::BY_DEFAULT_PROJECT, &of_project) {
        let mut user = user.value().clone();
        user.default_project_id = None;
        tx.update(user)?;
    }
    tx.delete::<Project>(id)?;
    Ok(())
}

/// Removes a domain with its projects, groups, users and roles.
pub(super) fn domain(tx: &mut Tx<'_>, id: &DomainId) -> Result<(), Refusal> {
    let of_domain = of_domain(id);
    for found in tx.find(&Project::BY_DOMAIN, &of_domain) {
        project(tx, &found.id)?;
    }
    for found in tx.find(&Group::BY_DOMAIN, &of_domain) {
        group(tx, &found.id)?;
    }
    for found in tx.find(&User::BY_DOMAIN, &of_domain) {
        user(tx, &found.id)?;
    }
    for found in tx.find(&Role::BY_DOMAIN, &of_domain) {
        role(tx, &found.id)?;
    }
    assignments_on(tx, &key(&["domain", id.as_str()]))?;
    tx.delete::<Domain>(id)?;
    Ok(())
}

/// Removes a role with its assignments and inferences, and the application credentials that give
/// it.
pub(super) fn role(tx: &mut Tx<'_>, id: &RoleId) -> Result<(), Refusal> {
    let of_role = key(&[id.as_str()]);
    for assignment in tx.find(&Assignment::BY_ROLE, &of_role) {
        tx.delete::<Assignment>(assignment.value().id())?;
    }
    // One after the other, for a role that implies itself is found by both.
    for index in [&ImpliedRole::BY_PRIOR, &ImpliedRole::BY_IMPLIED] {
        for inference in tx.find(index, &of_role) {
            tx.delete::<ImpliedRole>(inference.value().id())?;
        }
    }
    for cred in tx.find(&AppCred::BY_ROLE, &of_role) {
        tx.delete::<AppCred>(&cred.id)?;
    }
    tx.delete::<Role>(id)?;
    Ok(())
}

fn assignments_of(tx: &mut Tx<'_>, actor: &IndexKey) -> Result<(), Refusal> {
    for assignment in tx.find(&Assignment::BY_ACTOR, actor) {
        tx.delete::<Assignment>(assignment.value().id())?;
    }
    Ok(())
}

fn assignments_on(tx: &mut Tx<'_>, place: &IndexKey) -> Result<(), Refusal> {
    for assignment in tx.find(&Assignment::BY_PLACE, place) {
        tx.delete::<Assignment>(assignment.value().id())?;
    }
    Ok(())
}
