//! One check of one request against the rules of a service.
//!
//! Nothing is allocated unless a template joins several pieces or a number is spelled out; upstream
//! defaults do neither.

use super::credentials::{Credentials, Held, Scope};
use super::expression::{Check, Literal};
use super::rules::RuleSet;
use super::target::Target;
use super::template::Template;

/// Everything that the answer depends on.
#[derive(Clone, Copy)]
pub(super) struct Evaluation<'a> {
    pub(super) rules: &'a RuleSet,
    pub(super) credentials: &'a Credentials<'a>,
    pub(super) target: &'a dyn Target,
}

/// The answer to one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// The caller may.
    Allowed,
    /// The caller may not.
    Denied(Denial),
}

impl Decision {
    /// Whether the caller may.
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed)
    }
}

/// Why a caller may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The service has no rule of that name. A fault of the program, never of the caller.
    UnknownRule,
    /// The rule is not for tokens of this scope.
    Scope(Scope),
    /// The rule's check does not hold.
    Check,
}

impl Evaluation<'_> {
    /// The answer for the rule `name`: it must exist, be for tokens of this scope, and hold.
    pub(super) fn decide(&self, name: &str) -> Decision {
        let Some(rule) = self.rules.get(name) else {
            return Decision::Denied(Denial::UnknownRule);
        };
        let scope = self.credentials.scope();
        if !rule.scope_types.is_empty() && !rule.scope_types.contains(&scope) {
            return Decision::Denied(Denial::Scope(scope));
        }
        if self.holds(&rule.check) {
            Decision::Allowed
        } else {
            Decision::Denied(Denial::Check)
        }
    }

    /// Whether `check` holds.
    pub(super) fn holds(&self, check: &Check) -> bool {
        match check {
            Check::Always => true,
            Check::Never => false,
            Check::Rule(name) => self
                .rules
                .resolve(name)
                .is_some_and(|rule| self.holds(&rule.check)),
            Check::Role(name) => name
                .render(self.target)
                .is_some_and(|name| self.credentials.has_role(&name)),
            Check::Caller {
                attribute,
                expected,
            } => self.matches(self.credentials.held(*attribute), expected),
            Check::Literal { literal, expected } => self.equals(literal, expected),
            Check::Not(check) => !self.holds(check),
            Check::All(checks) => checks.iter().all(|check| self.holds(check)),
            Check::Any(checks) => checks.iter().any(|check| self.holds(check)),
        }
    }

    fn matches(&self, held: Held<'_>, expected: &Template) -> bool {
        let Some(expected) = expected.render(self.target) else {
            return false;
        };
        match held {
            Held::Absent => false,
            Held::One(value) => value == expected,
            Held::Many(values) => values.contains(&&*expected),
        }
    }

    fn equals(&self, literal: &Literal, expected: &Template) -> bool {
        expected
            .render(self.target)
            .is_some_and(|value| value == literal.as_str())
    }
}
