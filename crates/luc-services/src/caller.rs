//! Who asks: what a verified token says, with the names and roles that hold at this moment.
//!
//! Made by the identity service for each request; read by all services. It holds no secret.

use luc_api::Service;
use luc_api::policy::{Attributes, Credentials};
use luc_core::id::{AppCredId, DomainId, ProjectId, RoleId, UserId};
use luc_core::time::Timestamp;

/// A domain by id and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRef {
    /// The id.
    pub id: DomainId,
    /// The name.
    pub name: String,
}

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For nothing but to be exchanged.
    Unscoped,
    /// For one project.
    Project {
        /// The project.
        id: ProjectId,
        /// Its name.
        name: String,
        /// Its domain.
        domain: DomainRef,
    },
    /// For the administration of one domain.
    Domain(DomainRef),
    /// For the administration of the cloud.
    System,
}

/// A role by id and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRef {
    /// The id.
    pub id: RoleId,
    /// The name; policy rules speak of it.
    pub name: String,
}

/// What an application credential may ask of which service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRuleRef {
    /// The id.
    pub id: String,
    /// The type of the service.
    pub service: String,
    /// The path, with `*`, `**` and `{name}` as wildcards.
    pub path: String,
    /// The method.
    pub method: String,
}

/// The application credential that a token was obtained with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppCredRef {
    /// The id.
    pub id: AppCredId,
    /// The name.
    pub name: String,
    /// Whether it may make other application credentials.
    pub unrestricted: bool,
    /// What it may ask; none means all that its roles allow, an empty list nothing.
    pub access_rules: Option<Vec<AccessRuleRef>>,
}

/// The verified caller of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user_id: UserId,
    /// The user's name.
    pub user_name: String,
    /// The user's domain.
    pub user_domain: DomainRef,
    /// What the token is good for.
    pub scope: Scope,
    /// The effective roles, implied ones included.
    pub roles: Vec<RoleRef>,
    /// How the user authenticated.
    pub methods: Vec<String>,
    /// The audit id of the token, and that of the first one of its chain if that is another.
    pub audit_ids: Vec<String>,
    /// When the token was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The application credential it was obtained with.
    pub app_cred: Option<AppCredRef>,
}

