//! A rule as a tree of checks, and its canonical spelling.
//!
//! Built by [`super::parse`], walked by the evaluator and by [`super::explain`]. A tree names other
//! rules and never holds them, so replacing a rule takes effect wherever it is referred to.

use std::fmt;

use super::credentials::Attribute;
use super::template::Template;

/// One node of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// `@` or the empty rule: everybody.
    Always,
    /// `!`: nobody.
    Never,
    /// `rule:name`: whoever that rule allows.
    Rule(Box<str>),
    /// `role:name`: callers with that role, whatever its case.
    Role(Template),
    /// `attribute:expected`: callers whose attribute has that value.
    Caller {
        /// What is looked at.
        attribute: Attribute,
        /// What it must be.
        expected: Template,
    },
    /// `'literal':expected`: targets that have that value.
    Literal {
        /// What the target's value must be.
        literal: Literal,
        /// Where the value comes from.
        expected: Template,
    },
    /// `not check`.
    Not(Box<Check>),
    /// `a and b …`: two or more.
    All(Vec<Check>),
    /// `a or b …`: two or more.
    Any(Vec<Check>),
}

/// A constant on the left of a colon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `'text'`
    Text(Box<str>),
    /// `None`, `True`, `False` or a whole number, by its own spelling.
    Bare(Box<str>),
}

impl Literal {
    /// The value, in its Python spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) | Self::Bare(text) => text,
        }
    }
}

impl Check {
    /// The names of the rules that it refers to, in order, with repetitions.
    pub fn references(&self) -> Vec<&str> {
        match self {
            Self::Rule(name) => vec![name],
            Self::Not(check) => check.references(),
            Self::All(checks) | Self::Any(checks) => {
                checks.iter().flat_map(Self::references).collect()
            }
            Self::Always
            | Self::Never
            | Self::Role(_)
            | Self::Caller { .. }
            | Self::Literal { .. } => Vec::new(),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("@"),
            Self::Never => f.write_str("!"),
            Self::Rule(name) => write!(f, "rule:{name}"),
            Self::Role(name) => write!(f, "role:{name}"),
            Self::Caller {
                attribute,
                expected,
            } => write!(f, "{}:{expected}", attribute.name()),
            Self::Literal { literal, expected } => write!(f, "{literal}:{expected}"),
            Self::Not(check) => write!(f, "not {check}"),
            Self::All(checks) => joined(f, checks, " and "),
            Self::Any(checks) => joined(f, checks, " or "),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare(text) => f.write_str(text),
            Self::Text(text) if text.contains('\'') => write!(f, "\"{text}\""),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, checks: &[Check], operator: &str) -> fmt::Result {
    for (index, check) in checks.iter().enumerate() {
        f.write_str(if index == 0 { "(" } else { operator })?;
        write!(f, "{check}")?;
    }
    f.write_str(")")
}
