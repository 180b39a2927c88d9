//! The language: what each form means, and what is refused with which words.

use super::super::{Attributes, Check, Credentials, ExpressionError, parse, parse_lists};
use super::{caller, holds};

#[test]
fn each_form_means_what_oslo_policy_documents() {
    let target = Attributes::new()
        .with("project_id", "p1")
        .with("target.user.domain_id", "d1")
        .with("visibility", "public")
        .with("enabled", true)
        .with("target.role.domain_id", None);
    let member = caller(&["Member", "reader"]);
    let cases = [
        ("", true),
        ("@", true),
        ("!", false),
        ("role:member", true),
        ("role:MEMBER", true),
        ("role:memb", false),
        ("roles:reader", true),
        ("roles:member", false),
        ("project_id:%(project_id)s", true),
        ("project_id:p1", true),
        ("project_id:p%(project_id)s", false),
        ("user_id:%(user_id)s", false),
        ("not user_id:%(user_id)s", true),
        ("user_domain_id:%(target.user.domain_id)s", true),
        ("'public':%(visibility)s", true),
        ("\"shared\":%(visibility)s", false),
        ("True:%(enabled)s", true),
        ("None:%(target.role.domain_id)s", true),
        ("None:%(target.group.domain_id)s", false),
        ("domain_id:None", true),
        ("token.domain.id:None", false),
        ("token.project.domain.id:d1", true),
        ("system_scope:all", false),
        ("is_admin:True", false),
        ("is_admin:False", false),
        ("! or @ and !", false),
        ("@ or ! and !", true),
        ("(@ or !) and !", false),
        ("not ! and !", false),
        ("not (! and !)", true),
        ("NOT @ OR @", true),
        ("rule:absent", false),
    ];
    for (text, expected) in cases {
        assert_eq!(holds(text, &member, &target), expected, "{text}");
    }
}

#[test]
fn is_admin_is_what_the_service_decided() {
    let mut caller = caller(&["reader"]);
    caller.is_admin = Some(true);
    assert!(holds("is_admin:True", &caller, &Attributes::new()));
    assert!(!holds("is_admin:1", &caller, &Attributes::new()));
    assert!(!holds("is_admin:False", &caller, &Attributes::new()));
}

#[test]
fn a_caller_without_a_project_matches_a_target_without_one_only_by_the_word_none() {
    let nobody = Credentials::default();
    let target = Attributes::new().with("project_id", None);
    assert!(holds("project_id:%(project_id)s", &nobody, &target));
    assert!(holds("project_id:None", &nobody, &target));
    assert!(!holds(
        "project_id:%(project_id)s",
        &nobody,
        &Attributes::new()
    ));
}

#[test]
fn lists_of_lists_are_or_of_and() {
    let lists = |lists: &[&[&str]]| {
        let owned: Vec<Vec<String>> = lists
            .iter()
            .map(|list| list.iter().map(|text| (*text).to_owned()).collect())
            .collect();
        parse_lists(&owned)
    };
    assert_eq!(lists(&[]), Ok(Check::Always));
    assert_eq!(lists(&[&[]]), Ok(Check::Never));
    assert_eq!(lists(&[&["role:a"]]), parse("role:a"));
    assert_eq!(
        lists(&[&["role:a", "user_id:u"], &[], &["@"]]),
        parse("(role:a and user_id:u) or @")
    );
    assert!(lists(&[&["role:a or role:b", "nonsense"]]).is_err());
}

#[test]
fn broken_expressions_are_refused_with_the_place_and_the_reason() {
    let cases = [
        (
            "  ",
            "it holds only white space; write \"\" to allow everybody or \"!\" to allow nobody",
        ),
        ("role:a and", "a check is missing at the end, after `and`"),
        ("role:a or (", "a check is missing at the end, after `(`"),
        ("role:a role:b", "`role:b` is not possible here"),
        ("and role:a", "`and` is not possible here"),
        ("role:a)", "`)` is not possible here"),
        ("(role:a", "a parenthesis is not closed"),
        ("(role:a role:b)", "`role:b` is not possible here"),
        ("()", "`)` is not possible here"),
        (
            "admin",
            "`admin` is not a check: a check has the form `kind:match`, `@` or `!`",
        ),
        (
            "'a:b'",
            "`'a:b'` is not a check: a check has the form `kind:match`, `@` or `!`",
        ),
        ("role:", "nothing follows the colon of `role:`"),
        ("user_id:%(user_id)", "in `%(user_id`, `%(` is not closed"),
        (
            "user_id:%(user_id)d",
            "in `%(user_id)d`, only the form `%(attribute)s` is understood",
        ),
        (
            "user_id:50%",
            "in `50%`, `%` must be followed by `(attribute)s`, or doubled",
        ),
        (
            "user_id:%()s",
            "in `%()s`, `%(…)s` must hold the plain name of an attribute",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn an_unknown_kind_is_refused_with_the_known_ones() {
    for kind in [
        "usr_id", "http", "field", "'it's'", "1.5", "007", "(1,2)", "Role", "b'x'",
    ] {
        let error = parse(&format!("{kind}:x")).unwrap_err();
        let ExpressionError::UnknownKind { .. } = &error else {
            panic!("{kind}: {error}")
        };
        let text = error.to_string();
        assert!(
            text.contains("known are role, rule") && text.contains("token.domain.id"),
            "{text}"
        );
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}@{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(parse(&nested(64)), Ok(Check::Always));
    assert_eq!(parse(&nested(65)), Err(ExpressionError::TooDeep));
    assert_eq!(
        parse(&"not ".repeat(100_000)),
        Err(ExpressionError::TooDeep)
    );
    assert_eq!(parse(&"(".repeat(1_000_000)), Err(ExpressionError::TooDeep));
}
