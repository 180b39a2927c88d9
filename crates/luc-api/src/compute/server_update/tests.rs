//! What holds for the bodies that change a server.

use serde_json::{Value, json};

use super::*;
use crate::body::parse;

const IMAGE: &str = "e2855334-f19e-461d-a1eb-a318686aa4c2";

fn version(minor: u16) -> Microversion {
    Microversion::new(2, minor)
}

#[test]
fn a_description_can_be_removed_from_2_19_on() {
    let body = json!({"server": {"description": null}}).to_string();
    let parsed: UpdateServer = parse(body.as_bytes(), version(19)).unwrap();
    assert_eq!(parsed.server.description, Some(None));
    assert!(parse::<UpdateServer>(body.as_bytes(), version(18)).is_err());
    let parsed: UpdateServer = parse(br#"{"server": {}}"#, version(19)).unwrap();
    assert_eq!(parsed.server.description, None);
}

#[test]
fn members_of_rebuild_exist_only_on_their_rungs() {
    let rungs: [(&str, Value, u16, u16); 5] = [
        ("description", json!(null), 19, 79),
        ("key_name", json!(null), 54, 79),
        ("personality", json!([]), 1, 56),
        ("user_data", json!("aGVsbG8="), 57, 79),
        ("trusted_image_certificates", json!(null), 63, 79),
    ];
    for (name, value, first, last) in rungs {
        for minor in 1..=79 {
            let body = json!({"rebuild": {"imageRef": IMAGE, name: value}}).to_string();
            let outcome = parse::<RebuildServer>(body.as_bytes(), version(minor));
            assert_eq!(
                outcome.is_ok(),
                (first..=last).contains(&minor),
                "{name} at 2.{minor}"
            );
        }
    }
}

#[test]
fn one_item_is_set_at_a_time() {
    for (body, accepted) in [
        (json!({"meta": {"a": "1"}}), true),
        (json!({"meta": {"a": "1", "b": "2"}}), false),
        (json!({"meta": {}}), false),
        (json!({"meta": {"a": null}}), false),
    ] {
        let outcome = parse::<ServerMetadataItem>(body.to_string().as_bytes(), version(1));
        assert_eq!(outcome.is_ok(), accepted, "{body}");
    }
}
