//! Bodies: every refusal names the member.

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    thing: Thing,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thing {
    name: String,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    nics: Vec<Nic>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nic {
    port: u16,
    #[serde(default, rename = "tag")]
    _tag: Option<String>,
}

impl RequestBody for Create {
    const MEMBERS: &'static [Member] = &[
        Member::since("thing.tags", 2, 52),
        Member::since("thing.nics", 2, 37).required(),
        Member::since("thing.nics.*.tag", 2, 42),
    ];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        if self.thing.name.is_empty() {
            return Err(InvalidField::new("thing.name", "'' is too short"));
        }
        Ok(())
    }
}

fn refused(body: &str, minor: u16) -> (String, String) {
    match parse::<Create>(body.as_bytes(), Microversion::new(2, minor)) {
        Err(ApiError::InvalidInput { field, reason }) => (field, reason),
        other => panic!("expected a refused member, got {other:?}"),
    }
}

#[test]
fn a_good_body_is_read() {
    let body = br#"{"thing": {"name": "x", "tags": ["a"], "nics": [{"port": 1, "tag": "t"}]}}"#;
    let read: Create = parse(body, Microversion::new(2, 79)).unwrap();
    assert_eq!(read.thing.tags.unwrap(), ["a"]);
    assert_eq!(read.thing.nics[0].port, 1);
}

#[test]
fn an_unknown_member_is_named() {
    let (field, reason) = refused(r#"{"thing": {"name": "x", "nam": 1}}"#, 1);
    assert!(field.starts_with("thing"), "{field}");
    assert_eq!(
        reason,
        "Additional properties are not allowed ('nam' was unexpected)"
    );
}

#[test]
fn a_missing_member_is_named() {
    let (field, reason) = refused(r#"{"thing": {}}"#, 1);
    assert_eq!(field, "thing");
    assert_eq!(reason, "'name' is a required property");
}

#[test]
fn a_wrong_type_is_named_with_its_path() {
    let (field, reason) = refused(r#"{"thing": {"name": "x", "nics": [{"port": "1"}]}}"#, 37);
    assert_eq!(field, "thing.nics[0].port");
    assert!(reason.contains("expected u16"), "{reason}");
}

#[test]
fn a_member_of_a_later_microversion_is_unexpected() {
    let body = r#"{"thing": {"name": "x", "tags": []}}"#;
    assert_eq!(refused(body, 36).0, "thing");
    let body = r#"{"thing": {"name": "x", "nics": [{"port": 1, "tag": "t"}]}}"#;
    assert_eq!(refused(body, 41).0, "thing.nics.0");
}

#[test]
fn a_member_that_became_mandatory_is_required() {
    let (field, reason) = refused(r#"{"thing": {"name": "x"}}"#, 37);
    assert_eq!(
        (field.as_str(), reason.as_str()),
        ("thing", "'nics' is a required property")
    );
}

#[test]
fn what_is_no_json_object_is_malformed() {
    for body in ["", "{", "[]", "null", "\u{1}", "{\"thing\": NaN}"] {
        let error = parse::<Create>(body.as_bytes(), Microversion::new(2, 1)).unwrap_err();
        assert!(
            matches!(error, ApiError::BadRequest { .. }),
            "{body:?}: {error:?}"
        );
    }
}

#[test]
fn deep_nesting_is_refused_without_a_crash() {
    let body = "[".repeat(100_000);
    assert!(parse::<Create>(body.as_bytes(), Microversion::new(2, 1)).is_err());
}
