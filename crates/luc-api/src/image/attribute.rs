//! The attributes of an image as the API knows them: their form, and who may set them.
//!
//! One table drives the request bodies ([`super::request`], [`super::patch`]) and the schema
//! document that clients fetch ([`super::schema`]). Everything that is not in the table is a
//! property of the user's own, a plain text.
//!
//! Source: the answer of a real Glance to `GET /v2/schemas/image`, and Image API v2 reference.

use luc_core::Uuid;
use serde_json::Value;

use crate::body::InvalidField;

/// The longest name, owner, tag and property name, in characters.
pub const TEXT_LENGTH_MAX: usize = 255;

/// The longest value of a property of the user's own, in bytes (a MySQL `TEXT`).
pub const PROPERTY_LENGTH_MAX: usize = 65_535;

/// What a client may write for an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A UUID with dashes.
    Uuid,
    /// The same, or null.
    NullableUuid,
    /// A text.
    Text,
    /// A text of at most this many characters, or null.
    NullableText(usize),
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words, or null.
    NullableWord(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A count.
    Count,
    /// A count, or null.
    NullableCount,
    /// A list of texts of at most 255 characters.
    Tags,
    /// A list of places with data; not offered here.
    Locations,
}

/// Who may set an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The client, when the image is created and later.
    Open,
    /// The client, when the image is created.
    Once,
    /// The cloud alone; a create request that has it is refused as read-only.
    ReadOnly,
    /// Nobody: the name is kept from users.
    Reserved,
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// What may be written for it.
    pub form: Form,
    /// Who may set it.
    pub access: Access,
    /// Whether it is part of every image, and not only a property with a known meaning.
    pub base: bool,
    /// Words for people.
    pub description: &'static str,
}

/// The words for `visibility`.
pub const VISIBILITIES: &[&str] = &["community", "public", "private", "shared"];

/// The words for `disk_format`.
pub const DISK_FORMATS: &[&str] = &[
    "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
];

/// The words for `container_format`.
pub const CONTAINER_FORMATS: &[&str] = &[
    "ami",
    "ari",
    "aki",
    "bare",
    "ovf",
    "ova",
    "docker",
    "compressed",
];

/// The words for `status`.
pub const STATUSES: &[&str] = &[
    "queued",
    "saving",
    "active",
    "killed",
    "deleted",
    "uploading",
    "importing",
    "pending_delete",
    "deactivated",
];

const fn base(
    name: &'static str,
    form: Form,
    access: Access,
    description: &'static str,
) -> Attribute {
    Attribute {
        name,
        form,
        access,
        base: true,
        description,
    }
}

const fn known(name: &'static str, form: Form, description: &'static str) -> Attribute {
    Attribute {
        name,
        form,
        access: Access::Open,
        base: false,
        description,
    }
}

