//! Properties of the parser over generated input.

use proptest::prelude::*;

use super::super::{Check, Literal, Policy, parse};

/// A right side that the text form can carry: no blanks, no parentheses at the end.
fn matched() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_:.%]{0,8}".prop_map(|text| text.replace('%', "%%")),
        "%\\([a-z_][a-z._]{0,12}\\)s",
        "[a-z]{1,3}%\\([a-z.]{1,5}\\)s[a-z]{0,2}%%%\\([a-z.]{1,5}\\)s",
    ]
}

fn leaf() -> impl Strategy<Value = Check> {
    let attribute = prop_oneof![
        Just("user_id"),
        Just("domain_id"),
        Just("token.project.domain.id"),
        Just("system_scope"),
        Just("role"),
        Just("rule"),
    ];
    let literal = prop_oneof![
        "[a-z .'(]{0,6}".prop_map(|text| Literal::Text(text.replace([' ', '('], "-").into())),
        "[a-z\"]{0,6}".prop_map(|text| Literal::Text(text.into())),
        any::<i64>().prop_map(|number| Literal::Bare(number.to_string().into())),
        prop_oneof![Just("None"), Just("True"), Just("False")]
            .prop_map(|word| Literal::Bare(word.into())),
    ];
    prop_oneof![
        Just(Check::Always),
        Just(Check::Never),
        (attribute, matched()).prop_map(|(kind, text)| parse(&format!("{kind}:{text}")).unwrap()),
        (literal, matched()).prop_map(|(literal, text)| {
            let Ok(Check::Role(expected)) = parse(&format!("role:{text}")) else {
                panic!("{text}")
            };
            Check::Literal { literal, expected }
        }),
    ]
}

fn tree() -> impl Strategy<Value = Check> {
    leaf().prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|check| Check::Not(Box::new(check))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Check::All),
            proptest::collection::vec(inner, 2..4).prop_map(Check::Any),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same_tree(check in tree()) {
        let text = check.to_string();
        prop_assert_eq!(parse(&text), Ok(check), "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_words_of_the_language_make_the_parser_panic(
        words in proptest::collection::vec(
            prop_oneof![
                Just("("), Just(")"), Just(" and "), Just(" or "), Just(" not "), Just("role:a"),
                Just("'x':%(y)s"), Just("%"), Just(":"), Just("\""), Just("@"), Just("!"),
                Just(" "),
            ],
            0..40,
        )
    ) {
        if let Ok(check) = parse(&words.concat()) {
            prop_assert_eq!(parse(&check.to_string()), Ok(check));
        }
    }

    #[test]
    fn no_policy_file_makes_the_reader_panic(text in "[a-z_:!@&*\\[\\]{}'\"#,\\-\n >|%()]{0,80}") {
        let _ = Policy::with_overrides(&text);
    }
}
