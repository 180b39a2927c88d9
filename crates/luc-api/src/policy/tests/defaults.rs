//! What the built-in rules promise.

use super::super::{Attributes, Decision, Denial, Policy, Scope, parse};
use super::caller;
use crate::endpoint::Access;
use crate::service::Service;

#[test]
fn all_rules_of_the_three_services_are_there() {
    let policy = Policy::with_defaults();
    let counts = [Service::Compute, Service::Identity, Service::Image]
        .map(|service| policy.rules(service).len());
    assert_eq!(counts, [214, 204, 67]);
}

#[test]
fn no_default_refers_to_a_missing_rule_or_to_itself() {
    let policy = Policy::with_defaults();
    for service in Service::ALL {
        assert_eq!(policy.of(service).faults(), []);
    }
}

#[test]
fn the_hardest_defaults_keep_their_meaning_in_canonical_form() {
    let policy = Policy::with_defaults();
    for service in Service::ALL {
        for rule in policy.rules(service) {
            assert_eq!(
                parse(&rule.check.to_string()).as_ref(),
                Ok(&rule.check),
                "{}",
                rule.name
            );
        }
    }
}

#[test]
fn an_administrator_of_any_project_is_one_everywhere() {
    let policy = Policy::with_defaults();
    let elsewhere = Attributes::new().with("project_id", "p2");
    let admin = caller(&["admin"]);
    assert!(
        policy.check(
            Service::Compute,
            "os_compute_api:servers:delete",
            &admin,
            &elsewhere
        ) == Decision::Allowed
    );
    assert!(policy.is_admin(Service::Compute, &admin));
    assert!(!policy.is_admin(Service::Compute, &caller(&["manager", "member", "reader"])));
    assert!(!policy.is_admin(Service::Identity, &admin));
}

#[test]
fn a_rule_that_a_service_does_not_have_denies_even_where_a_fallback_allows() {
    // Glance has a rule `default` that allows everybody; it stands in for missing references only.
    let policy = Policy::with_defaults();
    let decision = policy.check(
        Service::Image,
        "no_such",
        &caller(&["admin"]),
        &Attributes::new(),
    );
    assert_eq!(decision, Decision::Denied(Denial::UnknownRule));
}

#[test]
fn a_token_of_another_scope_is_denied_before_the_check() {
    let policy = Policy::with_defaults();
    let mut admin = caller(&["admin"]);
    admin.project_id = None;
    admin.system_scope = Some("all");
    let rule = "os_compute_api:servers:create";
    let decision = policy.check(Service::Compute, rule, &admin, &Attributes::new());
    assert_eq!(decision, Decision::Denied(Denial::Scope(Scope::System)));
}

#[test]
fn every_rule_of_the_endpoint_table_exists() {
    let policy = Policy::with_defaults();
    for endpoint in crate::endpoint::all() {
        if let Access::Rule(rule) = endpoint.access {
            let service = endpoint.service();
            assert!(policy.rule(service, rule).is_some(), "{service:?} {rule}");
        }
    }
}

#[test]
fn an_explanation_names_what_was_compared() {
    let policy = Policy::with_defaults();
    let target = Attributes::new().with("project_id", "p2");
    let rule = "os_compute_api:servers:delete";
    let explanation = policy.explain(
        Service::Compute,
        rule,
        &caller(&["member", "reader"]),
        &target,
    );
    assert_eq!(
        explanation.to_string(),
        "os_compute_api:servers:delete: denied\n  \
           no  rule:project_member_or_admin\n    \
             no  (rule:project_member_api or rule:context_is_admin)\n      \
               no  rule:project_member_api\n        \
                 no  (role:member and project_id:%(project_id)s)\n          \
                   yes role:member (roles: member, reader)\n          \
                   no  project_id:%(project_id)s (caller: p1; target: p2)\n      \
               no  rule:context_is_admin\n        \
                 no  role:admin (roles: member, reader)"
    );
}
