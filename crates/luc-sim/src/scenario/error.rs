//! What is wrong with a scenario file: where, why, and what to write instead.

use std::fmt;
use std::ops::Range;

use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a scenario, as one line for people: `file:line:column: field: reason`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ScenarioError {
    /// The file, as it was named.
    pub file: String,
    /// Where in the file, if it is at a place.
    pub place: Option<Place>,
    /// The field, dots between its parts; empty if the text is not TOML.
    pub field: String,
    /// What is wrong and what to do.
    pub reason: String,
}

/// A place in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// A rule that a scenario breaks, before it is known where in the file that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) field: String,
    pub(super) reason: String,
}

impl ScenarioError {
    /// What the TOML reader says about `text`.
    pub(super) fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let span = error.span();
        Self {
            file: file.to_owned(),
            place: span.as_ref().map(|span| place(text, span.start)),
            field: span.map_or_else(String::new, |span| field_at(text, &span)),
            reason: error.message().replace('\n', " "),
        }
    }

    /// That the scenario in `text` breaks a rule.
    pub(super) fn of_rule(file: &str, text: &str, broken: Broken) -> Self {
        let parts: Vec<_> = broken.field.split('.').collect();
        let root = DeTable::parse(text).ok();
        let span = root.and_then(|root| nearest(root.get_ref(), &parts));
        Self {
            file: file.to_owned(),
            place: span.map(|span| place(text, span.start)),
            field: broken.field,
            reason: broken.reason,
        }
    }
}

/// The place of the byte `at`.
fn place(text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place {
        line: before.matches('\n').count() + 1,
        column: before[start..].chars().count() + 1,
    }
}

/// Where the field of these parts stands, or the closest part of it that is written.
fn nearest(table: &DeTable<'_>, parts: &[&str]) -> Option<Range<usize>> {
    let (first, rest) = parts.split_first()?;
    let (key, value) = table
        .iter()
        .find(|(key, _)| key.get_ref().as_ref() == *first)?;
    let deeper = match value.get_ref() {
        DeValue::Table(inner) => nearest(inner, rest),
        DeValue::Array(items) => rest.split_first().and_then(|(index, rest)| {
            let item = items.get(index.parse::<usize>().ok()?)?;
            let inner = item.get_ref().as_table();
            inner
                .and_then(|inner| nearest(inner, rest))
                .or_else(|| Some(item.span()))
        }),
        _ => Some(value.span()),
    };
    deeper.or_else(|| Some(key.span()))
}

/// The name of the field whose key or value covers `span`, dots between its parts.
fn field_at(text: &str, span: &Range<usize>) -> String {
    let Ok(root) = DeTable::parse(text) else {
        return String::new();
    };
    let mut parts = Vec::new();
    descend(root.get_ref(), span, &mut parts);
    parts.join(".")
}

/// Whether `span` lies in `table`; `parts` then says where.
fn descend(table: &DeTable<'_>, span: &Range<usize>, parts: &mut Vec<String>) -> bool {
    for (key, value) in table {
        parts.push(key.get_ref().to_string());
        let found = covers(&key.span(), span) || inside(value, span, parts);
        if found {
            return true;
        }
        parts.pop();
    }
    false
}

fn inside(value: &Spanned<DeValue<'_>>, span: &Range<usize>, parts: &mut Vec<String>) -> bool {
    let deeper = match value.get_ref() {
        DeValue::Table(inner) => descend(inner, span, parts),
        DeValue::Array(items) => items.iter().enumerate().any(|(index, item)| {
            parts.push(index.to_string());
            let found = inside(item, span, parts);
            if !found {
                parts.pop();
            }
            found
        }),
        _ => false,
    };
    deeper || covers(&value.span(), span)
}

fn covers(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
