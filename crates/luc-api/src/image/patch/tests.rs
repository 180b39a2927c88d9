//! Patches as clients write them, and those that must be refused.

use serde_json::json;

use super::*;

fn read(operations: &Value, draft: Draft) -> Result<Vec<Change>, ApiError> {
    let patch = serde_json::from_value(operations.clone()).unwrap();
    changes(&patch, draft)
}

#[test]
fn both_media_types_say_the_same_change() {
    let four = json!([{"replace": "/name", "value": "n"}]);
    let ten = json!([{"op": "replace", "path": "/name", "value": "n"}]);
    let change = Change::Replace {
        name: "name".to_owned(),
        value: json!("n"),
    };
    assert_eq!(
        read(&four, Draft::Four).unwrap(),
        std::slice::from_ref(&change)
    );
    assert_eq!(read(&ten, Draft::Ten).unwrap(), [change]);
}

#[test]
fn only_the_older_media_type_demands_that_an_added_name_is_fresh() {
    let four = read(&json!([{"add": "/a~1b", "value": "v"}]), Draft::Four).unwrap();
    let (name, value) = ("a/b".to_owned(), json!("v"));
    assert_eq!(
        four,
        [Change::Add {
            name,
            value,
            fresh: true
        }]
    );
    let ten = read(
        &json!([{"op": "add", "path": "/p", "value": "v"}]),
        Draft::Ten,
    )
    .unwrap();
    let (name, value) = ("p".to_owned(), json!("v"));
    assert_eq!(
        ten,
        [Change::Add {
            name,
            value,
            fresh: false
        }]
    );
}

#[test]
fn an_operation_that_says_too_little_or_too_much_is_refused() {
    for (operation, draft) in [
        (json!({}), Draft::Ten),
        (json!({"op": "move", "path": "/name"}), Draft::Ten),
        (json!({"op": 1, "path": "/name"}), Draft::Ten),
        (json!({"op": "add"}), Draft::Ten),
        (json!({"op": "add", "path": "/name"}), Draft::Ten),
        (json!({"op": "add", "path": 7, "value": "v"}), Draft::Ten),
        (
            json!({"op": "add", "path": "/tags/-", "value": "v"}),
            Draft::Ten,
        ),
        (
            json!({"op": "add", "path": "/name", "value": 7}),
            Draft::Ten,
        ),
        (json!({"add": "/name", "remove": "/name"}), Draft::Four),
        (
            json!({"op": "add", "path": "/name", "value": "v"}),
            Draft::Four,
        ),
        (json!({"add": ["/name"], "value": "v"}), Draft::Four),
    ] {
        let error = read(&json!([operation]), draft).unwrap_err();
        assert_eq!(error.status().as_u16(), 400, "{operation}");
    }
}

#[test]
fn what_is_read_only_or_reserved_is_forbidden() {
    for name in [
        "id",
        "status",
        "checksum",
        "size",
        "self",
        "deleted",
        "os_glance_x",
        "locations",
    ] {
        let path = format!("/{name}");
        let error = read(&json!([{"op": "remove", "path": path}]), Draft::Ten).unwrap_err();
        assert_eq!(error.status().as_u16(), 403, "{name}");
    }
}

#[test]
fn other_media_types_are_not_read() {
    assert_eq!(
        Draft::of("application/json").unwrap_err().status().as_u16(),
        415
    );
    assert_eq!(Draft::of("").unwrap_err().status().as_u16(), 415);
    let with_charset = "application/openstack-images-v2.1-json-patch; charset=utf-8";
    assert_eq!(Draft::of(with_charset).unwrap(), Draft::Ten);
}
