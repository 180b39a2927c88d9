//! Bodies about users and groups.

use serde::Deserialize;

use super::{
    Extra, NAME_LENGTH_MAX, USER_OPTIONS, check_id, check_name, check_not_empty, check_options,
    check_password, object, open_object,
};
use crate::body::{InvalidField, RequestBody};
use crate::value::{LooseBool, Secret};
use crate::version::Microversion;

open_object! {
    /// A user to be made.
    pub struct NewUser {
        /// Unique in the domain.
        required "name" name: String,
        /// The domain; none means that of a domain-scoped caller, or the default one.
        optional "domain_id" domain_id: String,
        /// Whether the user may authenticate.
        optional "enabled" enabled: LooseBool,
        /// The project that a token without a wished scope is for.
        nullable "default_project_id" default_project_id: String,
        /// The password; none means that the user cannot authenticate by one.
        nullable "password" password: Secret,
        /// Kept as it is.
        nullable "description" description: String,
        /// The user's options.
        optional "options" options: Extra,
    }
}

open_object! {
    /// What is to change about a user.
    pub struct UserChange {
        /// Must be the user's own id.
        nullable "id" id: String,
        /// The new name.
        optional "name" name: String,
        /// Must be the user's own domain.
        optional "domain_id" domain_id: String,
        /// Whether the user may authenticate.
        optional "enabled" enabled: LooseBool,
        /// The new default project, or none.
        nullable "default_project_id" default_project_id: String,
        /// The new password, or none.
        nullable "password" password: Secret,
        /// Kept as it is.
        nullable "description" description: String,
        /// Options to set, or to remove by `null`.
        optional "options" options: Extra,
    }
}

/// `POST /v3/users`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// The user.
    pub user: NewUser,
}

/// `PATCH /v3/users/{user_id}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateUser {
    /// The changes.
    pub user: UserChange,
}

/// `POST /v3/users/{user_id}/password`.
#[derive(Clone, Debug, Deserialize)]
pub struct ChangePassword {
    /// The passwords.
    #[serde(deserialize_with = "object")]
    pub user: PasswordChange,
}

/// The old password as proof, and the new one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password so far.
    pub original_password: Secret,
    /// The password from now on.
    pub password: Secret,
}

open_object! {
    /// A group to be made.
    pub struct NewGroup {
        /// Unique in the domain.
        required "name" name: String,
        /// The domain; none means that of a domain-scoped caller, or the default one.
        optional "domain_id" domain_id: String,
        /// What the group is for.
        nullable "description" description: String,
    }
}

open_object! {
    /// What is to change about a group.
    pub struct GroupChange {
        /// Must be the group's own id.
        nullable "id" id: String,
        /// The new name.
        optional "name" name: String,
        /// Must be the group's own domain.
        optional "domain_id" domain_id: String,
        /// The new description.
        nullable "description" description: String,
    }
}

/// `POST /v3/groups`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    /// The group.
    pub group: NewGroup,
}

/// `PATCH /v3/groups/{group_id}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateGroup {
    /// The changes.
    pub group: GroupChange,
}

impl RequestBody for CreateUser {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        let user = &self.user;
        check_name("user.name", &user.name, NAME_LENGTH_MAX)?;
        user.domain_id
            .as_deref()
            .map_or(Ok(()), |id| check_id("user.domain_id", id))?;
        let project = user.default_project_id.as_ref().and_then(Option::as_deref);
        project.map_or(Ok(()), |id| check_id("user.default_project_id", id))?;
        let password = user
            .password
            .as_ref()
            .and_then(Option::as_ref)
            .map(Secret::reveal);
        check_password("user.password", password)?;
        check_options("user.options", user.options.as_ref(), USER_OPTIONS)
    }
}

impl RequestBody for UpdateUser {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        let user = &self.user;
        check_not_empty("user", user.is_empty())?;
        let name = user.name.as_deref();
        name.map_or(Ok(()), |name| {
            check_name("user.name", name, NAME_LENGTH_MAX)
        })?;
        let project = user.default_project_id.as_ref().and_then(Option::as_deref);
        project.map_or(Ok(()), |id| check_id("user.default_project_id", id))?;
        let password = user
            .password
            .as_ref()
            .and_then(Option::as_ref)
            .map(Secret::reveal);
        check_password("user.password", password)?;
        check_options("user.options", user.options.as_ref(), USER_OPTIONS)
    }
}

impl RequestBody for ChangePassword {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_password("user.password", Some(self.user.password.reveal()))
    }
}

impl RequestBody for CreateGroup {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_name("group.name", &self.group.name, NAME_LENGTH_MAX)?;
        let domain = self.group.domain_id.as_deref();
        domain.map_or(Ok(()), |id| check_id("group.domain_id", id))
    }
}

impl RequestBody for UpdateGroup {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_not_empty("group", self.group.is_empty())?;
        let name = self.group.name.as_deref();
        name.map_or(Ok(()), |name| {
            check_name("group.name", name, NAME_LENGTH_MAX)
        })
    }
}
