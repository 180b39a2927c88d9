//! Everything that can be wrong with an operator's `policy.yaml`, in words for the operator.
//!
//! Found by [`super::yaml`] and [`super::overrides`]; printed at start-up and by the command line.

use super::parse::ExpressionError;

/// A `policy.yaml` that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy file cannot be used:{}", listed(.problems))]
pub struct PolicyError {
    /// Everything that is wrong, in the order of the file.
    pub problems: Vec<Problem>,
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    format!("\n  {}", lines.join("\n  "))
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The rule, where one is concerned.
    pub rule: Option<String>,
    /// What is wrong.
    pub reason: Reason,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(rule) = &self.rule {
            write!(f, "rule `{rule}`: ")?;
        }
        self.reason.fmt(f)
    }
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The text is not YAML.
    #[error("this is not YAML: {0}")]
    Yaml(String),
    /// YAML that policy files have no use for.
    #[error("{0} is not understood in a policy file")]
    Unsupported(&'static str),
    /// A tag, most likely a `!` without quotes.
    #[error("tags are not understood here; to deny everybody, write \"!\" with quotes")]
    Tag,
    /// The document is not a mapping.
    #[error("a policy file is a mapping of rule names to checks")]
    NotAMapping,
    /// A key that is not text.
    #[error("the name of a rule must be text")]
    NotAName,
    /// A mapping under a name that is no service's.
    #[error("`{name}` is not a section; sections are compute, identity and image")]
    UnknownSection {
        /// The name.
        name: String,
    },
    /// A name that several services have.
    #[error("{services} have a rule of this name; put it under the section of the one you mean")]
    SeveralServices {
        /// The services.
        services: String,
    },
    /// A rule that no service has and nothing refers to.
    #[error(
        "no service has a rule of this name and no rule refers to it{}",
        hint(.nearest.as_deref())
    )]
    UnknownRule {
        /// The most similar name that exists.
        nearest: Option<String>,
    },
    /// The same rule a second time.
    #[error("it stands already on line {line}")]
    Twice {
        /// Where it stands first.
        line: usize,
    },
    /// No value.
    #[error("it has no value; write \"\" to allow everybody or \"!\" to allow nobody")]
    NoValue,
    /// A value that is neither text nor lists of text.
    #[error("a check is text, or a list of lists of text")]
    NotACheck,
    /// Text that is not in the language.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// A reference to nothing.
    #[error("it refers to the rule `{name}`, which does not exist{}", hint(.nearest.as_deref()))]
    Undefined {
        /// The name that is referred to.
        name: String,
        /// The most similar name that exists.
        nearest: Option<String>,
    },
    /// Rules that refer to each other.
    #[error("it refers to itself: {}", .rules.join(" → "))]
    Ring {
        /// The ring.
        rules: Vec<String>,
    },
    /// References that go too deep.
    #[error("too many rules refer to each other in a row, starting at `{rule}`")]
    TooLong {
        /// Where the chain starts.
        rule: String,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest
        .map(|name| format!("; is `{name}` meant?"))
        .unwrap_or_default()
}
