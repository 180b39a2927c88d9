//! Roles and what they imply.

use luc_core::id::{DomainId, RoleId};
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

use super::Extra;

/// A role. One of a domain serves only to imply others: it never stands in a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// The id.
    pub id: RoleId,
    /// Unique in the domain, or among the roles without one. Policy rules speak of it.
    pub name: String,
    /// The domain of a domain-specific role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_id: Option<DomainId>,
    /// What the role is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Options such as `immutable`.
    #[serde(default)]
    pub options: Extra,
    /// Attributes that are only kept.
    #[serde(default)]
    pub extra: Extra,
}

impl Role {
    /// Finds a role by domain (empty for none) and name.
    pub const BY_NAME: Index<Self> =
        Index::unique("name", |role| vec![key(&[role.domain_text(), &role.name])]);

    /// Finds the roles of a domain (empty for none).
    pub const BY_DOMAIN: Index<Self> =
        Index::plain("domain", |role| vec![key(&[role.domain_text()])]);

    fn domain_text(&self) -> &str {
        self.domain_id.as_ref().map_or("", DomainId::as_str)
    }
}

impl Record for Role {
    const KIND: Kind = Kind::Role;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_NAME, Self::BY_DOMAIN];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}

/// That who has one role has another, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImpliedRole {
    id: String,
    /// The role that implies.
    pub prior: RoleId,
    /// The role that is implied.
    pub implied: RoleId,
}

impl ImpliedRole {
    /// Finds what a role implies.
    pub const BY_PRIOR: Index<Self> = Index::plain("prior", |implication| {
        vec![key(&[implication.prior.as_str()])]
    });

    /// Finds what implies a role.
    pub const BY_IMPLIED: Index<Self> = Index::plain("implied", |implication| {
        vec![key(&[implication.implied.as_str()])]
    });

    /// That `prior` implies `implied`.
    pub fn new(prior: &RoleId, implied: &RoleId) -> Self {
        Self {
            id: Self::id_of(prior.as_str(), implied.as_str()),
            prior: prior.clone(),
            implied: implied.clone(),
        }
    }

    /// The id under which it is kept that one role implies another.
    pub fn id_of(prior: &str, implied: &str) -> String {
        key(&[prior, implied]).as_str().to_owned()
    }
}

impl Record for ImpliedRole {
    const KIND: Kind = Kind::ImpliedRole;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_PRIOR, Self::BY_IMPLIED];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}
