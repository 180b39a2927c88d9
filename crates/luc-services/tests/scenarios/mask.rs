//! Replaces what differs from run to run by stable words: ids by their order of appearance,
//! secrets and signatures by what they are.

use std::collections::BTreeMap;

use serde_json::Value;

/// The ids seen so far in a story.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    ids: BTreeMap<String, usize>,
}

/// Members whose value is random by nature.
const SECRETS: [&str; 9] = [
    "secret",
    "private_key",
    "public_key",
    "fingerprint",
    "audit_ids",
    "adminPass",
    "request_id",
    "reservation_id",
    "OS-EXT-SRV-ATTR:reservation_id",
];

impl Mask {
    /// `text` with every id replaced by `<id-N>` and every long digest by `<digest-N>`.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut run = String::new();
        for character in text.chars().chain(['\0']) {
            if character.is_ascii_hexdigit() || character == '-' {
                run.push(character);
                continue;
            }
            masked.push_str(&self.run(&run));
            run.clear();
            if character != '\0' {
                masked.push(character);
            }
        }
        masked
    }

    fn run(&mut self, run: &str) -> String {
        let bare = run.trim_matches('-');
        let digits: String = bare.chars().filter(|character| *character != '-').collect();
        let kind = match (bare.len(), digits.len()) {
            (32 | 36, 32) => "id",
            (56, 56) => "digest",
            _ => return run.to_owned(),
        };
        // Ids that a scenario chose itself are shown as they are.
        if digits.bytes().all(|byte| byte == digits.as_bytes()[0]) || digits.contains("00000000") {
            return run.to_owned();
        }
        let next = self.ids.len() + 1;
        let number = *self.ids.entry(digits).or_insert(next);
        run.replace(bare, &format!("<{kind}-{number}>"))
    }

    /// The JSON in `text`, pretty, with secrets and ids masked; other text is masked as it is.
    pub(crate) fn body(&mut self, text: &str) -> String {
        match serde_json::from_str::<Value>(text) {
            Ok(mut value) => {
                hide(&mut value);
                let pretty = serde_json::to_string_pretty(&value).unwrap_or_default();
                self.text(&pretty)
            }
            Err(_) => self.text(text),
        }
    }
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                let random = SECRETS.contains(&name.as_str());
                match member {
                    Value::String(_) if random => *member = Value::from(format!("<{name}>")),
                    Value::Array(elements) if random => {
                        *member = Value::from(format!("<{} {name}>", elements.len()));
                    }
                    other => hide(other),
                }
            }
        }
        // What hypervisors call a server is made from its id.
        Value::String(text) if text.len() == 17 && text.starts_with("instance-") => {
            "<instance name>".clone_into(text);
        }
        Value::Array(elements) => elements.iter_mut().for_each(hide),
        _ => {}
    }
}

#[test]
fn ids_are_numbered_in_order_of_appearance() {
    let mut mask = Mask::default();
    let text = "/a/df98623c-6501-4517-810f-66a5356ecd2d df98623c65014517810f66a5356ecd2d x 2026-11";
    assert_eq!(mask.text(text), "/a/<id-1> <id-1> x 2026-11");
}

#[test]
fn secrets_are_hidden() {
    let shown = Mask::default().body(r#"{"a": {"secret": "s", "audit_ids": ["x"]}}"#);
    assert!(
        shown.contains("<secret>") && shown.contains("<1 audit_ids>"),
        "{shown}"
    );
}
