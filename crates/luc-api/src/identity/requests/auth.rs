//! The body of an authentication: who, how, and for what.
//!
//! Unknown members are passed over, as Keystone does. Which methods exist and whether the scope is
//! one of the known kinds is not a matter of form but of the service.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde_json::Value;

use super::open_object;
use crate::body::{InvalidField, RequestBody};
use crate::value::Secret;
use crate::version::Microversion;

/// `POST /v3/auth/tokens`.
#[derive(Clone, Debug, Deserialize)]
pub struct IssueToken {
    /// The request proper.
    pub auth: AuthRequest,
}

open_object! {
    /// Who asks and what the token is to be good for.
    pub struct AuthRequest {
        /// The proofs of identity.
        required "identity" identity: IdentityRequest,
        /// The scope; none means the user's default project, or none.
        optional "scope" scope: ScopeRequest,
    }
}

open_object! {
    /// The methods and what each of them needs; payloads of unknown methods are in `extra`.
    pub struct IdentityRequest {
        /// The methods, all of which must succeed.
        required "methods" methods: Vec<String>,
        /// What the method `password` needs.
        optional "password" password: PasswordPayload,
        /// What the method `token` needs.
        optional "token" token: TokenPayload,
        /// What the method `application_credential` needs.
        optional "application_credential" application_credential: AppCredPayload,
    }
}

open_object! {
    /// The payload of the method `password`.
    pub struct PasswordPayload {
        /// The user and the password.
        optional "user" user: PasswordUser,
    }
}

open_object! {
    /// A user by id, or by name and domain, with a password.
    pub struct PasswordUser {
        /// The id.
        optional "id" id: String,
        /// The name; needs the domain, and counts before the id.
        optional "name" name: String,
        /// The domain of the name.
        optional "domain" domain: DomainChoice,
        /// The password.
        optional "password" password: Secret,
    }
}

open_object! {
    /// The payload of the method `token`.
    pub struct TokenPayload {
        /// The token itself.
        required "id" id: Secret,
    }
}

open_object! {
    /// The payload of the method `application_credential`.
    pub struct AppCredPayload {
        /// The id.
        optional "id" id: String,
        /// The name; needs the user.
        optional "name" name: String,
        /// The user of the name.
        optional "user" user: UserChoice,
        /// The secret.
        optional "secret" secret: Secret,
    }
}

open_object! {
    /// A user by id, or by name and domain.
    pub struct UserChoice {
        /// The id.
        optional "id" id: String,
        /// The name; needs the domain.
        optional "name" name: String,
        /// The domain of the name.
        optional "domain" domain: DomainChoice,
    }
}

open_object! {
    /// A domain by id or name.
    pub struct DomainChoice {
        /// The id.
        optional "id" id: String,
        /// The name, which counts before the id.
        optional "name" name: String,
    }
}

open_object! {
    /// A project by id, or by name and domain.
    pub struct ProjectChoice {
        /// The id.
        optional "id" id: String,
        /// The name, which counts before the id.
        optional "name" name: String,
        /// The domain of the name.
        optional "domain" domain: DomainChoice,
    }
}

open_object! {
    /// The system; `all` says nothing, as there is only one.
    pub struct SystemChoice {
        /// Always the whole system.
        optional "all" all: bool,
    }
}

/// The wished scope: the word `unscoped`, or an object with one member.
#[derive(Clone, Debug)]
pub enum ScopeRequest {
    /// A word.
    Word(String),
    /// An object.
    Choices(Box<ScopeChoices>),
}

open_object! {
    /// The members of a scope, of which exactly one counts.
    pub struct ScopeChoices {
        /// A project.
        optional "project" project: ProjectChoice,
        /// A domain.
        optional "domain" domain: DomainChoice,
        /// The system.
        optional "system" system: SystemChoice,
        /// A trust.
        optional "OS-TRUST:trust" trust: Value,
        /// Explicitly nothing.
        optional "unscoped" unscoped: Value,
    }
}

impl<'de> Deserialize<'de> for ScopeRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrObject;
        impl<'de> Visitor<'de> for WordOrObject {
            type Value = ScopeRequest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object, or the word 'unscoped'")
            }

            fn visit_str<E>(self, word: &str) -> Result<ScopeRequest, E> {
                Ok(ScopeRequest::Word(word.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ScopeRequest, A::Error> {
                let choices = ScopeChoices::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ScopeRequest::Choices(Box::new(choices)))
            }
        }
        deserializer.deserialize_any(WordOrObject)
    }
}

impl RequestBody for IssueToken {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        if let Some(user) = self
            .auth
            .identity
            .password
            .as_ref()
            .and_then(|p| p.user.as_ref())
        {
            let at = "auth.identity.password.user";
            need_one(at, user.id.as_ref(), user.name.as_ref())?;
            check_domain(at, user.domain.as_ref())?;
        }
        let Some(ScopeRequest::Choices(scope)) = &self.auth.scope else {
            return Ok(());
        };
        if let Some(project) = &scope.project {
            let at = "auth.scope.project";
            need_one(at, project.id.as_ref(), project.name.as_ref())?;
            check_domain(at, project.domain.as_ref())?;
        }
        check_domain("auth.scope", scope.domain.as_ref())
    }
}

fn need_one(at: &str, id: Option<&String>, name: Option<&String>) -> Result<(), InvalidField> {
    if id.is_none() && name.is_none() {
        return Err(InvalidField::new(at, "id or name must be present."));
    }
    Ok(())
}

fn check_domain(at: &str, domain: Option<&DomainChoice>) -> Result<(), InvalidField> {
    domain.map_or(Ok(()), |domain| {
        need_one(
            &format!("{at}.domain"),
            domain.id.as_ref(),
            domain.name.as_ref(),
        )
    })
}