/// The attributes that are part of every image, and the properties with a known meaning.
pub const ATTRIBUTES: &[Attribute] = &[
    base(
        "id",
        Form::Uuid,
        Access::Once,
        "An identifier for the image",
    ),
    base(
        "name",
        Form::NullableText(255),
        Access::Open,
        "Descriptive name for the image",
    ),
    base(
        "status",
        Form::Word(STATUSES),
        Access::ReadOnly,
        "Status of the image",
    ),
    base(
        "visibility",
        Form::Word(VISIBILITIES),
        Access::Open,
        "Scope of image accessibility",
    ),
    base(
        "protected",
        Form::Flag,
        Access::Open,
        "If true, image will not be deletable.",
    ),
    base(
        "os_hidden",
        Form::Flag,
        Access::Open,
        "If true, image will not appear in default image list response.",
    ),
    base(
        "checksum",
        Form::NullableText(32),
        Access::ReadOnly,
        "md5 hash of image contents.",
    ),
    base(
        "os_hash_algo",
        Form::NullableText(64),
        Access::ReadOnly,
        "Algorithm to calculate the os_hash_value",
    ),
    base(
        "os_hash_value",
        Form::NullableText(128),
        Access::ReadOnly,
        "Hexdigest of the image contents using the algorithm specified by the os_hash_algo",
    ),
    base(
        "owner",
        Form::NullableText(255),
        Access::Open,
        "Owner of the image",
    ),
    base(
        "size",
        Form::NullableCount,
        Access::ReadOnly,
        "Size of image file in bytes",
    ),
    base(
        "virtual_size",
        Form::NullableCount,
        Access::ReadOnly,
        "Virtual size of image in bytes",
    ),
    base(
        "container_format",
        Form::NullableWord(CONTAINER_FORMATS),
        Access::Open,
        "Format of the container",
    ),
    base(
        "disk_format",
        Form::NullableWord(DISK_FORMATS),
        Access::Open,
        "Format of the disk",
    ),
    base(
        "created_at",
        Form::Text,
        Access::ReadOnly,
        "Date and time of image registration",
    ),
    base(
        "updated_at",
        Form::Text,
        Access::ReadOnly,
        "Date and time of the last image modification",
    ),
    base(
        "tags",
        Form::Tags,
        Access::Open,
        "List of strings related to the image",
    ),
    base(
        "direct_url",
        Form::Text,
        Access::ReadOnly,
        "URL to access the image file kept in external store",
    ),
    base(
        "min_ram",
        Form::Count,
        Access::Open,
        "Amount of ram (in MB) required to boot image.",
    ),
    base(
        "min_disk",
        Form::Count,
        Access::Open,
        "Amount of disk space (in GB) required to boot image.",
    ),
    base("self", Form::Text, Access::ReadOnly, "An image self url"),
    base("file", Form::Text, Access::ReadOnly, "An image file url"),
    base(
        "stores",
        Form::Text,
        Access::ReadOnly,
        "Store in which image data resides.  Only present when the operator has enabled multiple \
         stores.  May be a comma-separated list of store identifiers.",
    ),
    base(
        "schema",
        Form::Text,
        Access::ReadOnly,
        "An image schema url",
    ),
    base(
        "locations",
        Form::Locations,
        Access::Reserved,
        "A set of URLs to access the image file kept in external store",
    ),
    known(
        "kernel_id",
        Form::NullableUuid,
        "ID of image stored in Glance that should be used as the kernel when booting an \
         AMI-style image.",
    ),
    known(
        "ramdisk_id",
        Form::NullableUuid,
        "ID of image stored in Glance that should be used as the ramdisk when booting an \
         AMI-style image.",
    ),
    known(
        "instance_uuid",
        Form::Text,
        "Metadata which can be used to record which instance this image is associated with. \
         (Informational only, does not create an instance snapshot.)",
    ),
    known(
        "architecture",
        Form::Text,
        "Operating system architecture as specified in \
         https://docs.openstack.org/python-glanceclient/latest/cli/property-keys.html",
    ),
    known(
        "os_distro",
        Form::Text,
        "Common name of operating system distribution as specified in \
         https://docs.openstack.org/python-glanceclient/latest/cli/property-keys.html",
    ),
    known(
        "os_version",
        Form::Text,
        "Operating system version as specified by the distributor.",
    ),
    known(
        "description",
        Form::Text,
        "A human-readable string describing this image.",
    ),
    known(
        "cinder_encryption_key_id",
        Form::Text,
        "Identifier in the OpenStack Key Management Service for the encryption key for the Block \
         Storage Service to use when mounting a volume created from this image",
    ),
    known(
        "cinder_encryption_key_deletion_policy",
        Form::Word(&["on_image_deletion", "do_not_delete"]),
        "States the condition under which the Image Service will delete the object associated \
         with the 'cinder_encryption_key_id' image property.  If this property is missing, the \
         Image Service will take no action",
    ),
];

/// Names that no property may have.
const RESERVED_NAMES: &[&str] = &["location", "deleted", "deleted_at"];

/// The beginning of names that are the image service's own.
const RESERVED_PREFIX: &str = "os_glance";

/// The attribute called `name`, if it is one of the table.
pub fn find(name: &str) -> Option<&'static Attribute> {
    ATTRIBUTES.iter().find(|attribute| attribute.name == name)
}

/// Who may set what is called `name`.
pub fn access(name: &str) -> Access {
    if RESERVED_NAMES.contains(&name) || name.starts_with(RESERVED_PREFIX) {
        return Access::Reserved;
    }
    find(name).map_or(Access::Open, |attribute| attribute.access)
}

/// Whether `value` may stand for the attribute or property called `name`.
pub fn check(name: &str, value: &Value) -> Result<(), InvalidField> {
    let refuse = |reason: String| Err(InvalidField::new(name, reason));
    let Some(attribute) = find(name) else {
        return check_property(name, value);
    };
    match (attribute.form, value) {
        (
            Form::NullableUuid
            | Form::NullableText(_)
            | Form::NullableWord(_)
            | Form::NullableCount,
            Value::Null,
        )
        | (Form::Text, Value::String(_))
        | (Form::Flag, Value::Bool(_))
        | (Form::Locations, Value::Array(_)) => Ok(()),
        (Form::Uuid | Form::NullableUuid, Value::String(text)) if is_uuid(text) => Ok(()),
        (Form::Uuid | Form::NullableUuid, _) => refuse(format!("{value} is not a UUID")),
        (Form::NullableText(longest), Value::String(text)) if text.chars().count() <= longest => {
            Ok(())
        }
        (Form::NullableText(longest), Value::String(_)) => refuse(format!(
            "is too long: at most {longest} characters are accepted"
        )),
        (Form::Word(words) | Form::NullableWord(words), Value::String(text))
            if words.contains(&text.as_str()) =>
        {
            Ok(())
        }
        (Form::Word(words) | Form::NullableWord(words), _) => {
            refuse(format!("{value} is not one of {}", words.join(", ")))
        }
        (Form::Count | Form::NullableCount, Value::Number(number)) => {
            match number.as_i64().and_then(|count| i32::try_from(count).ok()) {
                Some(count) if count >= 0 => Ok(()),
                _ => refuse(format!(
                    "{number} is not a whole number from 0 to {}",
                    i32::MAX
                )),
            }
        }
        (Form::Tags, Value::Array(tags)) => check_tags(tags),
        (form, _) => refuse(format!("{} is not {}", brief(value), form.expected())),
    }
}

