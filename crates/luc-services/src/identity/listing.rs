//! Lists: filters, pages and links, as Keystone takes and gives them.
//!
//! A list knows the names it filters by; `name=x` is exact, `name__contains`, `__startswith` and
//! `__endswith` are not, and with an `i` before the comparator case does not count. Other
//! parameters are passed over. A page that is full says that it may be `truncated` and links to the
//! next, without knowing whether there is one; so does Keystone.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::query::{Query, encode};
use luc_api::value::parse_bool;
use luc_state::{Record, Stored};
use serde_json::{Map, Value, json};

use super::views;
use crate::reply::Reply;
use crate::request::Request;

/// How many items a list gives at most (Keystone's `max_db_limit`), asked for or not.
const LIMIT_MAX: usize = 1000;

/// How a filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparator {
    Equals,
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Debug)]
struct Filter {
    name: String,
    comparator: Comparator,
    fold_case: bool,
    value: String,
}

/// What a filter sees of an item.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field<'a> {
    /// A text.
    Text(&'a str),
    /// A flag.
    Flag(bool),
    /// Nothing, which equals nothing.
    Null,
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Field<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<'a, T: AsRef<str>> From<Option<&'a T>> for Field<'a> {
    fn from(text: Option<&'a T>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.as_ref()))
    }
}

/// What part of which list is asked for.
pub(super) struct Listing {
    filters: Vec<Filter>,
    limit: Option<usize>,
    marker: Option<String>,
}

impl Listing {
    /// Reads the filters of these `names`, `limit` and `marker`.
    pub(super) fn of(query: &Query, names: &[&str]) -> Result<Self, ApiError> {
        let mut filters = Vec::new();
        for (name, value) in query.iter() {
            let (base, suffix) = name.split_once("__").unwrap_or((name, ""));
            let known = names.contains(&base);
            let Some((comparator, fold_case)) = comparator(suffix).filter(|_| known) else {
                continue;
            };
            if suffix.is_empty() {
                check_value(name, value)?;
            }
            let value = if fold_case {
                value.to_lowercase()
            } else {
                value.to_owned()
            };
            filters.push(Filter {
                name: base.to_owned(),
                comparator,
                fold_case,
                value,
            });
        }
        Ok(Self {
            filters,
            limit: query.number("limit")?.map(|limit| limit as usize),
            marker: query
                .get("marker")
                .filter(|marker| !marker.is_empty())
                .map(str::to_owned),
        })
    }

    /// Whether an item passes all filters; `field` gives it by name.
    pub(super) fn keeps<'a>(&self, field: impl Fn(&str) -> Field<'a>) -> bool {
        self.filters
            .iter()
            .all(|filter| filter.keeps(field(&filter.name)))
    }

    /// The value of the exact filter `name`, for lists that have an index for it.
    pub(super) fn exactly(&self, name: &str) -> Option<&str> {
        let exact = |filter: &&Filter| {
            filter.name == name && filter.comparator == Comparator::Equals && !filter.fold_case
        };
        self.filters
            .iter()
            .find(exact)
            .map(|filter| filter.value.as_str())
    }

    /// Answers with the page of `items`, which are in the order of their ids, under `collection`.
    pub(super) fn reply<R: Record>(
        &self,
        request: &Request,
        collection: &str,
        mut items: Vec<Arc<Stored<R>>>,
        view: impl Fn(&R) -> Value,
    ) -> Result<Reply, ApiError> {
        if let Some(marker) = &self.marker {
            let position = items.iter().position(|item| item.id() == marker);
            let position = position.ok_or_else(|| {
                ApiError::not_found(format!("Marker {marker} could not be found."))
            })?;
            items.drain(..=position);
        }
        let limit = self.limit.unwrap_or(LIMIT_MAX).min(LIMIT_MAX);
        let full = items.len() >= limit && (self.limit.is_some() || items.len() > limit);
        items.truncate(limit);
        let next = items.last().filter(|_| full).map(|last| {
            let query = request.query.with("marker", last.id());
            format!("{}?{query}", self_path(request))
        });
        let shown = items.iter().map(|item| view(item.value())).collect();
        page(request, collection, shown, next.as_deref(), full)
    }
}

/// Answers with a whole list that is neither filtered nor cut.
pub(super) fn reply_whole(
    request: &Request,
    collection: &str,
    items: Vec<Value>,
) -> Result<Reply, ApiError> {
    page(request, collection, items, None, false)
}

fn page(
    request: &Request,
    collection: &str,
    items: Vec<Value>,
    next: Option<&str>,
    truncated: bool,
) -> Result<Reply, ApiError> {
    let mut body = Map::new();
    body.insert(collection.to_owned(), Value::Array(items));
    let links = json!({"next": next, "self": self_link(request), "previous": null});
    body.insert("links".to_owned(), links);
    if truncated {
        body.insert("truncated".to_owned(), Value::Bool(true));
    }
    Reply::json(&body)
}

