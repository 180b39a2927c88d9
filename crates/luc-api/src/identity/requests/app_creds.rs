//! The body that makes an application credential; a closed object.

use serde::Deserialize;

use super::{Extra, NAME_LENGTH_MAX, check_id, check_name, object, open_object, present};
use crate::body::{InvalidField, RequestBody};
use crate::value::Secret;
use crate::version::Microversion;

/// The methods that an access rule may allow.
const METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];

/// The longest path of an access rule, in characters.
const PATH_LENGTH_MAX: usize = 225;

/// The longest secret, in bytes.
const SECRET_LENGTH_MAX: usize = 4096;

/// `POST /v3/users/{user_id}/application_credentials`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateAppCred {
    /// The application credential.
    #[serde(deserialize_with = "object")]
    pub application_credential: NewAppCred,
}

/// An application credential to be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAppCred {
    /// Passed over: the id is chosen here.
    #[serde(default)]
    pub id: Option<String>,
    /// Unique among the user's.
    pub name: String,
    /// The secret; none means that one is generated.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// When it ends, in ISO 8601; none means never.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// Passed over: it is for the project of the token.
    #[serde(default, deserialize_with = "present")]
    pub project_id: Option<String>,
    /// What it may do; none means all that its roles allow.
    #[serde(default, deserialize_with = "present")]
    pub access_rules: Option<Vec<AccessRuleRequest>>,
    /// Whether it may make other application credentials.
    #[serde(default)]
    pub unrestricted: Option<bool>,
    /// Passed over: there are none for the system.
    #[serde(default)]
    pub system: Option<String>,
    /// A part of the token's roles; none means all.
    #[serde(default, deserialize_with = "present")]
    pub roles: Option<Vec<RoleChoice>>,
}

open_object! {
    /// A role by id or by name.
    pub struct RoleChoice {
        /// The id.
        optional "id" id: String,
        /// The name.
        optional "name" name: String,
    }
}

open_object! {
    /// A rule that says what may be asked of which service, or the id of one of the user's rules.
    pub struct AccessRuleRequest {
        /// A rule that is there already.
        optional "id" id: String,
        /// The type of the service.
        optional "service" service: String,
        /// The path, with `*`, `**` and `{name}` as wildcards.
        optional "path" path: String,
        /// The method.
        optional "method" method: String,
    }
}

impl RequestBody for CreateAppCred {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        let cred = &self.application_credential;
        check_name("application_credential.name", &cred.name, NAME_LENGTH_MAX)?;
        if cred
            .secret
            .as_ref()
            .is_some_and(|secret| secret.reveal().len() > SECRET_LENGTH_MAX)
        {
            let reason = format!("A secret has at most {SECRET_LENGTH_MAX} bytes");
            return Err(InvalidField::new("application_credential.secret", reason));
        }
        for (index, role) in cred.roles.iter().flatten().enumerate() {
            check_role(&format!("application_credential.roles.{index}"), role)?;
        }
        for (index, rule) in cred.access_rules.iter().flatten().enumerate() {
            check_rule(
                &format!("application_credential.access_rules.{index}"),
                rule,
            )?;
        }
        Ok(())
    }
}

fn check_closed(at: &str, extra: &Extra) -> Result<(), InvalidField> {
    let Some(name) = extra.keys().next() else {
        return Ok(());
    };
    let reason = format!("Additional properties are not allowed ('{name}' was unexpected)");
    Err(InvalidField::new(at, reason))
}

fn check_role(at: &str, role: &RoleChoice) -> Result<(), InvalidField> {
    check_closed(at, &role.extra)?;
    match (&role.id, &role.name) {
        (Some(id), None) => check_id(&format!("{at}.id"), id),
        (None, Some(name)) => check_name(&format!("{at}.name"), name, NAME_LENGTH_MAX),
        _ => Err(InvalidField::new(
            at,
            "expected an id or a name, and only one of them",
        )),
    }
}

fn check_rule(at: &str, rule: &AccessRuleRequest) -> Result<(), InvalidField> {
    check_closed(at, &rule.extra)?;
    if let Some(id) = &rule.id {
        check_id(&format!("{at}.id"), id)?;
    }
    let (Some(service), Some(path), Some(method)) = (&rule.service, &rule.path, &rule.method)
    else {
        let only_id = rule.service.is_none() && rule.path.is_none() && rule.method.is_none();
        if rule.id.is_some() && only_id {
            return Ok(());
        }
        return Err(InvalidField::new(
            at,
            "expected an id, or service, path and method",
        ));
    };
    check_id(&format!("{at}.service"), service)?;
    if !path.starts_with('/') || path.chars().count() > PATH_LENGTH_MAX {
        let reason = format!("expected a path of at most {PATH_LENGTH_MAX} characters");
        return Err(InvalidField::new(format!("{at}.path"), reason));
    }
    if !METHODS.contains(&method.as_str()) {
        let reason = format!("'{method}' is not one of {METHODS:?}");
        return Err(InvalidField::new(format!("{at}.method"), reason));
    }
    Ok(())
}
