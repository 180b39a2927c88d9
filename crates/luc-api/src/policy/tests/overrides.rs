//! An operator's file: what it changes, and how its faults are told.

use super::super::{Attributes, Policy};
use super::caller;
use crate::service::Service;

const DELETE: &str = "os_compute_api:servers:delete";

/// What is wrong with a file, one line per fault.
fn faults(yaml: &str) -> Vec<String> {
    let error = Policy::with_overrides(yaml).expect_err("the file has faults");
    assert!(
        error
            .to_string()
            .starts_with("the policy file cannot be used:\n  line ")
    );
    error.problems.iter().map(ToString::to_string).collect()
}

fn may(policy: &Policy, service: Service, rule: &str, roles: &[&str]) -> bool {
    let target = Attributes::new().with("project_id", "p1");
    policy
        .check(service, rule, &caller(roles), &target)
        .is_allowed()
}

#[test]
fn an_upstream_file_replaces_what_it_names_and_nothing_else() {
    let policy = Policy::with_overrides(
        "# my cloud\n\
         \"os_compute_api:servers:delete\": \"role:janitor\"\n\
         identity:list_users: ''\n\
         add_image: [[\"role:member\", \"project_id:p1\"], [\"role:uploader\"]]\n\
         \"os_compute_api:servers:create\": \"!\"\n",
    )
    .unwrap();
    assert!(may(&policy, Service::Compute, DELETE, &["janitor"]));
    assert!(!may(&policy, Service::Compute, DELETE, &["admin"]));
    assert!(may(&policy, Service::Identity, "identity:list_users", &[]));
    assert!(may(&policy, Service::Image, "add_image", &["uploader"]));
    assert!(may(&policy, Service::Image, "add_image", &["member"]));
    assert!(!may(&policy, Service::Image, "add_image", &["reader"]));
    assert!(!may(
        &policy,
        Service::Compute,
        "os_compute_api:servers:create",
        &["admin"]
    ));
    assert!(may(
        &policy,
        Service::Compute,
        "os_compute_api:servers:stop",
        &["member"]
    ));
    assert!(policy.rule(Service::Compute, DELETE).unwrap().overridden);
    assert!(
        !policy
            .rule(Service::Compute, "os_compute_api:servers:stop")
            .unwrap()
            .overridden
    );
}

#[test]
fn scopes_stay_upstreams_when_a_check_is_replaced() {
    let policy = Policy::with_overrides("\"os_compute_api:servers:delete\": \"@\"").unwrap();
    let mut system = caller(&["admin"]);
    system.system_scope = Some("all");
    assert!(
        !policy
            .check(Service::Compute, DELETE, &system, &Attributes::new())
            .is_allowed()
    );
}

#[test]
fn an_empty_file_changes_nothing() {
    for text in ["", "# only a remark\n", "---\n", "{}"] {
        let policy = Policy::with_overrides(text).unwrap();
        for service in Service::ALL {
            assert_eq!(
                policy.rules(service),
                Policy::with_defaults().rules(service)
            );
        }
    }
}

#[test]
fn a_rule_of_the_operators_own_serves_every_service_that_refers_to_it() {
    let policy = Policy::with_overrides(
        "support: rule:helpers or role:support\n\
         helpers: role:helper\n\
         os_compute_api:servers:delete: rule:support\n\
         delete_image: rule:helpers\n",
    )
    .unwrap();
    assert!(may(&policy, Service::Compute, DELETE, &["helper"]));
    assert!(may(&policy, Service::Image, "delete_image", &["helper"]));
    assert!(!may(&policy, Service::Image, "delete_image", &["support"]));
    assert!(policy.rule(Service::Image, "support").is_none());
    assert!(policy.rule(Service::Identity, "helpers").is_none());
}

#[test]
fn a_name_of_several_services_needs_a_section() {
    assert_eq!(
        faults("context_is_admin: role:boss"),
        [
            "line 1: rule `context_is_admin`: image and compute have a rule of this name; put it \
             under the section of the one you mean"
        ]
    );
    let policy = Policy::with_overrides("compute:\n  context_is_admin: role:boss\n").unwrap();
    assert!(may(&policy, Service::Compute, DELETE, &["boss"]));
    assert!(!may(&policy, Service::Compute, DELETE, &["admin"]));
    assert!(may(&policy, Service::Image, "context_is_admin", &["admin"]));
}

