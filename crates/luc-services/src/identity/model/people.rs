//! Users, groups, and who is in which.

use luc_core::id::{DomainId, GroupId, ProjectId, UserId};
use luc_core::time::Timestamp;
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

use super::{Extra, Hashed};

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The domain that owns the user.
    pub domain_id: DomainId,
    /// Unique in the domain.
    pub name: String,
    /// Whether the user may authenticate.
    pub enabled: bool,
    /// The project that a token without a wished scope is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_project_id: Option<ProjectId>,
    /// The password; without one the user cannot authenticate by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Hashed>,
    /// See the head of [`super`].
    #[serde(default)]
    pub token_epoch: u32,
    /// Options such as `lock_password`.
    #[serde(default)]
    pub options: Extra,
    /// Attributes that are only kept, `description` and `email` among them.
    #[serde(default)]
    pub extra: Extra,
    /// When the user was made.
    pub created_at: Timestamp,
}

impl User {
    /// Finds a user by domain and name.
    pub const BY_NAME: Index<Self> = Index::unique("name", |user| {
        vec![key(&[user.domain_id.as_str(), &user.name])]
    });

    /// Finds the users of a domain.
    pub const BY_DOMAIN: Index<Self> =
        Index::plain("domain", |user| vec![key(&[user.domain_id.as_str()])]);

    /// Finds the users whose default project a project is.
    pub const BY_DEFAULT_PROJECT: Index<Self> = Index::plain("default_project", |user| {
        user.default_project_id
            .iter()
            .map(|project| key(&[project.as_str()]))
            .collect()
    });

    /// Whether the boolean option `name` is set.
    pub fn has_option(&self, name: &str) -> bool {
        self.options
            .get(name)
            .and_then(serde_json::Value::as_bool)
            .unwrap_or(false)
    }
}

impl Record for User {
    const KIND: Kind = Kind::User;
    const INDEXES: &'static [Index<Self>] =
        &[Self::BY_NAME, Self::BY_DOMAIN, Self::BY_DEFAULT_PROJECT];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.domain_id.clone())
    }
}

/// A group of users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The id.
    pub id: GroupId,
    /// The domain that owns the group.
    pub domain_id: DomainId,
    /// Unique in the domain.
    pub name: String,
    /// What the group is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Attributes that are only kept.
    #[serde(default)]
    pub extra: Extra,
}

impl Group {
    /// Finds a group by domain and name.
    pub const BY_NAME: Index<Self> = Index::unique("name", |group| {
        vec![key(&[group.domain_id.as_str(), &group.name])]
    });

    /// Finds the groups of a domain.
    pub const BY_DOMAIN: Index<Self> =
        Index::plain("domain", |group| vec![key(&[group.domain_id.as_str()])]);
}

impl Record for Group {
    const KIND: Kind = Kind::Group;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_NAME, Self::BY_DOMAIN];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.domain_id.clone())
    }
}

/// That a user is in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    id: String,
    /// The group.
    pub group_id: GroupId,
    /// The user.
    pub user_id: UserId,
    /// The domain of the group.
    pub domain_id: DomainId,
}

impl Membership {
    /// Finds the memberships of a user.
    pub const BY_USER: Index<Self> = Index::plain("user", |membership| {
        vec![key(&[membership.user_id.as_str()])]
    });

    /// Finds the memberships of a group.
    pub const BY_GROUP: Index<Self> = Index::plain("group", |membership| {
        vec![key(&[membership.group_id.as_str()])]
    });

    /// That `user` is in `group`.
    pub fn new(group: &Group, user: &UserId) -> Self {
        Self {
            id: Self::id_of(group.id.as_str(), user.as_str()),
            group_id: group.id.clone(),
            user_id: user.clone(),
            domain_id: group.domain_id.clone(),
        }
    }

    /// The id under which it is kept that a user is in a group.
    pub fn id_of(group: &str, user: &str) -> String {
        key(&[group, user]).as_str().to_owned()
    }
}

impl Record for Membership {
    const KIND: Kind = Kind::Membership;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_USER, Self::BY_GROUP];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.domain_id.clone())
    }
}
