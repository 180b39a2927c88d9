//! Role assignments: who has which role where.

use luc_core::id::{DomainId, GroupId, ProjectId, RoleId, UserId};
use luc_state::{Index, IndexKey, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

/// Who has a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// One user.
    User(UserId),
    /// Every user of a group.
    Group(GroupId),
}

impl Actor {
    /// The word of the kind, and the id.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::User(id) => ("user", id.as_str()),
            Self::Group(id) => ("group", id.as_str()),
        }
    }
}

/// Where a role is held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// On a project.
    Project(ProjectId),
    /// On a domain.
    Domain(DomainId),
    /// On the whole system.
    System,
}

impl Place {
    /// The word of the kind, and the id.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Project(id) => ("project", id.as_str()),
            Self::Domain(id) => ("domain", id.as_str()),
            Self::System => ("system", "system"),
        }
    }
}

/// That somebody has a role somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    id: String,
    /// Who.
    pub actor: Actor,
    /// Where.
    pub place: Place,
    /// Which role.
    pub role_id: RoleId,
    /// Whose record it is: the domain of the project, the domain itself, or the actor's.
    pub domain_id: DomainId,
}

impl Assignment {
    /// Finds what somebody has anywhere.
    pub const BY_ACTOR: Index<Self> = Index::plain("actor", |assignment| {
        let (kind, id) = assignment.actor.parts();
        vec![key(&[kind, id])]
    });

    /// Finds what anybody has somewhere.
    pub const BY_PLACE: Index<Self> = Index::plain("place", |assignment| {
        let (kind, id) = assignment.place.parts();
        vec![key(&[kind, id])]
    });

    /// Finds what somebody has somewhere: the question of every request.
    pub const BY_ACTOR_AND_PLACE: Index<Self> = Index::plain("actor_place", |assignment| {
        vec![Self::actor_and_place(
            assignment.actor.parts(),
            assignment.place.parts(),
        )]
    });

    /// Finds who has a role where.
    pub const BY_ROLE: Index<Self> = Index::plain("role", |assignment| {
        vec![key(&[assignment.role_id.as_str()])]
    });

    /// That `actor` has `role` at `place`.
    pub fn new(actor: Actor, place: Place, role: &RoleId, domain: &DomainId) -> Self {
        Self {
            id: Self::id_of(actor.parts(), place.parts(), role.as_str()),
            actor,
            place,
            role_id: role.clone(),
            domain_id: domain.clone(),
        }
    }

    /// The id under which an assignment is kept.
    pub fn id_of(actor: (&str, &str), place: (&str, &str), role: &str) -> String {
        let parts = [place.0, place.1, actor.0, actor.1, role, ""];
        key(&parts).as_str().to_owned()
    }

    /// The key of [`Self::BY_ACTOR_AND_PLACE`].
    pub fn actor_and_place(actor: (&str, &str), place: (&str, &str)) -> IndexKey {
        key(&[actor.0, actor.1, place.0, place.1])
    }
}

impl Record for Assignment {
    const KIND: Kind = Kind::Assignment;
    const INDEXES: &'static [Index<Self>] = &[
        Self::BY_ACTOR,
        Self::BY_PLACE,
        Self::BY_ACTOR_AND_PLACE,
        Self::BY_ROLE,
    ];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.domain_id.clone())
    }
}
