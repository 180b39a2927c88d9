//! What a request is about: the attributes that `%(attribute)s` in a rule refers to.
//!
//! oslo.policy takes a flat dictionary with dotted names (`target.user.domain_id`). Services hand
//! over [`Attributes`], or implement [`Target`] on a record to save the list. A target knows
//! nothing of the caller; that is [`super::Credentials`].

use std::borrow::Cow;

use super::credentials::Credentials;

/// The object (or the place of a new object) that an operation concerns.
pub trait Target {
    /// The attribute of this (dotted) name; `None` if the target has no such attribute, in which
    /// case every check that needs it fails.
    fn attribute(&self, name: &str) -> Option<Value<'_>>;
}

/// The value of an attribute, compared in its Python spelling as oslo.policy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// The attribute is there and has no value; spelled `None`.
    Null,
    /// Spelled `True` or `False`.
    Flag(bool),
    /// A number in decimal.
    Integer(i64),
    /// Text as it is.
    Text(&'a str),
}

impl<'a> Value<'a> {
    /// The value as `str()` of Python spells it.
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Self::Null => Cow::Borrowed("None"),
            Self::Flag(true) => Cow::Borrowed("True"),
            Self::Flag(false) => Cow::Borrowed("False"),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// A target as a short list of attributes.
///
/// ```
/// use luc_api::policy::{Attributes, Target, Value};
///
/// let target = Attributes::new().with("project_id", "p1").with("target.role.domain_id", None);
/// assert_eq!(target.attribute("project_id"), Some(Value::Text("p1")));
/// assert_eq!(target.attribute("target.role.domain_id"), Some(Value::Null));
/// assert_eq!(target.attribute("user_id"), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Attributes<'a> {
    list: Vec<(&'a str, Value<'a>)>,
}

impl<'a> Attributes<'a> {
    /// A target without attributes.
    pub const fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// What Nova takes when an operation concerns no object in particular: the caller's own project
    /// and user (`nova.policy.default_target`).
    pub fn of_caller(credentials: &Credentials<'a>) -> Self {
        Self::new()
            .with("project_id", credentials.project_id)
            .with("user_id", credentials.user_id)
    }

    /// The same target with one more attribute; the first of two with one name counts.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: impl Into<Value<'a>>) -> Self {
        self.list.push((name, value.into()));
        self
    }
}

impl Target for Attributes<'_> {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.list
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }
}
