//! The bodies about flavors: create, describe, extra specs, access.
//!
//! Source: Nova 30 `schemas/flavors.py`, `flavors_extraspecs.py`, `flavor_access.py` (shapes only).

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::parameter::{check_length, check_metadata_key, check_name, check_printable};
use super::reference::given;
use crate::body::{InvalidField, Member, RequestBody};
use crate::value::{LooseBool, LooseInt, nullable};
use crate::version::Microversion;

/// The greatest count that Nova's database holds.
const COUNT_MAX: i64 = 0x7fff_ffff;

/// The greatest `rxtx_factor`: the greatest single-precision float.
const FACTOR_MAX: f64 = 3.402_82e38;

/// The longest description, in characters.
const DESCRIPTION_LENGTH_MAX: usize = 65_535;

/// `POST /flavors`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateFlavor {
    /// The flavor.
    pub flavor: NewFlavor,
}

/// A flavor to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFlavor {
    /// Its name.
    pub name: String,
    /// Its id; made up if absent or null.
    #[serde(default)]
    pub id: Option<ChosenId>,
    /// Memory in MiB.
    pub ram: LooseInt,
    /// Virtual processors.
    pub vcpus: LooseInt,
    /// The root disk in GiB.
    pub disk: LooseInt,
    /// The ephemeral disk in GiB.
    #[serde(
        default,
        rename = "OS-FLV-EXT-DATA:ephemeral",
        deserialize_with = "given"
    )]
    pub ephemeral: Option<LooseInt>,
    /// The swap disk in MiB.
    #[serde(default, deserialize_with = "given")]
    pub swap: Option<LooseInt>,
    /// A factor of old networks.
    #[serde(default, deserialize_with = "given")]
    pub rxtx_factor: Option<LooseFloat>,
    /// Whether every project may use it.
    #[serde(
        default,
        rename = "os-flavor-access:is_public",
        deserialize_with = "given"
    )]
    pub is_public: Option<LooseBool>,
    /// Words for people (from 2.55).
    #[serde(default)]
    pub description: Option<String>,
}

impl RequestBody for CreateFlavor {
    const MEMBERS: &'static [Member] = &[Member::since("flavor.description", 2, 55)];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        let flavor = &self.flavor;
        check_name("flavor.name", &flavor.name)?;
        if let Some(id) = &flavor.id {
            id.check("flavor.id")?;
        }
        let sizes = [
            ("flavor.ram", 1, Some(flavor.ram)),
            ("flavor.vcpus", 1, Some(flavor.vcpus)),
            ("flavor.disk", 0, Some(flavor.disk)),
            ("flavor.OS-FLV-EXT-DATA:ephemeral", 0, flavor.ephemeral),
            ("flavor.swap", 0, flavor.swap),
        ];
        for (field, least, size) in sizes {
            let Some(size) = size else { continue };
            check_range(field, size, least, COUNT_MAX)?;
        }
        if let Some(LooseFloat(factor)) = flavor.rxtx_factor
            && !(factor > 0.0 && factor <= FACTOR_MAX)
        {
            let reason = format!("{factor} is not greater than 0 and at most {FACTOR_MAX:e}");
            return Err(InvalidField::new("flavor.rxtx_factor", reason));
        }
        match &flavor.description {
            Some(text) => check_flavor_description("flavor.description", text),
            None => Ok(()),
        }
    }
}

/// `PUT /flavors/{id}` (from 2.55).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateFlavor {
    /// What changes.
    pub flavor: FlavorChange,
}

/// What changes of a flavor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlavorChange {
    /// Words for people; null removes them. It must be there.
    #[serde(default, deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
}

impl RequestBody for UpdateFlavor {
    const MEMBERS: &'static [Member] = &[Member::since("flavor.description", 2, 55).required()];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        match &self.flavor.description {
            Some(Some(text)) => check_flavor_description("flavor.description", text),
            _ => Ok(()),
        }
    }
}

/// `POST /flavors/{id}/os-extra_specs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateExtraSpecs {
    /// The extra specs, which replace those of the same keys.
    pub extra_specs: BTreeMap<String, SpecValue>,
}

impl RequestBody for CreateExtraSpecs {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_extra_specs("extra_specs", &self.extra_specs)
    }
}

/// `PUT /flavors/{id}/os-extra_specs/{key}`: that key alone, with its value.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct UpdateExtraSpec(pub BTreeMap<String, SpecValue>);