impl Caller {
    /// The project the token is scoped to.
    pub fn project_id(&self) -> Option<&ProjectId> {
        match &self.scope {
            Scope::Project { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The domain the token is scoped to.
    pub fn domain_id(&self) -> Option<&DomainId> {
        match &self.scope {
            Scope::Domain(domain) => Some(&domain.id),
            _ => None,
        }
    }

    /// Whether the caller has the role `name`, implied ones included.
    pub fn has_role(&self, name: &str) -> bool {
        self.roles
            .iter()
            .any(|role| role.name.eq_ignore_ascii_case(name))
    }

    /// Whether the access rules of the application credential, if there are any, let the caller
    /// ask `method` of `path` (without the query). A rule's path may leave out the service's
    /// prefix: `/v2.1/servers` for `/compute/v2.1/servers`.
    pub fn permits(&self, service: Service, method: &str, path: &str) -> bool {
        let Some(rules) = self
            .app_cred
            .as_ref()
            .and_then(|cred| cred.access_rules.as_ref())
        else {
            return true;
        };
        let facts = service.facts();
        let below = path.strip_prefix(facts.prefix).unwrap_or(path);
        rules.iter().any(|rule| {
            rule.service == facts.catalog_type
                && rule.method == method
                && (fits(&rule.path, path) || fits(&rule.path, below))
        })
    }

    /// What policy rules may ask about the caller.
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials {
            user_id: Some(self.user_id.as_str()),
            user_domain_id: Some(self.user_domain.id.as_str()),
            project_id: self.project_id().map(ProjectId::as_str),
            project_domain_id: match &self.scope {
                Scope::Project { domain, .. } => Some(domain.id.as_str()),
                _ => None,
            },
            domain_id: self.domain_id().map(DomainId::as_str),
            system_scope: matches!(self.scope, Scope::System).then_some("all"),
            roles: self.roles.iter().map(|role| role.name.as_str()).collect(),
            is_admin: None,
        }
    }

    /// The target of operations without an object: the caller's own user, project and domain.
    pub fn own_target(&self) -> Attributes<'_> {
        Attributes::of_caller(&self.credentials())
    }
}

/// The longest path that is compared with a rule, in bytes.
const PATH_LENGTH_MAX: usize = 2048;

/// A piece of a rule's path.
#[derive(Clone, Copy)]
enum Piece {
    /// This very byte.
    Byte(u8),
    /// One or more bytes without a slash: `*` or `{name}`.
    Segment,
    /// Anything: `**`.
    Rest,
}

/// Whether `path` is what `pattern` means, as keystonemiddleware reads it.
fn fits(pattern: &str, path: &str) -> bool {
    if path.len() > PATH_LENGTH_MAX {
        return false;
    }
    let path = path.as_bytes();
    // reach[n]: the pieces so far can stand for the first n bytes of the path.
    let mut reach = vec![false; path.len() + 1];
    reach[0] = true;
    for piece in pieces(pattern.as_bytes()) {
        let mut next = vec![false; path.len() + 1];
        for at in 0..=path.len() {
            next[at] = match piece {
                Piece::Byte(byte) => at > 0 && reach[at - 1] && path[at - 1] == byte,
                Piece::Segment => at > 0 && path[at - 1] != b'/' && (reach[at - 1] || next[at - 1]),
                Piece::Rest => reach[at] || (at > 0 && next[at - 1]),
            };
        }
        reach = next;
    }
    reach[path.len()]
}

fn pieces(pattern: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(pattern.len());
    let mut at = 0;
    while let Some(&byte) = pattern.get(at) {
        let tag = pattern[at..].iter().position(|byte| *byte == b'}');
        let (piece, length) = match (byte, tag) {
            (b'*', _) if pattern.get(at + 1) == Some(&b'*') => (Piece::Rest, 2),
            (b'*', _) => (Piece::Segment, 1),
            (b'{', Some(end)) => (Piece::Segment, end + 1),
            _ => (Piece::Byte(byte), 1),
        };
        pieces.push(piece);
        at += length;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(rules: Option<Vec<(&str, &str, &str)>>) -> Caller {
        let rule = |(service, method, path): (&str, &str, &str)| AccessRuleRef {
            id: "r".to_owned(),
            service: service.to_owned(),
            path: path.to_owned(),
            method: method.to_owned(),
        };
        Caller {
            user_id: UserId::parse("ada").unwrap(),
            user_name: "ada".to_owned(),
            user_domain: DomainRef {
                id: DomainId::parse("default").unwrap(),
                name: "Default".to_owned(),
            },
            scope: Scope::Unscoped,
            roles: Vec::new(),
            methods: Vec::new(),
            audit_ids: Vec::new(),
            issued_at: Timestamp::default(),
            expires_at: Timestamp::default(),
            app_cred: Some(AppCredRef {
                id: AppCredId::parse("c").unwrap(),
                name: "c".to_owned(),
                unrestricted: false,
                access_rules: rules.map(|rules| rules.into_iter().map(rule).collect()),
            }),
        }
    }

    #[test]
    fn without_rules_everything_is_permitted_with_none_nothing() {
        assert!(caller(None).permits(Service::Compute, "GET", "/compute/v2.1/servers"));
        assert!(!caller(Some(vec![])).permits(Service::Compute, "GET", "/compute/v2.1/servers"));
    }

    #[test]
    fn a_rule_is_for_one_service_method_and_path() {
        let caller = caller(Some(vec![("compute", "GET", "/v2.1/servers")]));
        assert!(caller.permits(Service::Compute, "GET", "/compute/v2.1/servers"));
        assert!(!caller.permits(Service::Compute, "POST", "/compute/v2.1/servers"));
        assert!(!caller.permits(Service::Compute, "GET", "/compute/v2.1/servers/x"));
        assert!(!caller.permits(Service::Image, "GET", "/image/v2.1/servers"));
    }

    #[test]
    fn wildcards_stand_for_segments_or_for_anything() {
        for (pattern, path, expected) in [
            ("/v2/*", "/v2/images", true),
            ("/v2/*", "/v2/images/x", false),
            ("/v2/*", "/v2/", false),
            ("/v2/**", "/v2/images/x", true),
            ("/v2/**", "/v2/", true),
            ("/v2/{kind}/{id}", "/v2/images/x", true),
            ("/v2/{kind}/{id}", "/v2/images", false),
            ("/v2/a*z", "/v2/abcz", true),
            ("/v2/**/tags", "/v2/images/x/tags", true),
            ("/v2/{open", "/v2/{open", true),
            ("/v2/a.c", "/v2/abc", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
    }
}
