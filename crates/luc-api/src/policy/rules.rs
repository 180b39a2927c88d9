//! The rules of one service by name, and what holds between them.
//!
//! A set is complete before it is used: every reference resolves and no rule refers to itself, so
//! evaluation ends. It knows nothing of files: [`super::defaults`] and [`super::overrides`] fill
//! it.

use std::collections::HashMap;

use super::credentials::Scope;
use super::expression::Check;

/// The rule that stands in for a rule that is referred to and does not exist (the option
/// `policy_default_rule` of oslo.policy).
pub(super) const FALLBACK: &str = "default";

/// How many rules may refer to each other in a row. Upstream's defaults need 4.
const CHAIN_MAX: usize = 64;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, for example `os_compute_api:servers:create`.
    pub name: Box<str>,
    /// Whom it allows.
    pub check: Check,
    /// The scopes of tokens that may use it; any if empty.
    pub scope_types: Vec<Scope>,
    /// The operations it guards, as `METHOD /path`, in the words of its service's documentation.
    pub operations: Vec<String>,
    /// Whether the check is the operator's rather than upstream's.
    pub overridden: bool,
}

/// The rules of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleSet {
    rules: Vec<Rule>,
    by_name: HashMap<Box<str>, usize>,
}

/// A fault in how rules refer to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// `rule` refers to a rule that does not exist.
    Undefined { rule: String, name: String },
    /// These rules refer to each other in a ring.
    Ring { rules: Vec<String> },
    /// The references below `rule` go too deep.
    TooLong { rule: String },
}

impl RuleSet {
    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(super) fn get(&self, name: &str) -> Option<&Rule> {
        self.by_name.get(name).and_then(|at| self.rules.get(*at))
    }

    /// The rule that `rule:name` means: the one of that name, else the fallback rule if there is.
    pub(super) fn resolve(&self, name: &str) -> Option<&Rule> {
        self.get(name).or_else(|| self.get(FALLBACK))
    }

    /// Adds a rule, or replaces the one of its name.
    pub(super) fn insert(&mut self, rule: Rule) {
        if let Some(at) = self.by_name.get(&rule.name) {
            self.rules[*at] = rule;
        } else {
            self.by_name.insert(rule.name.clone(), self.rules.len());
            self.rules.push(rule);
        }
    }

    /// Gives the rule `name` the operator's check; scopes and operations stay upstream's.
    pub(super) fn override_check(&mut self, name: &str, check: Check) {
        let known = self.get(name);
        self.insert(Rule {
            name: name.into(),
            check,
            scope_types: known
                .map(|rule| rule.scope_types.clone())
                .unwrap_or_default(),
            operations: known
                .map(|rule| rule.operations.clone())
                .unwrap_or_default(),
            overridden: true,
        });
    }

    /// Everything that is wrong with the references. A missing rule is no fault where the operator
    /// has defined the fallback rule: then the fallback is what was asked for.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let fallback = self.get(FALLBACK).is_some_and(|rule| rule.overridden);
        let mut faults = Vec::new();
        for rule in &self.rules {
            for name in rule.check.references() {
                if self.get(name).is_none() && !fallback {
                    let (rule, name) = (rule.name.to_string(), name.to_owned());
                    faults.push(Fault::Undefined { rule, name });
                }
            }
        }
        let mut walk = Walk {
            set: self,
            path: Vec::new(),
            heights: HashMap::new(),
            faults,
        };
        for rule in &self.rules {
            walk.height(rule);
        }
        walk.faults
    }
}

/// A walk along the references, depth first, that visits each rule once.
struct Walk<'a> {
    set: &'a RuleSet,
    path: Vec<&'a str>,
    heights: HashMap<&'a str, usize>,
    faults: Vec<Fault>,
}

impl<'a> Walk<'a> {
    /// The number of rules in the longest chain of references that starts at `rule`.
    fn height(&mut self, rule: &'a Rule) -> usize {
        if let Some(height) = self.heights.get(&*rule.name) {
            return *height;
        }
        if let Some(start) = self.path.iter().position(|name| *name == &*rule.name) {
            let rules = self.path[start..]
                .iter()
                .map(|name| (*name).to_owned())
                .collect();
            self.faults.push(Fault::Ring { rules });
            return 0;
        }
        // The path is bounded as well as the height, so that a long chain cannot exhaust the stack.
        if self.path.len() == CHAIN_MAX {
            self.faults.push(Fault::TooLong {
                rule: rule.name.to_string(),
            });
            return 0;
        }
        self.path.push(&rule.name);
        let mut below = 0;
        for name in rule.check.references() {
            if let Some(next) = self.set.resolve(name) {
                below = below.max(self.height(next));
            }
        }
        self.path.pop();
        if below == CHAIN_MAX {
            self.faults.push(Fault::TooLong {
                rule: rule.name.to_string(),
            });
        }
        self.heights.insert(&rule.name, below + 1);
        below + 1
    }
}
