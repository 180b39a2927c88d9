//! What holds for the bodies of actions.

use serde_json::{Value, json};

use super::*;
use crate::body::parse;

fn accepts<T: RequestBody>(minor: u16, body: &Value) -> bool {
    parse::<T>(body.to_string().as_bytes(), Microversion::new(2, minor)).is_ok()
}

#[test]
fn a_plain_action_takes_any_value_and_no_neighbour() {
    for value in [json!(null), json!({}), json!("now")] {
        assert!(accepts::<Start>(1, &json!({"os-start": value})));
    }
    assert!(!accepts::<Start>(
        1,
        &json!({"os-start": null, "os-stop": null})
    ));
    assert!(!accepts::<Start>(1, &json!({})));
}

#[test]
fn a_reboot_is_soft_or_hard() {
    for word in ["SOFT", "Hard", "soft"] {
        assert!(
            accepts::<Reboot>(1, &json!({"reboot": {"type": word}})),
            "{word}"
        );
    }
    for bad in [json!({"type": "warm"}), json!({}), json!(null)] {
        assert!(!accepts::<Reboot>(1, &json!({"reboot": bad})), "{bad}");
    }
}

#[test]
fn a_lock_has_a_reason_from_2_73_on() {
    let reason = json!({"lock": {"locked_reason": "maintenance"}});
    let parsed = parse::<Lock>(reason.to_string().as_bytes(), Microversion::new(2, 73)).unwrap();
    assert_eq!(parsed.reason(), Some("maintenance"));
    assert!(accepts::<Lock>(72, &json!({"lock": "anything"})));
    assert!(!accepts::<Lock>(73, &json!({"lock": "anything"})));
    assert!(!accepts::<Lock>(
        73,
        &json!({"lock": {"locked_reason": ""}})
    ));
    assert!(!accepts::<Lock>(73, &json!({"lock": {"why": "x"}})));
}

#[test]
fn the_console_is_asked_for_in_lines() {
    let lines = |length: Value| {
        let body = json!({"os-getConsoleOutput": {"length": length}}).to_string();
        parse::<GetConsoleOutput>(body.as_bytes(), Microversion::new(2, 1))
            .map(|parsed| parsed.get.lines())
            .ok()
    };
    assert_eq!(lines(json!("50")), Some(Some(50)));
    assert_eq!(lines(json!(-1)), Some(None));
    assert_eq!(lines(json!(null)), Some(None));
    assert_eq!(lines(json!(-2)), None);
    assert_eq!(lines(json!([])), None);
}

#[test]
fn moves_follow_their_rungs() {
    let live = |extra: Value| {
        let mut body = json!({"os-migrateLive": {"host": null, "block_migration": "auto"}});
        for (name, value) in extra.as_object().unwrap() {
            body["os-migrateLive"][name] = value.clone();
        }
        body
    };
    assert!(accepts::<MigrateLive>(25, &live(json!({}))));
    assert!(!accepts::<MigrateLive>(
        24,
        &live(json!({"disk_over_commit": false}))
    ));
    let old = live(json!({"disk_over_commit": false, "block_migration": false}));
    assert!(accepts::<MigrateLive>(24, &old));
    assert!(!accepts::<MigrateLive>(29, &live(json!({"force": true}))));
    assert!(accepts::<MigrateLive>(30, &live(json!({"force": true}))));
    assert!(!accepts::<Evacuate>(13, &json!({"evacuate": {}})));
    assert!(accepts::<Evacuate>(14, &json!({"evacuate": {}})));
    assert!(accepts::<Migrate>(55, &json!({"migrate": 3})));
    assert!(!accepts::<Migrate>(56, &json!({"migrate": 3})));
}
