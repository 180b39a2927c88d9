//! The bodies about host aggregates.
//!
//! Source: Nova 30 `schemas/aggregates.py` (shapes only).

use std::collections::BTreeMap;

use luc_core::id::AggregateId;
use luc_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::parameter::{check_fqdn, check_length, check_metadata_key, check_name, check_printable};
use super::reference::given;
use crate::body::{InvalidField, RequestBody};
use crate::value::nullable;
use crate::version::Microversion;

/// `POST /os-aggregates`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateAggregate {
    /// The aggregate.
    pub aggregate: NewAggregate,
}

/// An aggregate to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAggregate {
    /// Its name.
    pub name: String,
    /// The availability zone that its hosts form.
    #[serde(default)]
    pub availability_zone: Option<String>,
    /// What it was at the site from which it moves here. Ours, not Nova's.
    #[serde(default, rename = "luc:moving")]
    pub moving: Option<MovingAggregate>,
}

/// An aggregate that moves to the site of its first host.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovingAggregate {
    /// Its UUID.
    pub uuid: AggregateId,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its first host.
    pub host: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl RequestBody for CreateAggregate {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_name("aggregate.name", &self.aggregate.name)?;
        if let Some(moving) = &self.aggregate.moving {
            check_fqdn("aggregate.luc:moving.host", &moving.host)?;
            for (key, value) in &moving.metadata {
                check_metadata_key("aggregate.luc:moving.metadata", key)?;
                check_length("aggregate.luc:moving.metadata", value, 0, 255)?;
            }
        }
        match &self.aggregate.availability_zone {
            Some(zone) => check_zone("aggregate.availability_zone", zone),
            None => Ok(()),
        }
    }
}

/// `PUT /os-aggregates/{id}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateAggregate {
    /// What changes.
    pub aggregate: AggregateChange,
}

/// What changes of an aggregate; what is absent stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateChange {
    /// Its name; white space at its ends does not count.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<String>,
    /// The availability zone that its hosts form.
    #[serde(default, deserialize_with = "nullable")]
    pub availability_zone: Option<Option<String>>,
}

impl RequestBody for UpdateAggregate {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        let change = &self.aggregate;
        if change.name.is_none() && change.availability_zone.is_none() {
            let reason = "has nothing to change: 'name' or 'availability_zone' is required";
            return Err(InvalidField::new("aggregate", reason));
        }
        if let Some(name) = &change.name {
            check_length("aggregate.name", name, 1, 255)?;
            check_length("aggregate.name", name.trim(), 1, 255)?;
            check_printable("aggregate.name", name)?;
        }
        match &change.availability_zone {
            Some(Some(zone)) => check_zone("aggregate.availability_zone", zone),
            _ => Ok(()),
        }
    }
}

/// `POST /os-aggregates/{id}/action` with `add_host`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddAggregateHost {
    /// Which.
    pub add_host: AggregateHost,
}

impl RequestBody for AddAggregateHost {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_fqdn("add_host.host", &self.add_host.host)
    }
}

/// `POST /os-aggregates/{id}/action` with `remove_host`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveAggregateHost {
    /// Which.
    pub remove_host: AggregateHost,
}

impl RequestBody for RemoveAggregateHost {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_fqdn("remove_host.host", &self.remove_host.host)
    }
}

/// A host of an aggregate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateHost {
    /// Its name.
    pub host: String,
}

/// `POST /os-aggregates/{id}/action` with `set_metadata`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetAggregateMetadata {
    /// The change.
    pub set_metadata: AggregateMetadata,
}

/// What changes of an aggregate's metadata.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateMetadata {
    /// The items that are set, or with null removed.
    pub metadata: BTreeMap<String, Option<String>>,
}

impl RequestBody for SetAggregateMetadata {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        for (key, value) in &self.set_metadata.metadata {
            check_metadata_key("set_metadata.metadata", key)?;
            let value = value.as_deref().unwrap_or_default();
            check_length(&format!("set_metadata.metadata.{key}"), value, 0, 255)?;
        }
        Ok(())
    }
}

/// A zone's name: as any name, without a colon, which separates zone and host elsewhere.
fn check_zone(field: &str, zone: &str) -> Result<(), InvalidField> {
    check_name(field, zone)?;
    if zone.contains(':') {
        let reason = format!("'{zone}' has a colon; a zone's name must not have one");
        return Err(InvalidField::new(field, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    const V2_1: Microversion = Microversion::new(2, 1);

    #[test]
    fn a_zone_has_no_colon() {
        let body = br#"{"aggregate": {"name": "a", "availability_zone": "z:h"}}"#;
        let error = parse::<CreateAggregate>(body, V2_1)
            .unwrap_err()
            .to_string();
        assert!(error.contains("aggregate.availability_zone"), "{error}");
        let body = br#"{"aggregate": {"name": "a", "availability_zone": null}}"#;
        assert!(parse::<CreateAggregate>(body, V2_1).is_ok());
    }

    #[test]
    fn an_update_changes_something() {
        for bad in [
            "{}",
            r#"{"name": "  "}"#,
            r#"{"name": null}"#,
            r#"{"uuid": "x"}"#,
        ] {
            let body = format!(r#"{{"aggregate": {bad}}}"#);
            assert!(
                parse::<UpdateAggregate>(body.as_bytes(), V2_1).is_err(),
                "{bad}"
            );
        }
        let body = br#"{"aggregate": {"availability_zone": null}}"#;
        let change = parse::<UpdateAggregate>(body, V2_1).unwrap().aggregate;
        assert_eq!(change.availability_zone, Some(None));
    }

    #[test]
    fn null_removes_an_item_of_metadata() {
        let body = br#"{"set_metadata": {"metadata": {"ssd": "true", "old": null}}}"#;
        let set = parse::<SetAggregateMetadata>(body, V2_1)
            .unwrap()
            .set_metadata;
        assert_eq!(set.metadata["old"], None);
        let body = br#"{"set_metadata": {"metadata": {"a/b": "1"}}}"#;
        assert!(parse::<SetAggregateMetadata>(body, V2_1).is_err());
    }
}
