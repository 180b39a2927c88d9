//! Who asks: the facts of a verified token that rules are checked against.
//!
//! The names are those of oslo.context's `to_policy_values` and of the token body that Keystone
//! adds to them. Nothing here verifies a token; the identity service has done that, and has already
//! expanded implied roles.

/// The facts of one caller, borrowed from its token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The user.
    pub user_id: Option<&'a str>,
    /// The domain that owns the user.
    pub user_domain_id: Option<&'a str>,
    /// The project that the token is scoped to.
    pub project_id: Option<&'a str>,
    /// The domain that owns that project.
    pub project_domain_id: Option<&'a str>,
    /// The domain that the token is scoped to.
    pub domain_id: Option<&'a str>,
    /// `all` if the token is scoped to the system.
    pub system_scope: Option<&'a str>,
    /// The names of the roles, implied ones included.
    pub roles: Vec<&'a str>,
    /// Whether the service takes the caller for an administrator, see
    /// [`super::Policy::is_admin`]; `None` where the service has no such notion (identity).
    pub is_admin: Option<bool>,
}

/// The level that a token is scoped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The whole system.
    System,
    /// One domain.
    Domain,
    /// One project; also what an unscoped token counts as, as in oslo.policy.
    Project,
}

impl Scope {
    /// The word of oslo.policy's `scope_types`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Domain => "domain",
            Self::Project => "project",
        }
    }
}

/// A fact of the caller that a rule may name on the left of a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the names of NAMES in camel case"
)]
pub enum Attribute {
    UserId,
    UserDomainId,
    ProjectId,
    ProjectDomainId,
    DomainId,
    SystemScope,
    Roles,
    IsAdmin,
    TokenUserId,
    TokenUserDomainId,
    TokenProjectId,
    TokenProjectDomainId,
    TokenDomainId,
}

/// Every attribute with its name in a rule. The dotted ones are members of the token's body: unlike
/// the plain ones they are missing, rather than `None`, when the token is scoped to something else.
const NAMES: [(&str, Attribute); 13] = [
    ("user_id", Attribute::UserId),
    ("user_domain_id", Attribute::UserDomainId),
    ("project_id", Attribute::ProjectId),
    ("project_domain_id", Attribute::ProjectDomainId),
    ("domain_id", Attribute::DomainId),
    ("system_scope", Attribute::SystemScope),
    ("roles", Attribute::Roles),
    ("is_admin", Attribute::IsAdmin),
    ("token.user.id", Attribute::TokenUserId),
    ("token.user.domain.id", Attribute::TokenUserDomainId),
    ("token.project.id", Attribute::TokenProjectId),
    ("token.project.domain.id", Attribute::TokenProjectDomainId),
    ("token.domain.id", Attribute::TokenDomainId),
];

impl Attribute {
    /// All attributes.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(_, attribute)| *attribute)
    }

    /// The attribute of this name.
    pub fn named(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, attribute)| *attribute)
    }

    /// Its name in a rule.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, known)| *known == self)
            .map_or("", |(name, _)| name)
    }
}

/// What a caller holds under an attribute's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held<'a> {
    /// Nothing: the check fails whatever it compares with.
    Absent,
    /// One value, in its Python spelling.
    One(&'a str),
    /// Several, of which one must be equal.
    Many(&'a [&'a str]),
}

impl Credentials<'_> {
    /// The level that the token is scoped to, judged as oslo.policy judges it.
    pub fn scope(&self) -> Scope {
        if self.system_scope.is_some() {
            Scope::System
        } else if self.domain_id.is_some() {
            Scope::Domain
        } else {
            Scope::Project
        }
    }

    pub(super) fn held(&self, attribute: Attribute) -> Held<'_> {
        let plain = |value: Option<&'static str>| value.map_or(Held::Absent, Held::One);
        match attribute {
            Attribute::UserId => or_none(self.user_id),
            Attribute::UserDomainId => or_none(self.user_domain_id),
            Attribute::ProjectId => or_none(self.project_id),
            Attribute::ProjectDomainId => or_none(self.project_domain_id),
            Attribute::DomainId => or_none(self.domain_id),
            Attribute::SystemScope => or_none(self.system_scope),
            Attribute::Roles => Held::Many(&self.roles),
            Attribute::IsAdmin => plain(
                self.is_admin
                    .map(|admin| if admin { "True" } else { "False" }),
            ),
            Attribute::TokenUserId => or_absent(self.user_id),
            Attribute::TokenUserDomainId => or_absent(self.user_domain_id),
            Attribute::TokenProjectId => or_absent(self.project_id),
            Attribute::TokenProjectDomainId => or_absent(self.project_domain_id),
            Attribute::TokenDomainId => or_absent(self.domain_id),
        }
    }

    /// Whether the caller has a role of this name, whatever its case.
    pub(super) fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| equal_in_any_case(role, name))
    }
}

fn or_none(value: Option<&str>) -> Held<'_> {
    Held::One(value.unwrap_or("None"))
}

fn or_absent(value: Option<&str>) -> Held<'_> {
    value.map_or(Held::Absent, Held::One)
}

fn equal_in_any_case(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        return left.eq_ignore_ascii_case(right);
    }
    left.to_lowercase() == right.to_lowercase()
}