#[test]
fn the_operators_fallback_stands_in_for_missing_rules_and_upstreams_does_not() {
    let text = "compute:\n  os_compute_api:servers:delete: rule:gone\n  default: role:boss\n";
    let policy = Policy::with_overrides(text).unwrap();
    assert!(may(&policy, Service::Compute, DELETE, &["boss"]));
    assert!(!may(&policy, Service::Compute, DELETE, &["admin"]));
    // Glance's own fallback allows everybody: a slip of the pen must not open a rule.
    assert_eq!(
        faults("add_image: rule:context_is_admim"),
        [
            "line 1: rule `add_image`: it refers to the rule `context_is_admim`, which does not \
             exist; is `context_is_admin` meant?"
        ]
    );
}

#[test]
fn all_faults_of_a_file_are_told_together_with_their_lines() {
    let text = "os_compute_api:servers:delet: role:admin\n\
                os_compute_api:servers:stop:\n\
                os_compute_api:servers:start: rolle:admin\n\
                add_image: {a: b}\n\
                delete_image: [[[x]]]\n\
                get_image: role:a\n\
                get_image: role:b\n\
                network:\n  get_network: role:a\n\
                7: role:a\n\
                image:\n  get_images: role:a or\n";
    let told = faults(text);
    let starts = [
        "line 1: rule `os_compute_api:servers:delet`: no service has a rule of this name and no \
         rule refers to it; is `os_compute_api:servers:delete` meant?",
        "line 2: rule `os_compute_api:servers:stop`: it has no value; write \"\"",
        "line 3: rule `os_compute_api:servers:start`: `rolle` in `rolle:admin` is not a known kind",
        "line 4: `add_image` is not a section; sections are compute, identity and image",
        "line 5: rule `delete_image`: a check is text, or a list of lists of text",
        "line 7: rule `get_image`: it stands already on line 6",
        "line 8: `network` is not a section",
        "line 10: rule `7`: no service has a rule of this name",
        "line 12: rule `get_images`: a check is missing at the end, after `or`",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (told, start) in told.iter().zip(starts) {
        assert!(told.starts_with(start), "{told}\n{start}");
    }
}

#[test]
fn rings_and_endless_chains_are_refused() {
    assert_eq!(
        faults("admin_api: rule:project_member_api\nproject_member_api: not rule:admin_api"),
        ["line 1: rule `admin_api`: it refers to itself: admin_api → project_member_api"]
    );
    assert_eq!(
        faults("project_member_api: rule:project_member_or_admin"),
        [
            "line 1: rule `project_member_api`: it refers to itself: project_member_api → \
             project_member_or_admin"
        ]
    );
    let chain = |length: usize| {
        let links = (1..length).map(|at| format!("link{at}: rule:link{}\n", at + 1));
        format!(
            "{}link{length}: '@'\nadmin_api: rule:link1\n",
            links.collect::<String>()
        )
    };
    assert!(Policy::with_overrides(&chain(63)).is_ok());
    for length in [64, 65, 1000] {
        let told = faults(&chain(length));
        assert!(
            told[0].contains("too many rules refer to each other in a row"),
            "{told:?}"
        );
    }
}

#[test]
fn yaml_that_could_deceive_is_refused() {
    let cases = [
        (
            "admin_api: !",
            "tags are not understood here; to deny everybody, write \"!\" with quotes",
        ),
        (
            "admin_api: &a role:x",
            "an anchor is not understood in a policy file",
        ),
        ("admin_api: *a", "this is not YAML: "),
        (
            "admin_api: role:x\n---\nadmin_api: role:y",
            "a second document is not understood",
        ),
        (
            "- role:x",
            "a policy file is a mapping of rule names to checks",
        ),
        (
            "role:x",
            "a policy file is a mapping of rule names to checks",
        ),
        ("[a]: role:x", "the name of a rule must be text"),
        ("admin_api: \"role:x", "this is not YAML: "),
        (
            "a: [[[[[[[[[[[[]]]]]]]]]]]]",
            "nesting this deep is not understood",
        ),
    ];
    for (text, reason) in cases {
        let told = faults(text);
        assert!(told[0].contains(reason), "{text}: {told:?}");
    }
}
