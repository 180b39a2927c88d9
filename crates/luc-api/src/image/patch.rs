//! The body of `PATCH /v2/images/{id}`: an array of operations, in one of two media types.
//!
//! The endpoint's own body type ([`Patch`]) says only that it is an array of objects; what each
//! operation means depends on the media type, so [`changes`] reads them against it.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::attribute::{self, Access};
use super::pointer;
use crate::body::{RequestBody, Root};
use crate::fault::ApiError;

/// A body of operations that are not read yet.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Patch(Vec<Map<String, Value>>);

impl RequestBody for Patch {
    const ROOT: Root = Root::Array;
}

/// The media types of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draft {
    /// `{"add": "/name", "value": ...}`; adding what is there is a conflict.
    Four,
    /// `{"op": "add", "path": "/name", "value": ...}`.
    Ten,
}

/// The media types that are accepted, for the refusal and its `Accept-Patch` header.
pub const MEDIA_TYPES: &str = "application/openstack-images-v2.0-json-patch, \
                               application/openstack-images-v2.1-json-patch";

impl Draft {
    /// The draft that a `Content-Type` names; 415 for any other.
    pub fn of(content_type: &str) -> Result<Self, ApiError> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence {
            "application/openstack-images-v2.0-json-patch" => Ok(Self::Four),
            "application/openstack-images-v2.1-json-patch" => Ok(Self::Ten),
            _ => Err(ApiError::UnsupportedMediaType {
                given: content_type.chars().take(128).collect(),
                accepted: MEDIA_TYPES,
            }),
        }
    }
}

/// One change of one attribute or property.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Sets it; under [`Draft::Four`] it must not be there yet.
    Add {
        /// Its name.
        name: String,
        /// The value.
        value: Value,
        /// Whether it must not be there yet.
        fresh: bool,
    },
    /// Sets it; it must be there.
    Replace {
        /// Its name.
        name: String,
        /// The value.
        value: Value,
    },
    /// Removes it; it must be there, and not be part of every image.
    Remove {
        /// Its name.
        name: String,
    },
}

const OPERATIONS: [&str; 3] = ["add", "remove", "replace"];

/// What `patch` changes, in order, each change checked on its own.
pub fn changes(patch: &Patch, draft: Draft) -> Result<Vec<Change>, ApiError> {
    patch
        .0
        .iter()
        .map(|operation| change(operation, draft))
        .collect()
}

fn change(operation: &Map<String, Value>, draft: Draft) -> Result<Change, ApiError> {
    let (op, pointer) = match draft {
        Draft::Ten => named(operation)?,
        Draft::Four => keyed(operation)?,
    };
    let steps = pointer::steps(pointer)?;
    let [name] = steps.as_slice() else {
        let path = steps.join("/");
        let message = format!("Invalid JSON pointer for this resource: '/{path}'");
        return Err(ApiError::BadRequest { message });
    };
    check_access(name)?;
    if op == "remove" {
        return Ok(Change::Remove { name: name.clone() });
    }
    let value = operation.get("value").ok_or_else(|| {
        ApiError::bad_request(format!(
            "Operation \"{op}\" requires a member named \"value\"."
        ))
    })?;
    attribute::check(name, value)?;
    let (name, value) = (name.clone(), value.clone());
    Ok(match op {
        "add" => Change::Add {
            name,
            value,
            fresh: draft == Draft::Four,
        },
        _ => Change::Replace { name, value },
    })
}

/// The operation and pointer of `{"op": .., "path": ..}`.
fn named(operation: &Map<String, Value>) -> Result<(&'static str, &str), ApiError> {
    let available = OPERATIONS.join(", ");
    let Some(op) = operation.get("op") else {
        let message = format!(
            "Unable to find `op` in JSON Schema change. It must be one of the following: \
             {available}."
        );
        return Err(ApiError::BadRequest { message });
    };
    let known = op
        .as_str()
        .and_then(|op| OPERATIONS.into_iter().find(|known| *known == op));
    let Some(known) = known else {
        let message =
            format!("Invalid operation: `{op}`. It must be one of the following: {available}.");
        return Err(ApiError::BadRequest { message });
    };
    let path = operation
        .get("path")
        .ok_or_else(|| ApiError::bad_request("Unable to find 'path' in JSON Schema change"))?;
    Ok((known, text_of(path)?))
}

/// The operation and pointer of `{"add": "/name"}`.
fn keyed(operation: &Map<String, Value>) -> Result<(&'static str, &str), ApiError> {
    let mut found = OPERATIONS
        .into_iter()
        .filter(|op| operation.contains_key(*op));
    let (Some(op), None) = (found.next(), found.next()) else {
        return Err(ApiError::bad_request(
            "Operation objects must contain exactly one member named \"add\", \"remove\", or \
             \"replace\".",
        ));
    };
    Ok((op, text_of(&operation[op])?))
}

fn text_of(pointer: &Value) -> Result<&str, ApiError> {
    pointer
        .as_str()
        .ok_or_else(|| ApiError::invalid("path", "a JSON pointer is a text"))
}

/// Refuses names that a patch may not touch.
fn check_access(name: &str) -> Result<(), ApiError> {
    match attribute::access(name) {
        Access::Open => Ok(()),
        Access::Once | Access::ReadOnly => Err(ApiError::forbidden(format!(
            "Attribute '{name}' is read-only."
        ))),
        Access::Reserved => Err(ApiError::forbidden(format!(
            "Attribute '{name}' is reserved."
        ))),
    }
}

#[cfg(test)]
mod tests;
