//! Strict bodies: what a request says, or the member that is wrong.
//!
//! A request type is a plain serde struct with `deny_unknown_fields`. Parsing goes through
//! [`parse`], which names the path of the offending member as Nova does, and applies the type's
//! table of members that exist only in some microversions ([`RequestBody::MEMBERS`]).

mod strict;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fault::ApiError;
use crate::version::{Microversion, VersionRange};
use strict::Strict;

/// A member that exists only in some microversions.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The path from the body's root, with `*` for every element of an array.
    pub path: &'static str,
    /// The versions in which it exists.
    pub versions: VersionRange,
    /// Whether it must be there in those versions.
    pub required: bool,
}

impl Member {
    /// A member that came with `major.minor`.
    pub const fn since(path: &'static str, major: u16, minor: u16) -> Self {
        let versions = VersionRange {
            min: Microversion::new(major, minor),
            ..VersionRange::EVER
        };
        Self {
            path,
            versions,
            required: false,
        }
    }

    /// A member that left after `major.minor`.
    pub const fn until(path: &'static str, major: u16, minor: u16) -> Self {
        let versions = VersionRange {
            max: Microversion::new(major, minor),
            ..VersionRange::EVER
        };
        Self {
            path,
            versions,
            required: false,
        }
    }

    /// A member that came with `first` and left after `last`, each a major and a minor number.
    pub const fn between(path: &'static str, first: (u16, u16), last: (u16, u16)) -> Self {
        let versions = VersionRange {
            min: Microversion::new(first.0, first.1),
            max: Microversion::new(last.0, last.1),
        };
        Self {
            path,
            versions,
            required: false,
        }
    }

    /// The same, but it must be there in those versions.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// A member and why its value is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidField {
    /// The path from the body's root.
    pub field: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl InvalidField {
    /// The member at `field` is not accepted because of `reason`.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

impl From<InvalidField> for ApiError {
    fn from(invalid: InvalidField) -> Self {
        Self::InvalidInput {
            field: invalid.field,
            reason: invalid.reason,
        }
    }
}

/// What stands at the root of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// A JSON object: every body but patches.
    Object,
    /// A JSON array.
    Array,
}

impl Root {
    /// In words that follow "expected".
    const fn name(self) -> &'static str {
        match self {
            Self::Object => "a JSON object",
            Self::Array => "a JSON array",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
        }
    }
}

/// The body of a request.
pub trait RequestBody: DeserializeOwned {
    /// What stands at the root.
    const ROOT: Root = Root::Object;

    /// The members that exist only in some microversions.
    const MEMBERS: &'static [Member] = &[];

    /// What the types cannot say: ranges, lengths, combinations.
    fn validate(&self, version: Microversion) -> Result<(), InvalidField> {
        let _ = version;
        Ok(())
    }
}

/// Reads a body of type `T` as of `version`.
///
/// Errors: [`ApiError::BadRequest`] for what is no JSON of the type's [`Root`],
/// [`ApiError::InvalidInput`] with the member's path for everything else.
pub fn parse<T: RequestBody>(bytes: &[u8], version: Microversion) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let message = format!(
            "Malformed request body: expected {} ({error})",
            T::ROOT.name()
        );
        ApiError::BadRequest { message }
    })?;
    if !T::ROOT.fits(&value) {
        let (expected, kind) = (T::ROOT.name(), kind_of(&value));
        let message = format!("Malformed request body: expected {expected}, not {kind}");
        return Err(ApiError::BadRequest { message });
    }
    for member in T::MEMBERS {
        check_member(&value, member, version)?;
    }
    let parsed: T = serde_path_to_error::deserialize(Strict(&value)).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "body".to_owned() } else { path };
        InvalidField {
            field,
            reason: reworded(&error.inner().to_string()),
        }
    })?;
    parsed.validate(version)?;
    Ok(parsed)
}

/// Whether a body of type `T` parses; the form in which the endpoint table holds a request type.
pub fn check<T: RequestBody>(bytes: &[u8], version: Microversion) -> Result<(), ApiError> {
    parse::<T>(bytes, version).map(drop)
}

fn check_member(root: &Value, member: &Member, version: Microversion) -> Result<(), InvalidField> {
    let exists = member.versions.contains(version);
    let (parents, name) = member.path.rsplit_once('.').unwrap_or(("", member.path));
    let mut found = Vec::new();
    collect(root, parents, String::new(), &mut found);
    for (path, parent) in found {
        let Some(object) = parent.as_object() else {
            continue;
        };
        let present = object.contains_key(name);
        let field = if path.is_empty() {
            "body".to_owned()
        } else {
            path
        };
        if present && !exists {
            return Err(InvalidField {
                field,
                reason: unexpected(name),
            });
        }
        if !present && exists && member.required {
            return Err(InvalidField {
                field,
                reason: required(name),
            });
        }
    }
    Ok(())
}

/// Collects the values that `path` (with `*` for array elements) leads to, with their paths.
fn collect<'v>(value: &'v Value, path: &str, at: String, found: &mut Vec<(String, &'v Value)>) {
    if path.is_empty() {
        found.push((at, value));
        return;
    }
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    let join = |name: &str| {
        if at.is_empty() {
            name.to_owned()
        } else {
            format!("{at}.{name}")
        }
    };
    if step == "*" {
        for (index, element) in value.as_array().into_iter().flatten().enumerate() {
            collect(element, rest, join(&index.to_string()), found);
        }
    } else if let Some(member) = value.get(step) {
        collect(member, rest, join(step), found);
    }
}

fn unexpected(name: &str) -> String {
    format!("Additional properties are not allowed ('{name}' was unexpected)")
}

fn required(name: &str) -> String {
    format!("'{name}' is a required property")
}

/// Serde's words in those of JSON Schema, which clients of OpenStack know.
fn reworded(message: &str) -> String {
    let quoted = |prefix: &str| {
        let rest = message.strip_prefix(prefix)?;
        rest.split('`').next().map(str::to_owned)
    };
    if let Some(name) = quoted("unknown field `") {
        return unexpected(&name);
    }
    if let Some(name) = quoted("missing field `") {
        return required(&name);
    }
    message.to_owned()
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