/// Whether `text` is a UUID with dashes.
fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::parse(text).is_ok()
}

fn check_tags(tags: &[Value]) -> Result<(), InvalidField> {
    for (index, tag) in tags.iter().enumerate() {
        let good = tag
            .as_str()
            .is_some_and(|tag| tag.chars().count() <= TEXT_LENGTH_MAX);
        if !good {
            let reason = format!("{} is not a text of at most 255 characters", brief(tag));
            return Err(InvalidField::new(format!("tags.{index}"), reason));
        }
    }
    Ok(())
}

fn check_property(name: &str, value: &Value) -> Result<(), InvalidField> {
    if name.is_empty() || name.chars().count() > TEXT_LENGTH_MAX {
        let shown: String = name.chars().take(64).collect();
        let reason = "the name of a property has 1 to 255 characters";
        return Err(InvalidField::new(shown, reason));
    }
    match value {
        Value::String(text) if text.len() <= PROPERTY_LENGTH_MAX => Ok(()),
        Value::String(_) => {
            let reason = format!("is too long: at most {PROPERTY_LENGTH_MAX} bytes are accepted");
            Err(InvalidField::new(name, reason))
        }
        _ => Err(InvalidField::new(
            name,
            format!("{} is not a text", brief(value)),
        )),
    }
}

/// A value as it is shown in a refusal, which does not repeat long input.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 64 {
        return text.chars().take(61).chain("...".chars()).collect();
    }
    text
}

impl Form {
    /// What is accepted, in words that follow "is not".
    fn expected(self) -> &'static str {
        match self {
            Self::Uuid | Self::NullableUuid => "a UUID",
            Self::Text => "a text",
            Self::NullableText(_) => "a text or null",
            Self::Word(_) | Self::NullableWord(_) => "one of the accepted words",
            Self::Flag => "true or false",
            Self::Count => "a whole number",
            Self::NullableCount => "a whole number or null",
            Self::Tags => "a list of texts",
            Self::Locations => "a list of locations",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_glance_accepts_is_accepted() {
        for (name, value) in [
            ("id", json!("e2855334-f19e-461d-a1eb-a318686aa4c2")),
            ("name", json!(null)),
            ("disk_format", json!("qcow2")),
            ("disk_format", json!(null)),
            ("min_ram", json!(0)),
            ("tags", json!(["a", ""])),
            ("kernel_id", json!(null)),
            ("hw_cdrom_bus", json!("")),
        ] {
            assert_eq!(check(name, &value), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_name() {
        for (name, value) in [
            ("id", json!("e2855334f19e461da1eba318686aa4c2")),
            ("name", json!("n".repeat(256))),
            ("disk_format", json!("floppy")),
            ("visibility", json!(null)),
            ("min_ram", json!(-1)),
            ("min_disk", json!(1.5)),
            ("min_disk", json!(2_147_483_648_u64)),
            ("min_disk", json!("1")),
            ("protected", json!("true")),
            ("tags", json!("a")),
            ("kernel_id", json!("")),
            ("own", json!(1)),
            ("own", json!(null)),
            ("own", json!("x".repeat(PROPERTY_LENGTH_MAX + 1))),
        ] {
            assert_eq!(check(name, &value).unwrap_err().field, name);
        }
        assert_eq!(check("tags", &json!(["a", 1])).unwrap_err().field, "tags.1");
        assert!(check(&"n".repeat(256), &json!("v")).is_err());
    }

    #[test]
    fn names_of_the_service_are_kept_from_users() {
        assert_eq!(access("os_glance_stage_host"), Access::Reserved);
        assert_eq!(access("deleted_at"), Access::Reserved);
        assert_eq!(access("checksum"), Access::ReadOnly);
        assert_eq!(access("id"), Access::Once);
        assert_eq!(access("hw_disk_bus"), Access::Open);
    }
}
