//! Makes good requests bad in every way we can think of, and judges the answers.
//!
//! Before each request of a story is told, its bad versions are sent to the same cloud. Each must
//! be refused with a 4xx in the service's fault form and leave the store at the same revision.
//! Some services accept more than their schema names (Keystone keeps unknown members, Glance makes
//! them properties): a mutation that is *accepted* is fine only where the endpoint's own parser
//! ([`luc_api::endpoint::Body::Json`]) accepts it too, and then the story is told anew up to here.

use http::StatusCode;
use luc_api::endpoint::Body;
use luc_api::{Service, endpoint};
use serde_json::{Value, json};

use crate::script::{Script, Step};
use crate::world::{Sent, World};

/// What an attack found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How many bad requests were sent.
    pub(crate) tried: usize,
    /// Those that were not refused properly.
    pub(crate) failures: Vec<String>,
}

/// One bad version of a request.
struct Bad {
    what: String,
    sent: Sent,
    /// A body that the endpoint's own parser accepts is good after all.
    may_be_good: bool,
}

/// Attacks every request of `script`.
pub(crate) async fn attack(script: &Script) -> Outcome {
    let mut outcome = Outcome::default();
    let mut world = World::new().await;
    for (index, step) in script.steps.iter().enumerate() {
        world.prepare(step).await;
        let good = world.compose(step);
        for bad in versions(&world, step, &good) {
            outcome.tried += 1;
            let revision = world.revision();
            let answer = world.send(bad.sent).await;
            let changed = world.revision() != revision;
            if let Some(failure) = judge(&good, &answer, changed, bad.may_be_good) {
                outcome.failures.push(format!(
                    "step {} {}: {}: {failure}",
                    index + 1,
                    step.request_line,
                    bad.what
                ));
            }
            if changed {
                world = replay(script, index).await;
            }
        }
        world.tell_prepared(step).await;
    }
    outcome
}

/// The same story told to a new cloud, up to and without step `until`, prepared for that step.
async fn replay(script: &Script, until: usize) -> World {
    let mut world = World::new().await;
    for step in &script.steps[..until] {
        world.tell(step).await;
    }
    world.prepare(&script.steps[until]).await;
    world
}

fn judge(
    good: &Sent,
    answer: &(StatusCode, String, String),
    changed: bool,
    may_be_good: bool,
) -> Option<String> {
    let (status, content_type, body) = answer;
    if status.is_success() || status.is_redirection() {
        return (!may_be_good).then(|| format!("was accepted with {status}"));
    }
    if status.is_server_error() && status.as_u16() != 501 {
        return Some(format!("answered {status}: {body}"));
    }
    if changed {
        return Some(format!("answered {status} and yet changed something"));
    }
    if good.method == "HEAD" {
        return None;
    }
    let service = Service::of_path(&good.path)?;
    fault_form(service, *status, content_type, body)
}

/// Whether a fault has its service's form.
fn fault_form(service: Service, status: StatusCode, kind: &str, body: &str) -> Option<String> {
    let code = u64::from(status.as_u16());
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    let keystone = parsed["error"]["code"].as_u64() == Some(code)
        && parsed["error"]["message"].is_string()
        && parsed["error"]["title"].is_string();
    let fits = match service {
        _ if status == StatusCode::UNAUTHORIZED => keystone,
        Service::Identity => keystone,
        Service::Image => kind.starts_with("text/html") && body.contains(&code.to_string()),
        Service::Compute => parsed.as_object().is_some_and(|members| {
            members.len() == 1
                && members.values().all(|fault| {
                    fault["code"].as_u64() == Some(code) && fault["message"].is_string()
                })
        }),
    };
    (!fits).then(|| format!("{status} is not in {service:?}'s fault form: {body}"))
}

