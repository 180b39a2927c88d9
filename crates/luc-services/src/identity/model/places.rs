//! Domains and projects: where users, roles and resources belong.

use luc_core::SitePrefix;
use luc_core::id::{DomainId, ProjectId};
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

use super::Extra;

/// A domain. To the API it is also a project of the same id that acts as one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Domain {
    /// The id.
    pub id: DomainId,
    /// Unique in the cloud.
    pub name: String,
    /// What the domain is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether its users may authenticate and its projects be used.
    pub enabled: bool,
    /// See the head of [`super`].
    #[serde(default)]
    pub token_epoch: u32,
    /// Tags, in order.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Options such as `immutable`.
    #[serde(default)]
    pub options: Extra,
    /// Attributes that are only kept.
    #[serde(default)]
    pub extra: Extra,
}

impl Domain {
    /// Finds a domain by name.
    pub const BY_NAME: Index<Self> = Index::unique("name", |domain| vec![key(&[&domain.name])]);
}

impl Record for Domain {
    const KIND: Kind = Kind::Domain;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_NAME];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.id.clone())
    }
}

/// A project (tenant).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// The id.
    pub id: ProjectId,
    /// The domain that owns the project.
    pub domain_id: DomainId,
    /// The project above it; none means the domain itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ProjectId>,
    /// Unique in the domain.
    pub name: String,
    /// What the project is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether it can be used.
    pub enabled: bool,
    /// See the head of [`super`].
    #[serde(default)]
    pub token_epoch: u32,
    /// Tags, in order.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Options such as `immutable`.
    #[serde(default)]
    pub options: Extra,
    /// Attributes that are only kept.
    #[serde(default)]
    pub extra: Extra,
}

impl Project {
    /// Finds a project by domain and name.
    pub const BY_NAME: Index<Self> = Index::unique("name", |project| {
        vec![key(&[project.domain_id.as_str(), &project.name])]
    });

    /// Finds the projects of a domain.
    pub const BY_DOMAIN: Index<Self> =
        Index::plain("domain", |project| vec![key(&[project.domain_id.as_str()])]);

    /// Finds the projects right below a project.
    pub const BY_PARENT: Index<Self> = Index::plain("parent", |project| {
        project
            .parent
            .iter()
            .map(|parent| key(&[parent.as_str()]))
            .collect()
    });

    /// The id above it on the wire: the parent's, or the domain's.
    pub fn parent_id(&self) -> &str {
        self.parent
            .as_ref()
            .map_or(self.domain_id.as_str(), ProjectId::as_str)
    }
}

impl Record for Project {
    const KIND: Kind = Kind::Project;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_NAME, Self::BY_DOMAIN, Self::BY_PARENT];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.domain_id.clone())
    }
}

/// That the home of a domain lets a site hold what the domain owns, and sign tokens for its users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainPresence {
    id: String,
    /// The domain.
    pub domain_id: DomainId,
    /// The site.
    pub site: SitePrefix,
    /// Whether somebody allowed it. Where nobody did the site was let in because it is trusted,
    /// and stays in as long as it is.
    #[serde(default)]
    pub allowed: bool,
}

impl DomainPresence {
    /// Finds where a domain lives beyond its home.
    pub const BY_DOMAIN: Index<Self> = Index::plain("domain", |presence| {
        vec![key(&[presence.domain_id.as_str()])]
    });

    /// That `domain` may live at `site`.
    pub fn new(domain: &DomainId, site: SitePrefix, allowed: bool) -> Self {
        Self {
            id: Self::id_of(domain.as_str(), site),
            domain_id: domain.clone(),
            site,
            allowed,
        }
    }

    /// The id under which it is kept that a domain may live at a site.
    pub fn id_of(domain: &str, site: SitePrefix) -> String {
        key(&[domain, &site.to_string()]).as_str().to_owned()
    }
}

impl Record for DomainPresence {
    const KIND: Kind = Kind::DomainPresence;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_DOMAIN];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.domain_id.clone())
    }
}
