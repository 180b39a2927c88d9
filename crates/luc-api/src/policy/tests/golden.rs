//! Agreement with oslo.policy, case by case.
//!
//! `golden.json` was produced by oslo.policy itself (`Enforcer.authorize` over the rules that Nova,
//! Keystone and Glance register; `source` in the file names the releases): every rule against every
//! pair of caller and target, and a few hundred random expressions, a fifth of them broken. Callers
//! were shaped as each service shapes them: Keystone adds the token's body, Nova and Glance
//! `is_admin`. An answer is one bit per pair, callers outermost, in hexadecimal.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::evaluate::Evaluation;
use super::super::rules::{Rule, RuleSet};
use super::super::{Attributes, Credentials, Policy, Value, parse};
use crate::service::Service;

#[derive(Deserialize)]
struct Golden {
    credentials: Vec<Caller>,
    targets: Vec<BTreeMap<String, serde_json::Value>>,
    answers: Vec<String>,
    rules: BTreeMap<String, BTreeMap<String, usize>>,
    expressions: Vec<(String, Option<usize>)>,
}

#[derive(Deserialize)]
struct Caller {
    user_id: String,
    user_domain_id: String,
    roles: Vec<String>,
    project_id: Option<String>,
    project_domain_id: Option<String>,
    domain_id: Option<String>,
    system_scope: Option<String>,
}

impl Caller {
    fn credentials(&self, service: Service) -> Credentials<'_> {
        let admin = self
            .roles
            .iter()
            .any(|role| role.eq_ignore_ascii_case("admin"));
        Credentials {
            user_id: Some(&self.user_id),
            user_domain_id: Some(&self.user_domain_id),
            project_id: self.project_id.as_deref(),
            project_domain_id: self.project_domain_id.as_deref(),
            domain_id: self.domain_id.as_deref(),
            system_scope: self.system_scope.as_deref(),
            roles: self.roles.iter().map(String::as_str).collect(),
            is_admin: (service != Service::Identity).then_some(admin),
        }
    }
}

fn target(attributes: &BTreeMap<String, serde_json::Value>) -> Attributes<'_> {
    attributes
        .iter()
        .fold(Attributes::new(), |target, (name, value)| {
            target.with(
                name,
                match value {
                    serde_json::Value::Bool(flag) => Value::Flag(*flag),
                    serde_json::Value::Number(number) => Value::Integer(number.as_i64().unwrap()),
                    serde_json::Value::String(text) => Value::Text(text),
                    _ => Value::Null,
                },
            )
        })
}

impl Golden {
    fn read() -> Self {
        serde_json::from_str(include_str!("golden.json")).unwrap()
    }

    /// All pairs of caller and target, with the bit that each has in an answer.
    fn pairs(
        &self,
        service: Service,
    ) -> impl Iterator<Item = (usize, Credentials<'_>, Attributes<'_>)> {
        let width = self.targets.len();
        self.credentials
            .iter()
            .enumerate()
            .flat_map(move |(row, caller)| {
                self.targets
                    .iter()
                    .enumerate()
                    .map(move |(column, attributes)| {
                        (
                            row * width + column,
                            caller.credentials(service),
                            target(attributes),
                        )
                    })
            })
    }

    fn answer(&self, index: usize, bit: usize) -> bool {
        let digit = self.answers[index].as_bytes()[bit / 4] as char;
        digit.to_digit(16).unwrap() >> (3 - bit % 4) & 1 == 1
    }
}

#[test]
fn every_default_rule_answers_as_oslo_policy_does() {
    let golden = Golden::read();
    let policy = Policy::with_defaults();
    let mut cases = 0;
    for service in Service::ALL {
        let known = &golden.rules[service.facts().catalog_type];
        assert_eq!(known.len(), policy.rules(service).len());
        for (rule, index) in known {
            for (bit, credentials, target) in golden.pairs(service) {
                let ours = policy
                    .check(service, rule, &credentials, &target)
                    .is_allowed();
                assert_eq!(
                    ours,
                    golden.answer(*index, bit),
                    "{}\n{target:?}",
                    policy.explain(service, rule, &credentials, &target)
                );
                cases += 1;
            }
        }
    }
    assert!(cases > 100_000, "{cases} cases");
}

#[test]
fn every_expression_answers_as_oslo_policy_does_or_is_refused_where_it_gives_up() {
    let golden = Golden::read();
    let mut rules = RuleSet::default();
    for (name, check) in [
        ("helper", "role:member or role:service"),
        ("default", "user_id:u2"),
    ] {
        rules.insert(Rule {
            name: name.into(),
            check: parse(check).unwrap(),
            scope_types: Vec::new(),
            operations: Vec::new(),
            overridden: false,
        });
    }
    for (text, index) in &golden.expressions {
        let Some(index) = index else {
            assert!(parse(text).is_err(), "{text}");
            continue;
        };
        let check = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        for (bit, credentials, target) in golden.pairs(Service::Identity) {
            let evaluation = Evaluation {
                rules: &rules,
                credentials: &credentials,
                target: &target,
            };
            let expected = golden.answer(*index, bit);
            assert_eq!(
                evaluation.holds(&check),
                expected,
                "{text}\n{credentials:?}\n{target:?}"
            );
        }
    }
}