impl RequestBody for UpdateExtraSpec {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        if self.0.len() != 1 {
            let reason = format!("has {} members; exactly one is accepted", self.0.len());
            return Err(InvalidField::new("body", reason));
        }
        check_extra_specs("body", &self.0)
    }
}

/// `POST /flavors/{id}/action` with `addTenantAccess`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddFlavorAccess {
    /// Who gets access.
    #[serde(rename = "addTenantAccess")]
    pub access: FlavorTenant,
}

impl RequestBody for AddFlavorAccess {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_length("addTenantAccess.tenant", &self.access.tenant, 1, 255)
    }
}

/// `POST /flavors/{id}/action` with `removeTenantAccess`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveFlavorAccess {
    /// Who loses access.
    #[serde(rename = "removeTenantAccess")]
    pub access: FlavorTenant,
}

impl RequestBody for RemoveFlavorAccess {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_length("removeTenantAccess.tenant", &self.access.tenant, 1, 255)
    }
}

/// A project that may use a flavor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlavorTenant {
    /// The project's id.
    pub tenant: String,
}

/// An id that the client chose: a string or a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenId(String);

impl ChosenId {
    /// The id as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Letters, digits, dots, underscores and dashes.
    ///
    /// Nova also takes spaces inside; ids here stand in paths and records and have none.
    fn check(&self, field: &str) -> Result<(), InvalidField> {
        check_length(field, &self.0, 1, 255)?;
        if self
            .0
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        {
            return Ok(());
        }
        let reason = format!("'{}' does not match '^[a-zA-Z0-9._-]+$'", self.0);
        Err(InvalidField::new(field, reason))
    }
}

impl<'de> Deserialize<'de> for ChosenId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(TextOrNumber)
            .map(|value| match value {
                SpecValue::Text(text) => Self(text),
                SpecValue::Number(number) => Self(number.to_string()),
            })
    }
}

/// A number that may be written as a string.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LooseFloat(pub f64);

impl<'de> Deserialize<'de> for LooseFloat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(TextOrNumber)?;
        let parsed = match &value {
            SpecValue::Number(number) => number.as_f64(),
            SpecValue::Text(text) => {
                let digits = text.replacen('.', "", 1);
                let plain = !digits.is_empty()
                    && digits.bytes().all(|byte| byte.is_ascii_digit())
                    && !text.starts_with('.')
                    && !text.ends_with('.');
                plain.then(|| text.parse().ok()).flatten()
            }
        };
        parsed.map(Self).ok_or_else(|| {
            let expected = &"a number, or a string such as '1.0'";
            de::Error::invalid_value(de::Unexpected::Other("text"), expected)
        })
    }
}

/// The value of an extra spec, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SpecValue {
    /// A string.
    Text(String),
    /// A number.
    Number(Number),
}

impl fmt::Display for SpecValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl<'de> Deserialize<'de> for SpecValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber)
    }
}

struct TextOrNumber;

