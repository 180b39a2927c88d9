//! Application credentials and the rules that narrow them.

use luc_core::id::{AppCredId, DomainId, ProjectId, RoleId, UserId};
use luc_core::time::Timestamp;
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

use super::Hashed;

/// A credential that a user made for a program, good for one project and a part of the roles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppCred {
    /// The id.
    pub id: AppCredId,
    /// Unique among the user's.
    pub name: String,
    /// Who made it and for whom it acts.
    pub user_id: UserId,
    /// The domain of the user.
    pub domain_id: DomainId,
    /// The project that it is for; one made with an unscoped token is for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// The secret.
    pub secret: Hashed,
    /// When it ends; none means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether it may make other application credentials, as it was asked for.
    #[serde(default)]
    pub unrestricted: Option<bool>,
    /// The roles it was made with; those that its user has lost do not count.
    pub roles: Vec<RoleId>,
    /// The ids of the rules that narrow it; none means that nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_rules: Option<Vec<String>>,
}

impl AppCred {
    /// Finds one by user and name.
    pub const BY_NAME: Index<Self> = Index::unique("name", |cred| {
        vec![key(&[cred.user_id.as_str(), &cred.name])]
    });

    /// Finds those of a user.
    pub const BY_USER: Index<Self> =
        Index::plain("user", |cred| vec![key(&[cred.user_id.as_str()])]);

    /// Finds those for a project.
    pub const BY_PROJECT: Index<Self> = Index::plain("project", |cred| {
        cred.project_id
            .iter()
            .map(|project| key(&[project.as_str()]))
            .collect()
    });

    /// Finds those that give a role.
    pub const BY_ROLE: Index<Self> = Index::plain("role", |cred| {
        cred.roles
            .iter()
            .map(|role| key(&[role.as_str()]))
            .collect()
    });

    /// Finds those that a rule narrows.
    pub const BY_RULE: Index<Self> = Index::plain("rule", |cred| {
        cred.access_rules
            .iter()
            .flatten()
            .map(|rule| key(&[rule]))
            .collect()
    });
}

impl Record for AppCred {
    const KIND: Kind = Kind::ApplicationCredential;
    const INDEXES: &'static [Index<Self>] = &[
        Self::BY_NAME,
        Self::BY_USER,
        Self::BY_PROJECT,
        Self::BY_ROLE,
        Self::BY_RULE,
    ];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.domain_id.clone())
    }
}

/// What an application credential may ask of which service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRule {
    /// The id.
    pub id: String,
    /// Whose rule it is; several credentials of the user may share it.
    pub user_id: UserId,
    /// The domain of the user.
    pub domain_id: DomainId,
    /// The type of the service.
    pub service: String,
    /// The path, with `*`, `**` and `{name}` as wildcards.
    pub path: String,
    /// The method.
    pub method: String,
}

impl AccessRule {
    /// Finds those of a user.
    pub const BY_USER: Index<Self> =
        Index::plain("user", |rule| vec![key(&[rule.user_id.as_str()])]);
}

impl Record for AccessRule {
    const KIND: Kind = Kind::AccessRule;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_USER];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.domain_id.clone())
    }
}
