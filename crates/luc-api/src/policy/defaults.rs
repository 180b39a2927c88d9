//! The rules that the upstream services register, as data.
//!
//! `data/policy/*.json` hold name, check, scopes and operations of every default of Nova, Keystone
//! and Glance, one rule a line; their `source` says which release. Derived from what those services
//! hand to oslo.policy, without the deprecated forms (`enforce_new_defaults`, on by default).

use serde::Deserialize;

use super::credentials::Scope;
use super::parse::parse;
use super::rules::{Rule, RuleSet};
use crate::service::Service;

#[derive(Deserialize)]
struct File {
    rules: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: Box<str>,
    check: String,
    scope_types: Vec<Scope>,
    operations: Vec<String>,
}

/// The defaults of `service`.
///
/// # Panics
/// If a data file of this crate is damaged, which its tests exclude.
pub(super) fn rules_of(service: Service) -> RuleSet {
    let text = match service {
        Service::Compute => include_str!("../../data/policy/compute.json"),
        Service::Identity => include_str!("../../data/policy/identity.json"),
        Service::Image => include_str!("../../data/policy/image.json"),
    };
    let file: File = serde_json::from_str(text).expect("the built-in rules are JSON");
    let mut rules = RuleSet::default();
    for Row {
        name,
        check,
        scope_types,
        operations,
    } in file.rules
    {
        let check = parse(&check).expect("the built-in rules are understood");
        rules.insert(Rule {
            name,
            check,
            scope_types,
            operations,
            overridden: false,
        });
    }
    rules
}
