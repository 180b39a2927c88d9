//! Which images are listed: what the query says of their attributes and properties.
//!
//! Every parameter that is no other word of the list request is a filter; names that are no
//! attributes are properties of the user's own.

use luc_api::ApiError;
use luc_api::query::Query;
use luc_core::time::Timestamp;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::model::{Image, Visibility};

/// One condition on an image.
#[derive(Clone, Debug, PartialEq)]
enum Condition {
    /// A text attribute has one of these values.
    OneOf(Text, Vec<String>),
    /// A number is at least this.
    AtLeast(Number, i64),
    /// A number is at most this.
    AtMost(Number, i64),
    /// A number is exactly what is written.
    Equals(Number, String),
    /// A time compares in one of these ways with a moment.
    Compares(Moment, &'static [std::cmp::Ordering], Timestamp),
    /// A tag is there.
    Tagged(String),
    /// It is protected, or is not.
    Protected(bool),
    /// A property of the user's own has this value.
    Property(String, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Id,
    Name,
    Status,
    ContainerFormat,
    DiskFormat,
    Owner,
    Checksum,
    HashAlgo,
    HashValue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Size,
    VirtualSize,
    MinDisk,
    MinRam,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    CreatedAt,
    UpdatedAt,
}

/// Which visibilities are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// All that the caller may see, but of others' community images none.
    Usual,
    /// All that the caller may see.
    All,
    /// Only these.
    Only(Visibility),
}

/// Everything that a list request says of the images it wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter {
    /// Which visibilities.
    pub(super) shown: Shown,
    /// Whether those that are hidden from lists, or those that are not.
    pub(super) hidden: bool,
    conditions: Vec<Condition>,
}

/// Words of a list request that are no filters.
const OTHER_WORDS: [&str; 6] = [
    "limit",
    "marker",
    "sort",
    "sort_key",
    "sort_dir",
    "member_status",
];

impl Filter {
    /// Reads the filters of a list request.
    pub(super) fn of(query: &Query) -> Result<Self, ApiError> {
        let mut filter = Self {
            shown: Shown::Usual,
            hidden: false,
            conditions: Vec::new(),
        };
        for (name, value) in query.iter().filter(|(name, _)| !OTHER_WORDS.contains(name)) {
            match name {
                "visibility" => filter.shown = shown(value)?,
                "os_hidden" => filter.hidden = flag(name, value)?,
                "changes-since" => {
                    let message = "The \"changes-since\" filter is no longer available on v2.";
                    return Err(ApiError::bad_request(message));
                }
                _ => filter.conditions.push(condition(name, value)?),
            }
        }
        Ok(filter)
    }

    /// The ids that are asked for, if ids are.
    pub(super) fn ids(&self) -> Option<&[String]> {
        self.conditions
            .iter()
            .find_map(|condition| match condition {
                Condition::OneOf(Text::Id, ids) => Some(ids.as_slice()),
                _ => None,
            })
    }

    /// Whether it wants `image`, whose status is shown as `status`. Whether the caller may see the
    /// image is another matter.
    pub(super) fn wants(&self, image: &Image, status: &str) -> bool {
        image.hidden == self.hidden
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(image, status))
    }
}

fn shown(word: &str) -> Result<Shown, ApiError> {
    match word {
        "" => Ok(Shown::Usual),
        "all" => Ok(Shown::All),
        _ => Visibility::parse(word)
            .map(Shown::Only)
            .ok_or_else(|| ApiError::bad_request(format!("Invalid visibility value: {word}"))),
    }
}

fn flag(name: &str, word: &str) -> Result<bool, ApiError> {
    match word.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(ApiError::bad_request(format!(
            "Invalid value '{word}' for '{name}' filter. Valid values are 'true' or 'false'."
        ))),
    }
}

fn condition(name: &str, value: &str) -> Result<Condition, ApiError> {
    if let Some(text) = text_named(name) {
        let values = match text {
            Text::Id | Text::Name | Text::Status | Text::ContainerFormat | Text::DiskFormat => {
                one_of(value)?
            }
            _ => vec![value.to_owned()],
        };
        return Ok(Condition::OneOf(text, values));
    }
    if let Some(number) = number_named(name) {
        return Ok(Condition::Equals(number, value.to_owned()));
    }
    let bound = name
        .strip_suffix("_min")
        .or_else(|| name.strip_suffix("_max"));
    if let Some(number) = bound.and_then(number_named) {
        let bound = value.trim().parse().map_err(|_| {
            ApiError::bad_request("Unable to filter on a range with a non-numeric value.")
        })?;
        let least = name.ends_with("_min");
        return Ok(if least {
            Condition::AtLeast(number, bound)
        } else {
            Condition::AtMost(number, bound)
        });
    }
    match name {
        "created_at" => moment(Moment::CreatedAt, name, value),
        "updated_at" => moment(Moment::UpdatedAt, name, value),
        "tag" => Ok(Condition::Tagged(value.trim().to_owned())),
        "protected" => flag(name, value).map(Condition::Protected),
        _ => Ok(Condition::Property(name.to_owned(), value.to_owned())),
    }
}

fn text_named(name: &str) -> Option<Text> {
    Some(match name {
        "id" => Text::Id,
        "name" => Text::Name,
        "status" => Text::Status,
        "container_format" => Text::ContainerFormat,
        "disk_format" => Text::DiskFormat,
        "owner" => Text::Owner,
        "checksum" => Text::Checksum,
        "os_hash_algo" => Text::HashAlgo,
        "os_hash_value" => Text::HashValue,
        _ => return None,
    })
}

