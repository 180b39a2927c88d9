//! Why a check was answered as it was, for people.
//!
//! Used by the debug log and by `luc policy check`; it evaluates every part, also those that a
//! check of a request would skip, and names what the caller and the target hold.

use std::fmt;

use super::credentials::Held;
use super::evaluate::{Decision, Denial, Evaluation};
use super::expression::Check;
use super::template::Template;

/// A decision with its reasons; its `Display` is one line per part, indented by depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The name of the rule.
    pub rule: String,
    /// The answer.
    pub decision: Decision,
    /// The parts of the rule, each before the parts it consists of.
    pub steps: Vec<Step>,
}

/// One part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How far inside the rule it stands.
    pub depth: usize,
    /// The part as it would be written.
    pub check: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was compared, if something was.
    pub facts: Option<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = &self.rule;
        match self.decision {
            Decision::Allowed => write!(f, "{rule}: allowed")?,
            Decision::Denied(Denial::UnknownRule) => write!(f, "{rule}: denied, no such rule")?,
            Decision::Denied(Denial::Scope(scope)) => {
                write!(
                    f,
                    "{rule}: denied, not for a token of scope {}",
                    scope.as_str()
                )?;
            }
            Decision::Denied(Denial::Check) => write!(f, "{rule}: denied")?,
        }
        for step in &self.steps {
            let answer = if step.holds { "yes" } else { "no " };
            write!(
                f,
                "\n{:indent$}{answer} {}",
                "",
                step.check,
                indent = 2 * (step.depth + 1)
            )?;
            if let Some(facts) = &step.facts {
                write!(f, " ({facts})")?;
            }
        }
        Ok(())
    }
}

impl Evaluation<'_> {
    pub(super) fn explain(&self, name: &str) -> Explanation {
        let mut steps = Vec::new();
        if let Some(rule) = self.rules.get(name) {
            self.explain_check(&rule.check, 0, &mut steps);
        }
        Explanation {
            rule: name.to_owned(),
            decision: self.decide(name),
            steps,
        }
    }

    fn explain_check(&self, check: &Check, depth: usize, steps: &mut Vec<Step>) {
        let holds = self.holds(check);
        let facts = self.facts(check);
        steps.push(Step {
            depth,
            check: check.to_string(),
            holds,
            facts,
        });
        match check {
            Check::Rule(name) => {
                if let Some(rule) = self.rules.resolve(name) {
                    self.explain_check(&rule.check, depth + 1, steps);
                }
            }
            Check::Not(inner) => self.explain_check(inner, depth + 1, steps),
            Check::All(inner) | Check::Any(inner) => {
                for check in inner {
                    self.explain_check(check, depth + 1, steps);
                }
            }
            Check::Always
            | Check::Never
            | Check::Role(_)
            | Check::Caller { .. }
            | Check::Literal { .. } => {}
        }
    }

    fn facts(&self, check: &Check) -> Option<String> {
        match check {
            Check::Role(_) => Some(format!("roles: {}", self.credentials.roles.join(", "))),
            Check::Caller {
                attribute,
                expected,
            } => {
                let held = match self.credentials.held(*attribute) {
                    Held::Absent => "nothing".to_owned(),
                    Held::One(value) => value.to_owned(),
                    Held::Many(values) => values.join(", "),
                };
                Some(format!("caller: {held}; {}", self.expectation(expected)))
            }
            Check::Literal { expected, .. } => Some(self.expectation(expected)),
            _ => None,
        }
    }

    fn expectation(&self, expected: &Template) -> String {
        if let Some(value) = expected.render(self.target) {
            return format!("target: {value}");
        }
        let missing = expected
            .attributes()
            .filter(|name| self.target.attribute(name).is_none())
            .collect::<Vec<_>>();
        format!("target: no {}", missing.join(", "))
    }
}
