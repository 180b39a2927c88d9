//! Bodies of the identity service: what is read, what is kept, what is refused by name.

use serde_json::json;

use super::*;
use crate::body::{self, RequestBody};
use crate::fault::ApiError;
use crate::version::Microversion;

fn read<T: RequestBody>(body: &Value) -> Result<T, ApiError> {
    body::parse(body.to_string().as_bytes(), Microversion::new(3, 14))
}

fn refused<T: RequestBody + std::fmt::Debug>(body: &Value) -> String {
    match read::<T>(body).unwrap_err() {
        ApiError::InvalidInput { field, .. } => field,
        other => panic!("{other:?} names no field"),
    }
}

#[test]
fn what_is_not_known_is_kept() {
    let body = json!({"user": {"name": "ada", "email": "ada@example.org", "floor": 3,
        "links": {"self": "x"}, "extra": 1}});
    let user = read::<CreateUser>(&body).unwrap().user;
    assert_eq!(user.name, "ada");
    assert_eq!(
        Value::Object(user.extra),
        json!({"email": "ada@example.org", "floor": 3})
    );
}

#[test]
fn a_member_of_a_wrong_type_is_named_with_its_path() {
    assert_eq!(
        refused::<CreateUser>(&json!({"user": {"name": 7}})),
        "user.name"
    );
    assert_eq!(
        refused::<CreateUser>(&json!({"user": {"name": null}})),
        "user.name"
    );
    assert_eq!(
        refused::<UpdateDomain>(&json!({"domain": {"tags": [1]}})),
        "domain.tags[0]"
    );
    assert_eq!(
        refused::<CreateEndpoint>(&json!({"endpoint": {"interface": "public", "url": "a:b",
            "service_id": "x", "description": 7}})),
        "endpoint.description"
    );
}

#[test]
fn a_missing_member_is_named() {
    let error = read::<CreateProject>(&json!({"project": {}}))
        .unwrap_err()
        .to_string();
    assert!(error.contains("'name' is a required property"), "{error}");
    assert_eq!(
        refused::<CreateProject>(&json!({"project": null})),
        "project"
    );
    assert!(read::<CreateProject>(&json!({})).is_err());
}

#[test]
fn absent_and_null_differ() {
    let absent = read::<UpdateGroup>(&json!({"group": {"name": "x"}}))
        .unwrap()
        .group;
    let null = read::<UpdateGroup>(&json!({"group": {"description": null}}))
        .unwrap()
        .group;
    assert_eq!(absent.description, None);
    assert_eq!(null.description, Some(None));
}

#[test]
fn a_change_of_nothing_is_refused_but_for_projects() {
    assert_eq!(refused::<UpdateUser>(&json!({"user": {}})), "user");
    assert_eq!(refused::<UpdateRegion>(&json!({"region": {}})), "region");
    assert!(
        read::<UpdateProject>(&json!({"project": {}}))
            .unwrap()
            .project
            .is_empty()
    );
    assert!(
        read::<UpdateProject>(&json!({}))
            .unwrap()
            .project
            .is_empty()
    );
}

#[test]
fn the_object_around_is_closed() {
    assert!(read::<CreateUser>(&json!({"user": {"name": "x"}, "more": 1})).is_err());
    assert!(
        read::<CreateAppCred>(&json!({"application_credential": {"name": "x", "more": 1}}))
            .unwrap_err()
            .to_string()
            .contains("more")
    );
}

#[test]
fn names_have_bounds() {
    let user = |name: &str| json!({"user": {"name": name}});
    assert!(read::<CreateUser>(&user(&"é".repeat(255))).is_ok());
    for bad in ["", "  ", &"n".repeat(256)] {
        assert_eq!(refused::<CreateUser>(&user(bad)), "user.name", "{bad:?}");
    }
    let domain = json!({"domain": {"name": "n".repeat(65)}});
    assert_eq!(refused::<CreateDomain>(&domain), "domain.name");
}

#[test]
fn options_are_known_ones_of_their_form() {
    let role = |options: Value| json!({"role": {"name": "r", "options": options}});
    assert!(read::<CreateRole>(&role(json!({"immutable": true}))).is_ok());
    assert!(read::<CreateRole>(&role(json!({"immutable": null}))).is_ok());
    assert_eq!(
        refused::<CreateRole>(&role(json!({"shiny": true}))),
        "role.options"
    );
    assert_eq!(
        refused::<CreateRole>(&role(json!({"immutable": 1}))),
        "role.options.immutable"
    );
    let rules = json!({"user": {"name": "x", "options": {"multi_factor_auth_rules": [[]]}}});
    assert_eq!(
        refused::<CreateUser>(&rules),
        "user.options.multi_factor_auth_rules"
    );
}