impl Visitor<'_> for TextOrNumber {
    type Value = SpecValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SpecValue, E> {
        Ok(SpecValue::Text(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<SpecValue, E> {
        Ok(SpecValue::Number(number.into()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<SpecValue, E> {
        Ok(SpecValue::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<SpecValue, E> {
        Number::from_f64(number)
            .map(SpecValue::Number)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Float(number), &self))
    }
}

/// `least` to `most`.
pub(super) fn check_range(
    field: &str,
    number: LooseInt,
    least: i64,
    most: i64,
) -> Result<(), InvalidField> {
    let LooseInt(number) = number;
    if number < least {
        let reason = format!("{number} is less than the minimum of {least}");
        return Err(InvalidField::new(field, reason));
    }
    if number > most {
        let reason = format!("{number} is greater than the maximum of {most}");
        return Err(InvalidField::new(field, reason));
    }
    Ok(())
}

fn check_flavor_description(field: &str, text: &str) -> Result<(), InvalidField> {
    check_length(field, text, 0, DESCRIPTION_LENGTH_MAX)?;
    check_printable(field, text)
}

fn check_extra_specs(field: &str, specs: &BTreeMap<String, SpecValue>) -> Result<(), InvalidField> {
    for (key, value) in specs {
        check_metadata_key(field, key)?;
        check_length(&format!("{field}.{key}"), &value.to_string(), 0, 255)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    const V2_1: Microversion = Microversion::new(2, 1);

    fn create(flavor: &str) -> Result<NewFlavor, String> {
        let body = format!("{{\"flavor\": {flavor}}}");
        parse::<CreateFlavor>(body.as_bytes(), V2_1)
            .map(|body| body.flavor)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_may_be_strings_and_must_be_in_range() {
        let flavor = create(r#"{"name": "f", "ram": "64", "vcpus": 1, "disk": 0}"#).unwrap();
        assert_eq!((flavor.ram, flavor.disk), (LooseInt(64), LooseInt(0)));
        for (field, bad) in [
            (
                "flavor.ram",
                r#"{"name": "f", "ram": 0, "vcpus": 1, "disk": 0}"#,
            ),
            (
                "flavor.vcpus",
                r#"{"name": "f", "ram": 1, "vcpus": "-1", "disk": 0}"#,
            ),
            (
                "flavor.disk",
                r#"{"name": "f", "ram": 1, "vcpus": 1, "disk": 2147483648}"#,
            ),
            (
                "flavor.swap",
                r#"{"name": "f", "ram": 1, "vcpus": 1, "disk": 1, "swap": -1}"#,
            ),
            (
                "flavor.swap",
                r#"{"name": "f", "ram": 1, "vcpus": 1, "disk": 1, "swap": null}"#,
            ),
        ] {
            assert!(create(bad).unwrap_err().contains(field), "{bad}");
        }
    }

    #[test]
    fn an_id_may_be_a_number_or_null_but_not_a_sentence() {
        let id = |id: &str| {
            let body = format!(r#"{{"name": "f", "ram": 1, "vcpus": 1, "disk": 1, "id": {id}}}"#);
            create(&body).map(|flavor| flavor.id.map(|id| id.as_str().to_owned()))
        };
        assert_eq!(id("42").unwrap().as_deref(), Some("42"));
        assert_eq!(id("\"m1.x\"").unwrap().as_deref(), Some("m1.x"));
        assert_eq!(id("null").unwrap(), None);
        for bad in ["\"\"", "\" a\"", "\"a/b\"", "true", "[]", "\"é\""] {
            assert!(id(bad).unwrap_err().contains("flavor.id"), "{bad}");
        }
    }

    #[test]
    fn a_factor_is_a_positive_number() {
        let factor = |factor: &str| serde_json::from_str::<LooseFloat>(factor).map(|f| f.0);
        assert_eq!(factor("\"1.5\"").unwrap().to_string(), "1.5");
        assert_eq!(factor("2").unwrap().to_string(), "2");
        for bad in ["\"1e3\"", "\"-1\"", "\".5\"", "\"\"", "null", "\"nan\""] {
            assert!(factor(bad).is_err(), "{bad} was accepted");
        }
        let zero = r#"{"name": "f", "ram": 1, "vcpus": 1, "disk": 1, "rxtx_factor": 0}"#;
        assert!(create(zero).unwrap_err().contains("rxtx_factor"));
    }

    #[test]
    fn a_description_came_with_2_55() {
        let body = br#"{"flavor": {"description": "words"}}"#;
        assert!(parse::<UpdateFlavor>(body, Microversion::new(2, 55)).is_ok());
        assert!(parse::<UpdateFlavor>(b"{\"flavor\": {}}", Microversion::new(2, 55)).is_err());
        let new = r#"{"name": "f", "ram": 1, "vcpus": 1, "disk": 1, "description": "x"}"#;
        assert!(create(new).unwrap_err().contains("description"));
    }

    #[test]
    fn extra_specs_keep_numbers_as_they_were_written() {
        let body = br#"{"extra_specs": {"hw:mem": 5, "quota:x": "1"}}"#;
        let specs = parse::<CreateExtraSpecs>(body, V2_1).unwrap().extra_specs;
        assert_eq!(
            serde_json::to_string(&specs).unwrap(),
            r#"{"hw:mem":5,"quota:x":"1"}"#
        );
        assert_eq!(specs["hw:mem"].to_string(), "5");
        for bad in [
            r#"{"extra_specs": {"a/b": "1"}}"#,
            r#"{"extra_specs": {"a": null}}"#,
            r#"{"extra_specs": {"a": true}}"#,
        ] {
            assert!(
                parse::<CreateExtraSpecs>(bad.as_bytes(), V2_1).is_err(),
                "{bad}"
            );
        }
        for bad in ["{}", r#"{"a": "1", "b": "2"}"#] {
            assert!(
                parse::<UpdateExtraSpec>(bad.as_bytes(), V2_1).is_err(),
                "{bad}"
            );
        }
    }
}
