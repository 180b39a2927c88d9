//! The JSON bodies of the image service, apart from patches.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::attribute;
use crate::body::{InvalidField, RequestBody};
use crate::version::Microversion;

/// The body of `POST /v2/images`: attributes, and properties of the user's own.
///
/// Names that only the cloud may set are left to the handler, which refuses them as forbidden.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct CreateImage(pub BTreeMap<String, Value>);

impl RequestBody for CreateImage {
    fn validate(&self, _: Microversion) -> Result<(), InvalidField> {
        self.0
            .iter()
            .try_for_each(|(name, value)| attribute::check(name, value))
    }
}

/// The body of `POST /v2/images/{id}/members`.
#[derive(Debug, Deserialize)]
pub struct AddMember {
    /// The project that is to see the image.
    pub member: String,
}

impl RequestBody for AddMember {
    fn validate(&self, _: Microversion) -> Result<(), InvalidField> {
        if self.member.is_empty() {
            return Err(InvalidField::new("member", "Member can't be empty"));
        }
        if self.member.chars().count() > attribute::TEXT_LENGTH_MAX {
            return Err(InvalidField::new(
                "member",
                "at most 255 characters are accepted",
            ));
        }
        Ok(())
    }
}

/// The words for a member's `status`.
pub const MEMBER_STATUSES: [&str; 3] = ["pending", "accepted", "rejected"];

/// The body of `PUT /v2/images/{id}/members/{member}`.
#[derive(Debug, Deserialize)]
pub struct UpdateMember {
    /// What the member says of the image.
    pub status: String,
}

impl RequestBody for UpdateMember {
    fn validate(&self, _: Microversion) -> Result<(), InvalidField> {
        if MEMBER_STATUSES.contains(&self.status.as_str()) {
            return Ok(());
        }
        let shown: String = self.status.chars().take(64).collect();
        let accepted = MEMBER_STATUSES.join(", ");
        Err(InvalidField::new(
            "status",
            format!("'{shown}' is not one of {accepted}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    const V2: Microversion = Microversion::new(2, 9);

    #[test]
    fn a_new_image_may_say_nothing_at_all() {
        assert!(parse::<CreateImage>(b"{}", V2).unwrap().0.is_empty());
    }

    #[test]
    fn a_wrong_member_is_named() {
        let error = parse::<CreateImage>(br#"{"name": "n", "min_ram": "x"}"#, V2).unwrap_err();
        assert!(error.to_string().contains("min_ram"), "{error}");
        let error = parse::<UpdateMember>(br#"{"status": "maybe"}"#, V2).unwrap_err();
        assert!(error.to_string().contains("status"), "{error}");
        let error = parse::<AddMember>(br#"{"member": ""}"#, V2).unwrap_err();
        assert!(error.to_string().contains("member"), "{error}");
        let error = parse::<AddMember>(b"{}", V2).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("'member' is a required property"),
            "{error}"
        );
    }
}
