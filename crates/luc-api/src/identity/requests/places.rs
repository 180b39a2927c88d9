//! Bodies about domains and projects.

use serde::Deserialize;

use super::{
    Extra, PLACE_NAME_LENGTH_MAX, PLACE_OPTIONS, check_id, check_name, check_not_empty,
    check_options, check_tags, open_object,
};
use crate::body::{InvalidField, RequestBody};
use crate::value::LooseBool;
use crate::version::Microversion;

open_object! {
    /// A domain to be made.
    pub struct NewDomain {
        /// Unique in the cloud.
        required "name" name: String,
        /// The id, if it is not to be chosen here: 32 hexadecimal digits.
        optional "explicit_domain_id" explicit_domain_id: String,
        /// What the domain is for.
        nullable "description" description: String,
        /// Whether its users may authenticate.
        optional "enabled" enabled: LooseBool,
        /// Its options.
        optional "options" options: Extra,
        /// Its tags.
        optional "tags" tags: Vec<String>,
    }
}

open_object! {
    /// What is to change about a domain.
    pub struct DomainChange {
        /// The new name.
        optional "name" name: String,
        /// The new description.
        nullable "description" description: String,
        /// Whether its users may authenticate.
        optional "enabled" enabled: LooseBool,
        /// Options to set, or to remove by `null`.
        optional "options" options: Extra,
        /// The new tags.
        optional "tags" tags: Vec<String>,
    }
}

/// `POST /v3/domains`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateDomain {
    /// The domain.
    pub domain: NewDomain,
}

/// `PATCH /v3/domains/{domain_id}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateDomain {
    /// The changes.
    pub domain: DomainChange,
}

open_object! {
    /// A project to be made.
    pub struct NewProject {
        /// Unique in the domain.
        required "name" name: String,
        /// The domain; none means that of a domain-scoped caller, or the default one.
        nullable "domain_id" domain_id: String,
        /// The project above; none means the domain itself.
        nullable "parent_id" parent_id: String,
        /// Whether the project is to be a domain.
        optional "is_domain" is_domain: LooseBool,
        /// What the project is for.
        nullable "description" description: String,
        /// Whether it can be used.
        optional "enabled" enabled: LooseBool,
        /// Its options.
        optional "options" options: Extra,
        /// Its tags.
        optional "tags" tags: Vec<String>,
    }
}

open_object! {
    /// What is to change about a project.
    pub struct ProjectChange {
        /// Must be the project's own id.
        nullable "id" id: String,
        /// The new name.
        optional "name" name: String,
        /// Must be the project's own domain.
        nullable "domain_id" domain_id: String,
        /// Must be the project's own parent.
        nullable "parent_id" parent_id: String,
        /// Must be what the project is.
        optional "is_domain" is_domain: LooseBool,
        /// The new description.
        nullable "description" description: String,
        /// Whether it can be used.
        optional "enabled" enabled: LooseBool,
        /// Options to set, or to remove by `null`.
        optional "options" options: Extra,
        /// The new tags.
        optional "tags" tags: Vec<String>,
    }
}

/// `POST /v3/projects`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// The project.
    pub project: NewProject,
}

/// `PATCH /v3/projects/{project_id}`; here, unlike elsewhere, nothing need be changed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateProject {
    /// The changes.
    #[serde(default)]
    pub project: ProjectChange,
}

/// `PUT /v3/projects/{project_id}/tags`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaceTags {
    /// The tags from now on.
    #[serde(default)]
    pub tags: Vec<String>,
}

impl RequestBody for CreateDomain {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_name("domain.name", &self.domain.name, PLACE_NAME_LENGTH_MAX)?;
        let id = self.domain.explicit_domain_id.as_deref();
        id.map_or(Ok(()), |id| check_id("domain.explicit_domain_id", id))?;
        check_options(
            "domain.options",
            self.domain.options.as_ref(),
            PLACE_OPTIONS,
        )?;
        check_tags(
            "domain.tags",
            self.domain.tags.as_deref().unwrap_or_default(),
        )
    }
}

impl RequestBody for UpdateDomain {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_not_empty("domain", self.domain.is_empty())?;
        let name = self.domain.name.as_deref();
        name.map_or(Ok(()), |name| {
            check_name("domain.name", name, PLACE_NAME_LENGTH_MAX)
        })?;
        check_options(
            "domain.options",
            self.domain.options.as_ref(),
            PLACE_OPTIONS,
        )?;
        check_tags(
            "domain.tags",
            self.domain.tags.as_deref().unwrap_or_default(),
        )
    }
}

impl RequestBody for CreateProject {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        let project = &self.project;
        check_name("project.name", &project.name, PLACE_NAME_LENGTH_MAX)?;
        for (field, id) in [
            ("project.domain_id", &project.domain_id),
            ("project.parent_id", &project.parent_id),
        ] {
            let id = id.as_ref().and_then(Option::as_deref);
            id.map_or(Ok(()), |id| check_id(field, id))?;
        }
        check_options("project.options", project.options.as_ref(), PLACE_OPTIONS)?;
        check_tags("project.tags", project.tags.as_deref().unwrap_or_default())
    }
}

impl RequestBody for UpdateProject {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        let project = &self.project;
        let name = project.name.as_deref();
        name.map_or(Ok(()), |name| {
            check_name("project.name", name, PLACE_NAME_LENGTH_MAX)
        })?;
        check_options("project.options", project.options.as_ref(), PLACE_OPTIONS)?;
        check_tags("project.tags", project.tags.as_deref().unwrap_or_default())
    }
}

impl RequestBody for ReplaceTags {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_tags("tags", &self.tags)
    }
}
