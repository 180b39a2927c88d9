//! Bodies about roles.

use serde::Deserialize;

use super::{
    Extra, NAME_LENGTH_MAX, PLACE_OPTIONS, check_id, check_name, check_not_empty, check_options,
    open_object,
};
use crate::body::{InvalidField, RequestBody};
use crate::version::Microversion;

open_object! {
    /// A role to be made.
    pub struct NewRole {
        /// Unique in the domain, or among the roles without one.
        required "name" name: String,
        /// The domain of a domain-specific role.
        nullable "domain_id" domain_id: String,
        /// What the role is for.
        nullable "description" description: String,
        /// Its options.
        optional "options" options: Extra,
    }
}

open_object! {
    /// What is to change about a role.
    pub struct RoleChange {
        /// Must be the role's own id.
        nullable "id" id: String,
        /// The new name.
        optional "name" name: String,
        /// Must be the role's own domain.
        nullable "domain_id" domain_id: String,
        /// The new description.
        nullable "description" description: String,
        /// Options to set, or to remove by `null`.
        optional "options" options: Extra,
    }
}

/// `POST /v3/roles`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRole {
    /// The role.
    pub role: NewRole,
}

/// `PATCH /v3/roles/{role_id}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateRole {
    /// The changes.
    pub role: RoleChange,
}

impl RequestBody for CreateRole {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_name("role.name", &self.role.name, NAME_LENGTH_MAX)?;
        let domain = self.role.domain_id.as_ref().and_then(Option::as_deref);
        domain.map_or(Ok(()), |id| check_id("role.domain_id", id))?;
        check_options("role.options", self.role.options.as_ref(), PLACE_OPTIONS)
    }
}

impl RequestBody for UpdateRole {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_not_empty("role", self.role.is_empty())?;
        let name = self.role.name.as_deref();
        name.map_or(Ok(()), |name| {
            check_name("role.name", name, NAME_LENGTH_MAX)
        })?;
        check_options("role.options", self.role.options.as_ref(), PLACE_OPTIONS)
    }
}