/// Every bad version of `good`.
fn versions(world: &World, step: &Step, good: &Sent) -> Vec<Bad> {
    let mut bad = Vec::new();
    let Some(row) = world.row_of(good) else {
        return bad;
    };
    if row.access != endpoint::Access::Public {
        bad.extend(tokens(world, good));
    }
    bad.extend(paths(good));
    let Body::Json(parses) = row.body else {
        return bad;
    };
    let text = good.body.clone().unwrap_or_default();
    let Ok(root) = serde_json::from_slice::<Value>(&text) else {
        return bad;
    };
    let version = World::version_of(good);
    let whole = |what: &str, body: Vec<u8>| Bad {
        what: what.to_owned(),
        sent: Sent {
            body: Some(body),
            ..good.clone()
        },
        may_be_good: false,
    };
    bad.push(whole("cut in half", text[..text.len() / 2].to_vec()));
    bad.push(whole("empty", Vec::new()));
    for other in ["null", "3", "\"text\"", "{}"] {
        let body = other.as_bytes().to_vec();
        let may_be_good = parses(&body, version).is_ok();
        bad.push(Bad {
            may_be_good,
            ..whole(other, body)
        });
    }
    let mut padded = text.clone();
    padded.resize(row.body_length_max + 1, b' ');
    bad.push(whole("one byte too long", padded));
    for (what, value) in members(&root) {
        let body = value.to_string().into_bytes();
        let may_be_good = parses(&body, version).is_ok();
        bad.push(Bad {
            may_be_good,
            ..whole(&what, body)
        });
    }
    let _ = step;
    bad
}

/// Without a token, with a changed one, with one that has ended.
fn tokens(world: &World, good: &Sent) -> Vec<Bad> {
    let with = |what: &str, token: Option<String>| Bad {
        what: what.to_owned(),
        sent: Sent {
            token,
            ..good.clone()
        },
        may_be_good: false,
    };
    let mut bad = vec![
        with("no token", None),
        with("garbage for a token", Some("gAAAAA".to_owned())),
        with("an ended token", Some(world.ended_token())),
    ];
    if let Some(token) = &good.token {
        let mut changed = token.clone().into_bytes();
        let middle = changed.len() / 2;
        changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
        bad.push(with("a changed token", String::from_utf8(changed).ok()));
    }
    bad
}

/// With ids in the path that are no ids, or nobody's.
fn paths(good: &Sent) -> Vec<Bad> {
    let mut bad = Vec::new();
    let (path, query) = good.path.split_once('?').unwrap_or((&good.path, ""));
    for (index, segment) in path.split('/').enumerate() {
        let hex = segment.bytes().filter(u8::is_ascii_hexdigit).count();
        if hex != 32 || segment.len() > 36 {
            continue;
        }
        for other in [
            "not-an-id",
            "00000000-0000-0000-0000-00000000dead",
            "%00",
            "%ff",
            "%2e%2e",
        ] {
            let segments: Vec<&str> = path
                .split('/')
                .enumerate()
                .map(|(at, kept)| if at == index { other } else { kept })
                .collect();
            let mut changed = segments.join("/");
            if !query.is_empty() {
                changed = format!("{changed}?{query}");
            }
            bad.push(Bad {
                what: format!("'{other}' for an id"),
                sent: Sent {
                    path: changed,
                    ..good.clone()
                },
                may_be_good: false,
            });
        }
    }
    bad
}

/// Every member with a value of another type, and every object with a member more.
fn members(root: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    pointers(root, "", &mut places);
    let mut changed = Vec::new();
    for place in places {
        let Some(original) = root.pointer(&place) else {
            continue;
        };
        let others = [
            json!(null),
            json!(true),
            json!(-7),
            json!(1.5),
            json!("\u{0}\u{7}"),
            json!(""),
            json!("x".repeat(70_000)),
            json!([]),
            json!([[1]]),
            json!({}),
            json!({"unknown": {}}),
        ];
        for other in others {
            if same_kind(&other, original) && !other.is_string() && !other.is_number() {
                continue;
            }
            let mut value = root.clone();
            let what = format!("{} for {place}", shortened(&other));
            if let Some(slot) = value.pointer_mut(&place) {
                *slot = other;
            }
            changed.push((what, value));
        }
        if original.is_object() {
            let mut value = root.clone();
            if let Some(slot) = value.pointer_mut(&place) {
                slot["an_unknown_member"] = json!("x");
            }
            changed.push((format!("an unknown member in {place}"), value));
        }
    }
    changed
}

fn pointers(value: &Value, at: &str, places: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (escaped(name), member))
            .collect(),
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .map(|(index, v)| (index.to_string(), v))
            .collect(),
        _ => Vec::new(),
    };
    places.push(at.to_owned());
    for (name, child) in children {
        pointers(child, &format!("{at}/{name}"), places);
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn same_kind(left: &Value, right: &Value) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right)
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    if text.len() > 30 {
        format!("{}… ({} bytes)", &text[..20], text.len())
    } else {
        text
    }
}
