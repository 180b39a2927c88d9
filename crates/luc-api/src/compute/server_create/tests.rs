//! What holds for the body that creates servers, rung by rung.

use serde_json::{Value, json};

use super::*;
use crate::body::parse;

const IMAGE: &str = "e2855334-f19e-461d-a1eb-a318686aa4c2";

fn create(minor: u16, change: impl FnOnce(&mut Value)) -> Result<CreateServer, String> {
    let mut server = json!({"name": "web", "flavorRef": "1", "imageRef": IMAGE});
    if minor >= 37 {
        server["networks"] = json!("none");
    }
    change(&mut server);
    let body = json!({"server": server}).to_string();
    parse(body.as_bytes(), Microversion::new(2, minor)).map_err(|error| error.to_string())
}

#[test]
fn the_smallest_request_of_each_rung_is_accepted() {
    for minor in 1..=79 {
        assert!(create(minor, |_| {}).is_ok(), "2.{minor}");
    }
}

#[test]
fn networks_are_required_from_2_37_on() {
    let error = create(37, |server| {
        drop(server.as_object_mut().unwrap().remove("networks"));
    });
    assert!(
        error
            .unwrap_err()
            .contains("'networks' is a required property")
    );
    let error = create(36, |server| server["networks"] = json!("auto")).unwrap_err();
    assert!(error.contains("server.networks"), "{error}");
    assert!(create(37, |server| server["networks"] = json!("some")).is_err());
}

#[test]
fn members_exist_only_on_their_rungs() {
    let rungs: [(&str, Value, u16, u16); 6] = [
        ("description", json!("d"), 19, 79),
        ("tags", json!(["a"]), 52, 79),
        ("personality", json!([]), 1, 56),
        ("trusted_image_certificates", json!(["x"]), 63, 79),
        ("host", json!("n1"), 74, 79),
        ("hypervisor_hostname", json!("n1"), 74, 79),
    ];
    for (name, value, first, last) in rungs {
        for minor in 1..=79 {
            let outcome = create(minor, |server| server[name] = value.clone());
            let expected = (first..=last).contains(&minor);
            assert_eq!(
                outcome.is_ok(),
                expected,
                "{name} at 2.{minor}: {outcome:?}"
            );
        }
    }
}

#[test]
fn device_tags_came_went_and_came_back() {
    let network = json!([{"uuid": IMAGE, "tag": "nic"}]);
    let device = json!([{"source_type": "image", "uuid": IMAGE, "tag": "disk"}]);
    for minor in 1..=79 {
        let outcome = create(minor, |server| server["networks"] = network.clone());
        let expected = (32..=36).contains(&minor) || minor >= 42;
        assert_eq!(outcome.is_ok(), expected, "network tag at 2.{minor}");
        let outcome = create(minor, |server| {
            server["block_device_mapping_v2"] = device.clone();
        });
        assert_eq!(
            outcome.is_ok(),
            minor == 32 || minor >= 42,
            "disk tag at 2.{minor}"
        );
    }
}

#[test]
fn a_wrong_member_is_named_with_its_path() {
    let cases: [(&str, Value, &str); 10] = [
        ("name", json!(""), "server.name"),
        ("name", json!(null), "server.name"),
        ("imageRef", json!("not-a-uuid"), "server.imageRef"),
        ("flavorRef", json!({}), "server.flavorRef"),
        ("min_count", json!("0"), "server.min_count"),
        ("max_count", json!(-1), "server.max_count"),
        ("metadata", json!({"k": 1}), "server.metadata.k"),
        ("accessIPv4", json!("1.2.3"), "server.accessIPv4"),
        ("config_drive", json!(3), "server.config_drive"),
        ("networks", json!([{"uuid": "x"}]), "server.networks.0.uuid"),
    ];
    for (name, value, field) in cases {
        let error = create(79, |server| server[name] = value).unwrap_err();
        assert!(
            error.contains(&format!("{field}.")) || error.contains(field),
            "{error}"
        );
    }
    let error = create(79, |server| server["flavour"] = json!("1")).unwrap_err();
    assert!(error.contains("'flavour' was unexpected"), "{error}");
}

#[test]
fn hints_are_read_and_strange_ones_ignored() {
    let body = json!({
        "server": {"name": "web", "flavorRef": 1, "imageRef": IMAGE},
        "OS-SCH-HNT:scheduler_hints": {"different_host": IMAGE, "luck": {"much": true}},
    });
    let version = Microversion::new(2, 1);
    let parsed: CreateServer = parse(body.to_string().as_bytes(), version).unwrap();
    let hints = parsed.scheduler_hints().unwrap();
    assert_eq!(
        hints
            .different_host
            .as_ref()
            .unwrap()
            .iter()
            .collect::<Vec<_>>(),
        [IMAGE]
    );
    let mut body = body;
    body["os:scheduler_hints"] = json!({"group": "x"});
    let error = parse::<CreateServer>(body.to_string().as_bytes(), version).unwrap_err();
    assert!(
        error.to_string().contains("os:scheduler_hints.group"),
        "{error}"
    );
}

#[test]
fn what_the_stock_client_sends_is_accepted() {
    let parsed = create(79, |server| {
        server["min_count"] = json!(1);
        server["max_count"] = json!(1);
        server["networks"] = json!("auto");
        server["block_device_mapping_v2"] = json!([{
            "uuid": IMAGE, "boot_index": 0, "source_type": "image", "destination_type": "local",
            "delete_on_termination": true,
        }]);
    });
    let device = &parsed.unwrap().server.block_device_mapping_v2[0];
    assert_eq!(device.source_type, Some(SourceType::Image));
    assert_eq!(device.boot_index, Some(LooseInt(0)));
}