fn number_named(name: &str) -> Option<Number> {
    Some(match name {
        "size" => Number::Size,
        "virtual_size" => Number::VirtualSize,
        "min_disk" => Number::MinDisk,
        "min_ram" => Number::MinRam,
        _ => return None,
    })
}

/// The values of `in:a,"b,c"`, of `eq:a`, or of plain `a`.
fn one_of(value: &str) -> Result<Vec<String>, ApiError> {
    match value.split_once(':') {
        None => Ok(vec![value.to_owned()]),
        Some(("eq", value)) => Ok(vec![value.to_owned()]),
        Some(("in", values)) => split_quoted(values),
        Some((operator, _)) => {
            let message = format!("Unable to filter by unknown operator '{operator}'.");
            Err(ApiError::BadRequest { message })
        }
    }
}

/// Splits at commas outside of double quotes; a backslash keeps a quote inside of quotes.
fn split_quoted(text: &str) -> Result<Vec<String>, ApiError> {
    let refuse = |what: &str| {
        Err(ApiError::bad_request(format!(
            "Invalid filter value {text}. {what}"
        )))
    };
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let Some((value, after)) = closing(quoted) else {
                return refuse("The quote is not closed.");
            };
            values.push(value);
            rest = after;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (value, after) = rest.split_at(end);
            if value.contains('"') {
                return refuse("There is no comma before opening quotation mark.");
            }
            values.push(value.to_owned());
            rest = after;
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(values),
            None => return refuse("There is no comma after closing quotation mark."),
        }
    }
}

/// The text up to the quote that closes it, and what follows.
fn closing(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    None
}

fn moment(moment: Moment, name: &str, value: &str) -> Result<Condition, ApiError> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (operator, text) = match value.split_once(':') {
        // A time has colons of its own.
        Some((operator, text)) if parse_time(value).is_none() => (operator, text),
        _ => ("eq", value),
    };
    let orderings: &'static [std::cmp::Ordering] = match operator {
        "eq" => &[Equal],
        "neq" => &[Less, Greater],
        "gt" => &[Greater],
        "gte" => &[Greater, Equal],
        "lt" => &[Less],
        "lte" => &[Less, Equal],
        _ => {
            return Err(ApiError::bad_request(
                "Unable to filter on a unknown operator.",
            ));
        }
    };
    let time = parse_time(text).ok_or_else(|| {
        let message =
            format!("Bad \"{name}\" query filter format. Use ISO 8601 DateTime notation.");
        ApiError::BadRequest { message }
    })?;
    Ok(Condition::Compares(moment, orderings, time))
}

/// A time with an offset, or without one in UTC.
fn parse_time(text: &str) -> Option<Timestamp> {
    let bare = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .or_else(|| Some(PrimitiveDateTime::parse(text, &bare).ok()?.assume_utc()))?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000)
        .ok()
        .map(Timestamp::from_unix_micros)
}

impl Condition {
    fn holds(&self, image: &Image, status: &str) -> bool {
        match self {
            Self::OneOf(text, values) => {
                let value = text.of(image, status);
                values.iter().any(|wanted| value == Some(wanted))
            }
            Self::AtLeast(number, bound) => number.of(image).is_some_and(|n| n >= *bound),
            Self::AtMost(number, bound) => number.of(image).is_some_and(|n| n <= *bound),
            Self::Equals(number, text) => number
                .of(image)
                .is_some_and(|number| text.trim().parse() == Ok(number)),
            Self::Compares(moment, orderings, time) => {
                // The wire shows whole seconds, so whole seconds are compared.
                let (value, time) = (moment.of(image).unix_secs(), time.unix_secs());
                orderings.contains(&value.cmp(&time))
            }
            Self::Tagged(tag) => image.tags.contains(tag),
            Self::Protected(protected) => image.protected == *protected,
            Self::Property(name, value) => image
                .properties
                .get(name)
                .is_some_and(|held| held.as_ref() == Some(value)),
        }
    }
}

impl Text {
    fn of<'i>(self, image: &'i Image, status: &'i str) -> Option<&'i str> {
        let data = image.data.as_ref();
        match self {
            Self::Id => Some(image.id.as_str()),
            Self::Name => image.name.as_deref(),
            Self::Status => Some(status),
            Self::ContainerFormat => image.container_format.as_deref(),
            Self::DiskFormat => image.disk_format.as_deref(),
            Self::Owner => image.owner.as_ref().map(AsRef::as_ref),
            Self::Checksum => data.map(|data| data.md5.as_str()),
            Self::HashAlgo => data.map(|_| "sha512"),
            Self::HashValue => data.map(|data| data.sha512.as_str()),
        }
    }
}

impl Number {
    fn of(self, image: &Image) -> Option<i64> {
        let data = image.data.as_ref();
        let number = match self {
            Self::Size => data.map(|data| data.size),
            Self::VirtualSize => data.and_then(|data| data.virtual_size),
            Self::MinDisk => Some(image.min_disk.get()),
            Self::MinRam => Some(image.min_ram.get()),
        };
        number.and_then(|number| i64::try_from(number).ok())
    }
}

impl Moment {
    fn of(self, image: &Image) -> Timestamp {
        match self {
            Self::CreatedAt => image.created_at,
            Self::UpdatedAt => image.updated_at,
        }
    }
}

#[cfg(test)]
mod tests;
