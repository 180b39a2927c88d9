//! Patches against an image, without store and policy.

use serde_json::json;

use super::*;
use crate::image::model::tests::image_named;

fn apply(image: &mut Image, operations: &Value) -> Result<(), ApiError> {
    let patch: Patch = serde_json::from_value(operations.clone()).unwrap();
    let changes = patch::changes(&patch, Draft::Ten)?;
    let mut setter = Setter {
        image,
        saving: false,
    };
    changes.iter().try_for_each(|change| setter.apply(change))
}

#[test]
fn attributes_and_properties_are_set_and_removed() {
    let mut image = image_named("i1");
    apply(
        &mut image,
        &json!([
            {"op": "replace", "path": "/name", "value": null},
            {"op": "add", "path": "/hw_disk~1bus", "value": "scsi"},
            {"op": "replace", "path": "/hw_disk~1bus", "value": "virtio"},
            {"op": "add", "path": "/os_distro", "value": "debian"},
            {"op": "remove", "path": "/os_distro"},
            {"op": "replace", "path": "/tags", "value": ["b", "a", "b"]},
            {"op": "replace", "path": "/min_ram", "value": 64},
            {"op": "replace", "path": "/os_hidden", "value": true},
        ]),
    )
    .unwrap();
    assert_eq!(image.name, None);
    assert_eq!(
        image.properties.get("hw_disk/bus"),
        Some(&Some("virtio".to_owned()))
    );
    assert_eq!(image.properties.len(), 1);
    assert_eq!(image.tags.iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((image.min_ram, image.hidden), (MemoryMib(64), true));
}

#[test]
fn what_is_not_there_cannot_be_replaced_or_removed() {
    for op in ["replace", "remove"] {
        let change = json!([{"op": op, "path": "/os_distro", "value": "debian"}]);
        let error = apply(&mut image_named("i1"), &change).unwrap_err();
        assert_eq!(error.status().as_u16(), 409, "{op}");
    }
}

#[test]
fn a_part_of_every_image_cannot_be_removed() {
    let error = apply(
        &mut image_named("i1"),
        &json!([{"op": "remove", "path": "/name"}]),
    );
    assert_eq!(error.unwrap_err().status().as_u16(), 403);
}

#[test]
fn formats_are_fixed_once_data_comes_in() {
    let change = Change::Replace {
        name: "disk_format".to_owned(),
        value: json!("qcow2"),
    };
    let mut image = image_named("i1");
    let mut setter = Setter {
        image: &mut image,
        saving: true,
    };
    assert_eq!(setter.apply(&change).unwrap_err().status().as_u16(), 403);
    setter.saving = false;
    setter.apply(&change).unwrap();
    setter.image.status = Status::Active;
    assert_eq!(setter.apply(&change).unwrap_err().status().as_u16(), 403);
    assert_eq!(image.disk_format.as_deref(), Some("qcow2"));
}

#[test]
fn the_older_media_type_does_not_add_what_is_there() {
    let fresh = |name: &str| Change::Add {
        name: name.to_owned(),
        value: json!("v"),
        fresh: true,
    };
    let mut image = image_named("i1");
    let mut setter = Setter {
        image: &mut image,
        saving: false,
    };
    setter.apply(&fresh("os_distro")).unwrap();
    assert_eq!(
        setter
            .apply(&fresh("os_distro"))
            .unwrap_err()
            .status()
            .as_u16(),
        409
    );
    assert_eq!(
        setter.apply(&fresh("name")).unwrap_err().status().as_u16(),
        409
    );
}

#[test]
fn an_image_has_no_more_tags_and_properties_than_allowed() {
    let mut image = image_named("i1");
    image.tags = (0..TAGS_MAX).map(|number| number.to_string()).collect();
    assert!(check_limits(&image).is_ok());
    image.tags.insert("one more".to_owned());
    assert_eq!(check_limits(&image).unwrap_err().status().as_u16(), 413);
}
