//! The members of each rung, against recorded answers of Nova.

use std::collections::BTreeSet;

use luc_api::Microversion;
use serde_json::{Value, json};

use super::*;
use crate::compute::model::server::{Address, Fault, Server};
use crate::compute::server::fixture::{NOON, active, planned};
use crate::compute::server::state::VmState;

fn shown(server: &Server, minor: u16, occasion: Occasion, is_admin: bool) -> Value {
    let frame = Frame::plain(Microversion::new(2, minor), occasion, is_admin);
    let view = ServerView {
        shown: Shown::live(server),
        frame: &frame,
        admin_pass: None,
    };
    serde_json::to_value(&view).unwrap()
}

fn members(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn added(occasion: Occasion, is_admin: bool) -> Vec<(u16, Vec<String>)> {
    let mut ladder = Vec::new();
    let mut before = shown(&active(1), 1, occasion, is_admin);
    for minor in 2..=79 {
        let now = shown(&active(1), minor, occasion, is_admin);
        let new: Vec<String> = members(&now)
            .difference(&members(&before))
            .map(|name| (*name).to_owned())
            .collect();
        assert!(
            members(&before).is_subset(&members(&now)),
            "something is gone at 2.{minor}"
        );
        if !new.is_empty() {
            ladder.push((minor, new));
        }
        before = now;
    }
    ladder
}

/// The members of Nova's recorded answer to GET at 2.1, for an administrator. Security groups are
/// those of ports, and there are none.
const AT_2_1: [&str; 28] = [
    "OS-DCF:diskConfig",
    "OS-EXT-AZ:availability_zone",
    "OS-EXT-SRV-ATTR:host",
    "OS-EXT-SRV-ATTR:hypervisor_hostname",
    "OS-EXT-SRV-ATTR:instance_name",
    "OS-EXT-STS:power_state",
    "OS-EXT-STS:task_state",
    "OS-EXT-STS:vm_state",
    "OS-SRV-USG:launched_at",
    "OS-SRV-USG:terminated_at",
    "accessIPv4",
    "accessIPv6",
    "addresses",
    "config_drive",
    "created",
    "flavor",
    "hostId",
    "id",
    "image",
    "key_name",
    "links",
    "metadata",
    "name",
    "os-extended-volumes:volumes_attached",
    "progress",
    "status",
    "tenant_id",
    "updated",
];

#[test]
fn the_first_rung_has_the_recorded_members() {
    let expected: BTreeSet<&str> = AT_2_1.into_iter().chain(["user_id"]).collect();
    assert_eq!(
        members(&shown(&active(1), 1, Occasion::Show, true)),
        expected
    );
    let mine = shown(&active(1), 1, Occasion::Show, false);
    let hidden: BTreeSet<&str> = expected.difference(&members(&mine)).copied().collect();
    assert!(
        hidden
            .iter()
            .all(|name| name.starts_with("OS-EXT-SRV-ATTR:")),
        "{hidden:?}"
    );
    assert_eq!(hidden.len(), 3);
}

#[test]
fn members_come_with_their_rungs() {
    let names = |ladder: Vec<(u16, Vec<String>)>| {
        ladder
            .into_iter()
            .flat_map(|(minor, names)| names.into_iter().map(move |name| (minor, name)))
            .map(|(minor, name)| format!("{minor} {name}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(added(Occasion::Show, true)),
        [
            "3 OS-EXT-SRV-ATTR:hostname",
            "3 OS-EXT-SRV-ATTR:kernel_id",
            "3 OS-EXT-SRV-ATTR:launch_index",
            "3 OS-EXT-SRV-ATTR:ramdisk_id",
            "3 OS-EXT-SRV-ATTR:reservation_id",
            "3 OS-EXT-SRV-ATTR:root_device_name",
            "3 OS-EXT-SRV-ATTR:user_data",
            "9 locked",
            "16 host_status",
            "19 description",
            "26 tags",
            "63 trusted_image_certificates",
            "71 server_groups",
            "73 locked_reason",
        ]
    );
    assert_eq!(
        names(added(Occasion::List, false)),
        [
            "9 locked",
            "19 description",
            "26 tags",
            "63 trusted_image_certificates",
            "73 locked_reason",
        ]
    );
}

#[test]
fn the_flavor_is_linked_until_2_46_and_embedded_from_2_47_on() {
    let linked = &shown(&active(1), 46, Occasion::Show, true)["flavor"];
    assert_eq!(linked["id"], "1");
    assert_eq!(linked["links"][0]["href"], "http://cloud/compute/flavors/1");
    let embedded = &shown(&active(1), 47, Occasion::Show, true)["flavor"];
    assert_eq!(
        *embedded,
        json!({
            "vcpus": 1, "ram": 512, "disk": 1, "ephemeral": 0, "swap": 0,
            "original_name": "m1.tiny", "extra_specs": {},
        })
    );
    let mine = &shown(&active(1), 47, Occasion::Show, false)["flavor"];
    assert!(
        mine.get("extra_specs").is_none(),
        "extra specs are a right of their own"
    );
}

#[test]
fn a_change_answers_with_everything_from_2_75_on() {
    for occasion in [Occasion::Update, Occasion::Rebuild] {
        let before = shown(&active(1), 74, occasion, true);
        assert!(before.get("OS-EXT-STS:vm_state").is_none());
        assert!(before.get("host_status").is_none());
        assert_eq!(before["tags"], json!([]));
        let after = shown(&active(1), 75, occasion, true);
        let whole = shown(&active(1), 75, Occasion::Show, true);
        let only_shown: Vec<&str> = members(&whole)
            .difference(&members(&after))
            .copied()
            .collect();
        let expected: &[&str] = match occasion {
            Occasion::Rebuild => &["OS-EXT-SRV-ATTR:user_data"],
            _ => &[],
        };
        assert_eq!(only_shown, expected, "{occasion:?}");
    }
    assert!(
        shown(&active(1), 53, Occasion::Rebuild, true)
            .get("key_name")
            .is_none()
    );
    assert_eq!(
        shown(&active(1), 54, Occasion::Rebuild, true)["key_name"],
        Value::Null
    );
    assert!(
        shown(&active(1), 56, Occasion::Rebuild, true)
            .get("user_data")
            .is_none()
    );
    assert_eq!(
        shown(&active(1), 57, Occasion::Rebuild, true)["user_data"],
        Value::Null
    );
}

#[test]
fn a_fault_is_shown_in_error_and_its_details_to_administrators() {
    let fault = Fault {
        code: 500,
        message: "No valid host was found.".to_owned(),
        details: Some("because".to_owned()),
        created_at: NOON,
    };
    let broken = Server {
        vm_state: VmState::Error,
        fault: Some(fault),
        ..active(1)
    };
    let mine = shown(&broken, 1, Occasion::Show, false);
    assert_eq!(
        mine["fault"],
        json!({
            "code": 500, "created": "2026-11-22T12:00:00Z", "message": "No valid host was found.",
        })
    );
    assert_eq!(
        shown(&broken, 1, Occasion::Show, true)["fault"]["details"],
        "because"
    );
    let well = Server {
        vm_state: VmState::Active,
        ..broken
    };
    assert!(shown(&well, 1, Occasion::Show, true).get("fault").is_none());
}

#[test]
fn addresses_are_hidden_while_a_server_is_built() {
    let address = Address {
        network: "user".to_owned(),
        address: "10.0.2.15".parse().unwrap(),
        mac: "52:54:00:12:34:56".to_owned(),
    };
    let server = Server {
        addresses: vec![address],
        ..active(1)
    };
    assert_eq!(
        shown(&server, 1, Occasion::Show, false)["addresses"],
        json!({"user": [{
            "version": 4, "addr": "10.0.2.15", "OS-EXT-IPS:type": "fixed",
            "OS-EXT-IPS-MAC:mac_addr": "52:54:00:12:34:56",
        }]})
    );
    let building = Server {
        vm_state: VmState::Building,
        ..server
    };
    assert_eq!(
        shown(&building, 1, Occasion::Show, false)["addresses"],
        json!({})
    );
}

#[test]
fn a_host_is_known_to_users_by_a_hash_only() {
    let server = shown(&active(1), 1, Occasion::Show, false);
    let hash = "sha224 of p1 and n1";
    assert_eq!(server["hostId"], host_id("p1", "n1"), "{hash}");
    assert_eq!(server["hostId"].as_str().unwrap().len(), 56);
    assert_eq!(shown(&planned(1), 1, Occasion::Show, false)["hostId"], "");
    // As Nova computed it for a recorded answer.
    assert_eq!(
        host_id("395828adffe64ca2a2532f9fd979891c", "c3"),
        "1968a336975bea862ee193a2e9e34d25bd729c7701fbaa8483341f85"
    );
}
