//! The right side of a check: text with `%(attribute)s` places that the target fills.
//!
//! The subset of Python's `%` formatting that policy files use: named string places and `%%`.
//! Anything else would raise at the time of a request in oslo.policy; here it is refused when the
//! policy is loaded. Called by [`super::parse`] and by the evaluator.

use std::borrow::Cow;
use std::fmt;

use super::parse::ExpressionError;
use super::target::Target;

/// A parsed right side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// One stretch of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Verbatim text, never empty.
    Text(Box<str>),
    /// The value of this attribute of the target.
    Attribute(Box<str>),
}

impl Template {
    /// Parses the right side of a check.
    pub(super) fn parse(source: &str) -> Result<Self, ExpressionError> {
        let refuse = |reason| ExpressionError::Template {
            text: source.to_owned(),
            reason,
        };
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find('%') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let inside = rest
                .strip_prefix('(')
                .ok_or_else(|| refuse(STRAY_PERCENT))?;
            let (name, after) = inside.split_once(')').ok_or_else(|| refuse(OPEN_PLACE))?;
            if name.is_empty() || name.contains(['(', '%']) {
                return Err(refuse(NO_NAME));
            }
            rest = after
                .strip_prefix('s')
                .ok_or_else(|| refuse(NOT_A_STRING))?;
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text).into()));
            }
            parts.push(Part::Attribute(name.into()));
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        Ok(Self { parts })
    }

    /// The text with the target's attributes filled in; `None` if the target lacks one of them.
    pub(super) fn render<'a>(&'a self, target: &'a dyn Target) -> Option<Cow<'a, str>> {
        match self.parts.as_slice() {
            [only] => only.render(target),
            parts => {
                let mut text = String::new();
                for part in parts {
                    text.push_str(&part.render(target)?);
                }
                Some(Cow::Owned(text))
            }
        }
    }

    /// The attributes of the target that the text needs, in order.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Attribute(name) => Some(&**name),
        })
    }
}

const STRAY_PERCENT: &str = "`%` must be followed by `(attribute)s`, or doubled";
const OPEN_PLACE: &str = "`%(` is not closed";
const NO_NAME: &str = "`%(…)s` must hold the plain name of an attribute";
const NOT_A_STRING: &str = "only the form `%(attribute)s` is understood";

impl Part {
    fn render<'a>(&'a self, target: &'a dyn Target) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Attribute(name) => target.attribute(name).map(super::target::Value::text),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(&text.replace('%', "%%"))?,
                Part::Attribute(name) => write!(f, "%({name})s")?,
            }
        }
        Ok(())
    }
}
