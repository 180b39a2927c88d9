//! Tests of the policy evaluator: language, agreement with oslo.policy, defaults, overrides.

mod defaults;
mod golden;
mod language;
mod overrides;
mod roundtrip;

use super::{Credentials, Target};

/// A caller with these roles in project `p1`, user `u1`, both of domain `d1`.
fn caller<'a>(roles: &[&'a str]) -> Credentials<'a> {
    Credentials {
        user_id: Some("u1"),
        user_domain_id: Some("d1"),
        project_id: Some("p1"),
        project_domain_id: Some("d1"),
        roles: roles.to_vec(),
        ..Credentials::default()
    }
}

/// Whether the rule `text` holds, with no other rules around.
fn holds(text: &str, credentials: &Credentials<'_>, target: &dyn Target) -> bool {
    let check = super::parse(text).unwrap();
    let rules = super::rules::RuleSet::default();
    super::evaluate::Evaluation {
        rules: &rules,
        credentials,
        target,
    }
    .holds(&check)
}