#[test]
fn tags_are_few_short_and_different() {
    let project = |tags: Value| json!({"project": {"name": "p", "tags": tags}});
    assert!(read::<CreateProject>(&project(json!(["a", "b"]))).is_ok());
    for bad in [
        json!(["a", "a"]),
        json!(["a,b"]),
        json!(["a/b"]),
        json!([""]),
    ] {
        assert!(refused::<CreateProject>(&project(bad.clone())).starts_with("project.tags"));
    }
    let many: Vec<String> = (0..81).map(|n| n.to_string()).collect();
    assert_eq!(
        refused::<CreateProject>(&project(json!(many))),
        "project.tags"
    );
}

#[test]
fn a_scope_is_a_word_or_an_object() {
    let auth = |scope: Value| json!({"auth": {"identity": {"methods": []}, "scope": scope}});
    let word = read::<IssueToken>(&auth(json!("unscoped"))).unwrap();
    assert!(matches!(word.auth.scope, Some(ScopeRequest::Word(word)) if word == "unscoped"));
    let system = read::<IssueToken>(&auth(json!({"system": {"all": true}}))).unwrap();
    let Some(ScopeRequest::Choices(choices)) = system.auth.scope else {
        panic!("no object")
    };
    assert!(choices.system.is_some() && choices.project.is_none());
    assert_eq!(refused::<IssueToken>(&auth(Value::Null)), "auth.scope");
    let wrong = auth(json!({"project": {"id": 7}}));
    assert_eq!(refused::<IssueToken>(&wrong), "auth.scope.project.id");
    let nobody = auth(json!({"project": {"name": "p", "domain": {}}}));
    assert_eq!(refused::<IssueToken>(&nobody), "auth.scope.project.domain");
}

#[test]
fn a_password_is_neither_printed_nor_named_in_a_refusal() {
    let body = json!({"auth": {"identity": {"methods": ["password"],
        "password": {"user": {"id": "u", "password": "hunter2"}}}}});
    let printed = format!("{:?}", read::<IssueToken>(&body).unwrap());
    assert!(!printed.contains("hunter2"), "{printed}");
    let long = json!({"user": {"name": "x", "password": "p".repeat(4097)}});
    let error = read::<CreateUser>(&long).unwrap_err().to_string();
    assert!(
        error.contains("password") && !error.contains("ppp"),
        "{error}"
    );
}

#[test]
fn an_access_rule_is_whole_or_an_id() {
    let cred =
        |rule: Value| json!({"application_credential": {"name": "c", "access_rules": [rule]}});
    let whole = json!({"service": "compute", "path": "/v2.1/servers", "method": "GET"});
    assert!(read::<CreateAppCred>(&cred(whole)).is_ok());
    assert!(read::<CreateAppCred>(&cred(json!({"id": "0123abcd"}))).is_ok());
    for (bad, field) in [
        (json!({}), ""),
        (json!({"service": "compute", "path": "/x"}), ""),
        (
            json!({"service": "compute", "path": "x", "method": "GET"}),
            ".path",
        ),
        (
            json!({"service": "compute", "path": "/x", "method": "BREW"}),
            ".method",
        ),
        (
            json!({"service": "a b", "path": "/x", "method": "GET"}),
            ".service",
        ),
    ] {
        let named = refused::<CreateAppCred>(&cred(bad.clone()));
        assert_eq!(
            named,
            format!("application_credential.access_rules.0{field}"),
            "{bad}"
        );
    }
}

#[test]
fn urls_and_regions_are_checked() {
    let endpoint =
        |url: &str| json!({"endpoint": {"interface": "public", "service_id": "s", "url": url}});
    assert!(read::<CreateEndpoint>(&endpoint("http://x/$(project_id)s")).is_ok());
    for bad in [
        "nourl",
        "http:",
        ":x",
        &format!("http://{}", "x".repeat(225)),
    ] {
        assert_eq!(
            refused::<CreateEndpoint>(&endpoint(bad)),
            "endpoint.url",
            "{bad}"
        );
    }
    assert!(read::<CreateRegion>(&json!({"region": {"id": ""}})).is_ok());
    assert_eq!(
        refused::<CreateRegion>(&json!({"region": {"id": "a/b"}})),
        "region.id"
    );
}

#[test]
fn an_array_of_its_members_is_no_object() {
    let auth = json!({"auth": [{"methods": ["password"]}]});
    assert_eq!(refused::<IssueToken>(&auth), "auth");
    let user = json!({"user": ["u1"]});
    let auth = json!({"auth": {"identity": {"methods": ["password"], "password": user}}});
    assert_eq!(refused::<IssueToken>(&auth), "auth.identity.password.user");
    let change = json!({"user": ["old", "new"]});
    assert_eq!(refused::<ChangePassword>(&change), "user");
    let cred = json!({"application_credential": [null, "robot"]});
    assert_eq!(refused::<CreateAppCred>(&cred), "application_credential");
    let cred = json!({"application_credential": {"name": "robot", "roles": [["r1"]]}});
    assert_eq!(
        refused::<CreateAppCred>(&cred),
        "application_credential.roles[0]"
    );
}
