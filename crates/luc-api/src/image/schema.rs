//! The schema documents that clients of the image service fetch.

use serde_json::{Map, Value, json};

use super::attribute::{ATTRIBUTES, Access, Attribute, Form};

const UUID_PATTERN: &str =
    "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$";

/// The schema of one image.
pub fn image() -> Value {
    let properties: Map<String, Value> = ATTRIBUTES
        .iter()
        .map(|attribute| (attribute.name.to_owned(), property(attribute)))
        .collect();
    json!({
        "name": "image",
        "properties": properties,
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    })
}

/// The schema of a list of images.
pub fn images() -> Value {
    collection("images", &image())
}

/// The schema of one member of an image.
pub fn member() -> Value {
    json!({
        "name": "member",
        "properties": {
            "member_id": {
                "type": "string",
                "description": "An identifier for the image member (tenantId)",
            },
            "image_id": {
                "type": "string",
                "description": "An identifier for the image",
                "pattern": UUID_PATTERN,
            },
            "created_at": {
                "type": "string",
                "description": "Date and time of image member creation",
            },
            "updated_at": {
                "type": "string",
                "description": "Date and time of last modification of image member",
            },
            "status": {
                "type": "string",
                "description": "The status of this image member",
                "enum": super::request::MEMBER_STATUSES,
            },
            "schema": {"readOnly": true, "type": "string"},
        },
        "additionalProperties": false,
    })
}

/// The schema of the list of an image's members.
pub fn members() -> Value {
    collection("members", &member())
}

fn collection(name: &str, item: &Value) -> Value {
    json!({
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    })
}

fn property(attribute: &Attribute) -> Value {
    let mut property = form(attribute.form);
    property["description"] = json!(attribute.description);
    if attribute.access == Access::ReadOnly {
        property["readOnly"] = json!(true);
    }
    if !attribute.base {
        property["is_base"] = json!(false);
    }
    property
}

fn form(form: Form) -> Value {
    match form {
        Form::Uuid => json!({"type": "string", "pattern": UUID_PATTERN}),
        Form::NullableUuid => json!({"type": ["null", "string"], "pattern": UUID_PATTERN}),
        Form::Text => json!({"type": "string"}),
        Form::NullableText(longest) => json!({"type": ["null", "string"], "maxLength": longest}),
        Form::Word(words) => json!({"type": "string", "enum": words}),
        Form::NullableWord(words) => {
            let words: Vec<_> = std::iter::once(None)
                .chain(words.iter().map(Some))
                .collect();
            json!({"type": ["null", "string"], "enum": words})
        }
        Form::Flag => json!({"type": "boolean"}),
        Form::Count => json!({"type": "integer"}),
        Form::NullableCount => json!({"type": ["null", "integer"]}),
        Form::Tags => json!({"type": "array", "items": {"type": "string", "maxLength": 255}}),
        Form::Locations => json!({"type": "array", "items": location()}),
    }
}

fn location() -> Value {
    json!({
        "type": "object",
        "properties": {
            "url": {"type": "string", "maxLength": 255},
            "metadata": {"type": "object"},
            "validation_data": {
                "description": "Values to be used to populate the corresponding image properties. \
                    If the image status is not 'queued', values must exactly match those already \
                    contained in the image properties.",
                "type": "object",
                "writeOnly": true,
                "additionalProperties": false,
                "properties": {
                    "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
                    "os_hash_algo": {"type": "string", "maxLength": 64},
                    "os_hash_value": {"type": "string", "maxLength": 128},
                },
                "required": ["os_hash_algo", "os_hash_value"],
            },
        },
        "required": ["url", "metadata"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of Glance 25.1 to `GET /v2/schemas/image`.
    const RECORDED: &str = include_str!("schema/glance_25_1.json");

    #[test]
    fn the_image_schema_is_that_of_a_real_glance() {
        let recorded: Value = serde_json::from_str(RECORDED).unwrap();
        assert_eq!(image(), recorded);
    }

    #[test]
    fn a_collection_holds_the_schema_of_its_items() {
        assert_eq!(images()["properties"]["images"]["items"], image());
        assert_eq!(members()["properties"]["members"]["items"], member());
    }
}
