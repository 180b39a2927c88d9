//! Rules for the texts in Nova's requests: names, tags, host names, ids, metadata.
//!
//! Each rule takes the path of the member, so that a refusal names it. Source: Nova 30
//! `api/validation/parameter_types.py` and `validators.py` (rules and words of the refusals only).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use luc_core::Uuid;

use crate::body::InvalidField;

/// The longest name, description, metadata key and value, in characters.
const TEXT_LENGTH_MAX: usize = 255;

/// The longest tag of a server, in characters.
const TAG_LENGTH_MAX: usize = 60;

/// How many tags a server may have.
pub const TAG_COUNT_MAX: usize = 50;

/// The longest `user_data`, in characters of base64.
const USER_DATA_LENGTH_MAX: usize = 65_535;

/// 1 to 255 printable characters, no space at either end.
pub fn check_name(field: &str, text: &str) -> Result<(), InvalidField> {
    check_length(field, text, 1, TEXT_LENGTH_MAX)?;
    let inner = text.trim_matches(is_space) == text;
    if inner && text.chars().all(is_printable) {
        return Ok(());
    }
    let reason = "An invalid 'name' value was provided. The name must be: printable characters. \
                  Can not start or end with whitespace.";
    Err(InvalidField::new(field, reason))
}

/// At most 255 printable characters.
pub fn check_description(field: &str, text: &str) -> Result<(), InvalidField> {
    check_length(field, text, 0, TEXT_LENGTH_MAX)?;
    check_printable(field, text)
}

/// Nothing but printable characters.
pub fn check_printable(field: &str, text: &str) -> Result<(), InvalidField> {
    if text.chars().all(is_printable) {
        return Ok(());
    }
    let shown: String = text.chars().take(64).collect();
    Err(InvalidField::new(
        field,
        format!("'{shown}' has characters that are not printable"),
    ))
}

/// `least` to `most` characters.
pub fn check_length(
    field: &str,
    text: &str,
    least: usize,
    most: usize,
) -> Result<(), InvalidField> {
    let length = text.chars().count();
    if length < least {
        return Err(InvalidField::new(field, format!("'{text}' is too short")));
    }
    if length > most {
        let shown: String = text.chars().take(64).collect();
        let reason = format!("'{shown}…' is too long: at most {most} characters are accepted");
        return Err(InvalidField::new(field, reason));
    }
    Ok(())
}

/// 1 to 60 characters without `/` and `,`.
pub fn check_tag(field: &str, tag: &str) -> Result<(), InvalidField> {
    check_length(field, tag, 1, TAG_LENGTH_MAX)?;
    if tag.contains(['/', ',']) {
        return Err(InvalidField::new(
            field,
            format!("'{tag}' does not match '^[^,/]*$'"),
        ));
    }
    Ok(())
}

/// At most [`TAG_COUNT_MAX`] tags.
pub fn check_tags(field: &str, tags: &[String]) -> Result<(), InvalidField> {
    if tags.len() > TAG_COUNT_MAX {
        let reason = format!("is too long: at most {TAG_COUNT_MAX} tags are accepted");
        return Err(InvalidField::new(field, reason));
    }
    for (index, tag) in tags.iter().enumerate() {
        check_tag(&format!("{field}.{index}"), tag)?;
    }
    Ok(())
}

/// A UUID, with or without dashes.
pub fn check_uuid(field: &str, text: &str) -> Result<(), InvalidField> {
    if Uuid::parse(text).is_ok() {
        return Ok(());
    }
    let shown: String = text.chars().take(64).collect();
    Err(InvalidField::new(
        field,
        format!("'{shown}' is not a 'uuid'"),
    ))
}

/// A host's name: 1 to 255 letters, digits, dashes, dots and underscores.
pub fn check_fqdn(field: &str, text: &str) -> Result<(), InvalidField> {
    check_length(field, text, 1, TEXT_LENGTH_MAX)?;
    if text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    {
        return Ok(());
    }
    Err(InvalidField::new(
        field,
        format!("'{text}' does not match '^[a-zA-Z0-9-._]*$'"),
    ))
}

/// Keys of 1 to 255 plain characters, values of at most 255 characters.
pub fn check_metadata(
    field: &str,
    metadata: &BTreeMap<String, String>,
) -> Result<(), InvalidField> {
    for (key, value) in metadata {
        check_metadata_key(field, key)?;
        check_length(&format!("{field}.{key}"), value, 0, TEXT_LENGTH_MAX)?;
    }
    Ok(())
}

/// A key of metadata: 1 to 255 letters, digits, spaces, dashes, dots, colons and underscores.
pub fn check_metadata_key(field: &str, key: &str) -> Result<(), InvalidField> {
    let plain = key
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_:. ".contains(c));
    if !key.is_empty() && key.len() <= TEXT_LENGTH_MAX && plain {
        return Ok(());
    }
    let shown: String = key.chars().take(64).collect();
    let reason =
        format!("'{shown}' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{{1,255}}$'");
    Err(InvalidField::new(field, reason))
}

/// Base64 of the standard alphabet, white space aside.
pub fn check_base64(field: &str, text: &str) -> Result<(), InvalidField> {
    if decode_base64(text).is_some() {
        return Ok(());
    }
    Err(InvalidField::new(field, "is not valid base 64"))
}

/// Base64 that a server gets as its user data.
pub fn check_user_data(field: &str, text: &str) -> Result<(), InvalidField> {
    check_length(field, text, 0, USER_DATA_LENGTH_MAX)?;
    check_base64(field, text)
}

/// The bytes that `text` encodes, white space aside.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(packed).ok()
}

/// A space of Unicode's category Zs, as far as `char` tells.
fn is_space(c: char) -> bool {
    c.is_whitespace() && is_printable(c)
}

/// Neither a control, format, surrogate or private character nor a line separator.
fn is_printable(c: char) -> bool {
    let format = matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}');
    !c.is_control() && !format
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_printable_and_trimmed() {
        for good in ["a", "web 1", "café", "日本"] {
            assert!(check_name("name", good).is_ok(), "{good} was refused");
        }
        let long = "x".repeat(256);
        for bad in ["", " a", "a ", "a\tb", "a\u{200b}b", "a\nb", long.as_str()] {
            assert!(check_name("name", bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_tag_has_no_comma_and_no_slash() {
        assert!(check_tag("tag", "blue green").is_ok());
        let long = "x".repeat(61);
        for bad in ["", "a,b", "a/b", long.as_str()] {
            assert!(check_tag("tag", bad).is_err(), "{bad:?} was accepted");
        }
        let many = vec!["t".to_owned(); 51];
        assert!(check_tags("tags", &many).is_err());
    }

    #[test]
    fn the_refused_member_is_named() {
        let metadata = BTreeMap::from([("k".to_owned(), "v".repeat(256))]);
        assert_eq!(
            check_metadata("metadata", &metadata).unwrap_err().field,
            "metadata.k"
        );
        let metadata = BTreeMap::from([("a/b".to_owned(), String::new())]);
        assert_eq!(
            check_metadata("metadata", &metadata).unwrap_err().field,
            "metadata"
        );
    }

    #[test]
    fn base64_may_be_wrapped_but_not_broken() {
        assert_eq!(decode_base64("aGVs\nbG8="), Some(b"hello".to_vec()));
        assert_eq!(decode_base64("aGVsbG8"), None);
        assert!(check_user_data("user_data", "####").is_err());
    }
}
