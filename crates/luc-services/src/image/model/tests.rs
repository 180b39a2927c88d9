//! Images for tests, and what their records promise.

use serde_json::json;

use super::*;

/// A queued image of project `p1`.
pub(crate) fn image_named(id: &str) -> Image {
    Image {
        id: ImageId::parse(id).unwrap(),
        name: Some("cirros".to_owned()),
        owner: Some(ProjectId::parse("p1").unwrap()),
        status: Status::Queued,
        visibility: Visibility::Shared,
        data: None,
        disk_format: Some("raw".to_owned()),
        container_format: Some("bare".to_owned()),
        min_disk: DiskGib::ZERO,
        min_ram: MemoryMib::ZERO,
        protected: false,
        hidden: false,
        tags: BTreeSet::new(),
        properties: BTreeMap::new(),
        created_at: Timestamp::from_unix_secs(1_000),
        updated_at: Timestamp::from_unix_secs(1_000),
    }
}

#[test]
fn the_stored_form_stays_readable() {
    let mut image = image_named("i1");
    image.status = Status::Active;
    image.data = Some(Data {
        sha512: "ab".to_owned(),
        md5: "cd".to_owned(),
        size: 3,
        virtual_size: Some(1 << 30),
    });
    image.tags.insert("t".to_owned());
    image.properties.insert("kernel_id".to_owned(), None);
    let stored = json!({
        "id": "i1", "name": "cirros", "owner": "p1", "status": "active", "visibility": "shared",
        "data": {"sha512": "ab", "md5": "cd", "size": 3, "virtual_size": 1_073_741_824},
        "disk_format": "raw", "container_format": "bare", "min_disk": 0, "min_ram": 0,
        "protected": false, "os_hidden": false, "tags": ["t"], "properties": {"kernel_id": null},
        "created_at": 1_000_000_000, "updated_at": 1_000_000_000,
    });
    assert_eq!(serde_json::to_value(&image).unwrap(), stored);
    assert_eq!(serde_json::from_value::<Image>(stored).unwrap(), image);
}

#[test]
fn a_copy_of_an_image_may_be_held_where_it_may_be_seen() {
    let mut image = image_named("i1");
    let project = Scope::Project(ProjectId::parse("p1").unwrap());
    for (visibility, scope) in [
        (Visibility::Private, project.clone()),
        (Visibility::Shared, project),
        (Visibility::Community, Scope::Cloud),
        (Visibility::Public, Scope::Cloud),
    ] {
        image.visibility = visibility;
        assert_eq!(image.scope(), scope, "{visibility:?}");
    }
    image.visibility = Visibility::Private;
    image.owner = None;
    assert_eq!(image.scope(), Scope::Cloud);
}