fn self_path(request: &Request) -> String {
    format!("{}{}", request.base_url, request.path.trim_end_matches('/'))
}

/// The address under which the list was asked for, with its query.
fn self_link(request: &Request) -> String {
    let pairs: Vec<String> = request
        .query
        .iter()
        .map(|(name, value)| match value {
            "" => encode(name),
            value => format!("{}={}", encode(name), encode(value)),
        })
        .collect();
    let path = self_path(request);
    if pairs.is_empty() {
        path
    } else {
        format!("{path}?{}", pairs.join("&"))
    }
}

impl Filter {
    fn keeps(&self, field: Field<'_>) -> bool {
        match field {
            Field::Null => false,
            Field::Flag(flag) => {
                // A flag that is only named, or named by an odd word, is meant to be set.
                let wanted = parse_bool(&self.value).unwrap_or(true);
                self.comparator == Comparator::Equals && flag == wanted
            }
            Field::Text(text) if self.fold_case => self.compares(&text.to_lowercase()),
            Field::Text(text) => self.compares(text),
        }
    }

    fn compares(&self, text: &str) -> bool {
        match self.comparator {
            Comparator::Equals => text == self.value,
            Comparator::Contains => text.contains(&self.value),
            Comparator::StartsWith => text.starts_with(&self.value),
            Comparator::EndsWith => text.ends_with(&self.value),
        }
    }
}

/// The comparator of a suffix, and whether it folds case.
fn comparator(suffix: &str) -> Option<(Comparator, bool)> {
    Some(match suffix {
        "" => (Comparator::Equals, false),
        "contains" => (Comparator::Contains, false),
        "startswith" => (Comparator::StartsWith, false),
        "endswith" => (Comparator::EndsWith, false),
        "icontains" => (Comparator::Contains, true),
        "istartswith" => (Comparator::StartsWith, true),
        "iendswith" => (Comparator::EndsWith, true),
        _ => return None,
    })
}

/// What the query schemas of Keystone refuse.
fn check_value(name: &str, value: &str) -> Result<(), ApiError> {
    let refuse = |reason: String| Err(ApiError::invalid(name, reason));
    match name {
        "enabled" | "is_domain" if !value.is_empty() && parse_bool(value).is_none() => {
            refuse(format!("'{value}' is not a boolean: use true or false"))
        }
        "name" if value.trim().is_empty() => refuse(format!("'{value}' should be non-empty")),
        "domain_id" => Ok(luc_api::identity::requests::check_id(name, value)?),
        "interface" if !["admin", "internal", "public"].contains(&value) => refuse(format!(
            "'{value}' is not one of ['admin', 'internal', 'public']"
        )),
        _ => Ok(()),
    }
}

/// The root of the links that stand in an answer: `http://host:port/identity/v3`.
pub(super) fn root(request: &Request) -> String {
    views::root(&request.base_url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(query: &str, name: &str, enabled: bool) -> bool {
        let query = Query::parse(query).unwrap();
        let listing = Listing::of(&query, &["name", "enabled"]).unwrap();
        listing.keeps(|field| match field {
            "name" => Field::Text(name),
            "enabled" => Field::Flag(enabled),
            _ => Field::Null,
        })
    }

    #[test]
    fn filters_compare_as_they_say() {
        assert!(keeps("name=ada", "ada", true));
        assert!(!keeps("name=ada", "Ada", true));
        assert!(keeps("name__contains=d", "ada", true));
        assert!(keeps("name__icontains=D", "adA", true));
        assert!(keeps("name__startswith=a&name__endswith=a", "ada", true));
        assert!(!keeps("name__istartswith=D", "ada", true));
    }

    #[test]
    fn a_flag_that_is_only_named_is_meant_to_be_set() {
        assert!(keeps("enabled", "x", true) && !keeps("enabled", "x", false));
        assert!(keeps("enabled=0", "x", false) && !keeps("enabled=False", "x", true));
    }

    #[test]
    fn what_is_not_filtered_by_is_passed_over() {
        assert!(keeps("colour=red&name__like=x", "ada", true));
    }

    #[test]
    fn filters_that_cannot_be_meant_are_refused() {
        for bad in [
            "enabled=perhaps",
            "name=",
            "limit=x",
            "limit=-1",
            "domain_id=a%20b",
        ] {
            let query = Query::parse(bad).unwrap();
            assert!(
                Listing::of(&query, &["name", "enabled", "domain_id"]).is_err(),
                "{bad}"
            );
        }
    }
}
