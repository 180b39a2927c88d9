//! The JSON of the image service, as Glance 25 to 33 write it.

use luc_core::time::Timestamp;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::model::{Image, Member};

/// An image. `saving` is whether its data is coming in at this moment.
pub(super) fn image(image: &Image, saving: bool) -> Map<String, Value> {
    let data = image.data.as_ref();
    let mut view = Map::new();
    for (name, value) in &image.properties {
        view.insert(name.clone(), json!(value));
    }
    let id = &image.id;
    let fixed = json!({
        "id": id,
        "name": image.name,
        "status": if saving { "saving" } else { image.status.as_str() },
        "visibility": image.visibility.as_str(),
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": data.map(|data| data.size),
        "virtual_size": data.and_then(|data| data.virtual_size),
        "checksum": data.map(|data| &data.md5),
        "os_hash_algo": data.map(|_| "sha512"),
        "os_hash_value": data.map(|data| &data.sha512),
        "min_disk": image.min_disk.get(),
        "min_ram": image.min_ram.get(),
        "protected": image.protected,
        "os_hidden": image.hidden,
        "tags": image.tags,
        "created_at": isotime(image.created_at),
        "updated_at": isotime(image.updated_at),
        "self": format!("/v2/images/{id}"),
        "file": format!("/v2/images/{id}/file"),
        "schema": "/v2/schemas/image",
    });
    if let Value::Object(fixed) = fixed {
        view.extend(fixed);
    }
    view
}

/// How a project stands to an image.
pub(super) fn member(member: &Member) -> Value {
    json!({
        "member_id": member.project,
        "image_id": member.image,
        "status": member.status.as_str(),
        "created_at": isotime(member.created_at),
        "updated_at": isotime(member.updated_at),
        "schema": "/v2/schemas/member",
    })
}

/// A time as the image service writes it: whole seconds of UTC.
fn isotime(time: Timestamp) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    OffsetDateTime::from_unix_timestamp(time.unix_secs())
        .ok()
        .and_then(|time| time.format(&form).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::model::tests::image_named;

    /// The answer of Glance 25.1 to `GET /v2/images/{id}`, without the user's own properties.
    const MEMBERS: &str = "checksum container_format created_at disk_format file id min_disk \
        min_ram name os_hash_algo os_hash_value os_hidden owner protected schema self size status \
        tags updated_at virtual_size visibility";

    #[test]
    fn an_image_has_the_members_that_glance_gives_it() {
        let view = image(&image_named("i1"), false);
        let members: Vec<_> = view.keys().map(String::as_str).collect();
        let expected: Vec<_> = MEMBERS.split_whitespace().collect();
        assert_eq!(members, expected);
    }

    #[test]
    fn properties_stand_beside_the_attributes_and_never_over_them() {
        let mut record = image_named("i1");
        record
            .properties
            .insert("hw_disk_bus".to_owned(), Some("scsi".to_owned()));
        record.properties.insert("kernel_id".to_owned(), None);
        record
            .properties
            .insert("status".to_owned(), Some("mine".to_owned()));
        let view = image(&record, true);
        assert_eq!(view["hw_disk_bus"], "scsi");
        assert_eq!(view["kernel_id"], Value::Null);
        assert_eq!(view["status"], "saving");
    }

    #[test]
    fn times_are_whole_seconds_of_utc() {
        assert_eq!(
            isotime(Timestamp::from_unix_micros(1_795_317_999_999_999)),
            "2026-11-22T03:26:39Z"
        );
    }
}
