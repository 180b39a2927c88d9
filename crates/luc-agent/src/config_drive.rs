//! The config drive: what a guest reads about itself before it has a network.
//!
//! OpenStack's format (label `config-2`, `openstack/latest/…`), as Nova makes it, which cloud-init,
//! cloudbase-init, Ignition and afterburn read. Beside it the two NoCloud files `meta-data` and
//! `user-data`, whose lines a shell can read without a JSON parser; cloud-init ignores them there,
//! since a NoCloud drive has another label.
//! Source: Nova, `nova/api/metadata/base.py` and `doc/source/user/metadata.rst`.

use std::fmt::Write as _;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::desired::DesiredServer;
use crate::iso9660::{self, IsoError};
use crate::network;

/// The label that guests look for.
pub const LABEL: &str = "config-2";

/// The drive for `server`; `seed` are random bytes for the guest's own generator.
pub(crate) fn image(server: &DesiredServer, seed: &[u8]) -> Result<Vec<u8>, IsoError> {
    let pretty = |value: Value| format!("{value:#}\n").into_bytes();
    let mut files = vec![
        (
            "openstack/latest/meta_data.json",
            pretty(meta_data(server, seed)),
        ),
        (
            "openstack/latest/network_data.json",
            pretty(network_data(server)),
        ),
        ("openstack/latest/vendor_data.json", b"{}\n".to_vec()),
        ("openstack/latest/vendor_data2.json", b"{}\n".to_vec()),
        ("meta-data", no_cloud_meta_data(server).into_bytes()),
    ];
    if let Some(user_data) = &server.boot.user_data {
        files.push(("openstack/latest/user_data", user_data.clone()));
        files.push(("user-data", user_data.clone()));
    }
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(path, bytes)| (*path, bytes.as_slice()))
        .collect();
    iso9660::write(LABEL, &files)
}

fn meta_data(server: &DesiredServer, seed: &[u8]) -> Value {
    let boot = &server.boot;
    let mut data = Map::new();
    data.insert("uuid".into(), json!(server.id));
    data.insert("name".into(), json!(server.name));
    data.insert("hostname".into(), json!(boot.hostname));
    data.insert("availability_zone".into(), json!(boot.availability_zone));
    data.insert("launch_index".into(), json!(boot.launch_index));
    data.insert("project_id".into(), json!(server.project));
    data.insert("devices".into(), json!([]));
    let seed = base64::engine::general_purpose::STANDARD.encode(seed);
    data.insert("random_seed".into(), json!(seed));
    if !boot.metadata.is_empty() {
        data.insert("meta".into(), json!(boot.metadata));
    }
    if !boot.keys.is_empty() {
        let keys: Vec<Value> = boot
            .keys
            .iter()
            .map(|key| json!({"name": key.name, "type": "ssh", "data": key.key}))
            .collect();
        let public_keys: Map<String, Value> = boot
            .keys
            .iter()
            .map(|key| (key.name.clone(), json!(key.key)))
            .collect();
        data.insert("keys".into(), Value::Array(keys));
        data.insert("public_keys".into(), Value::Object(public_keys));
    }
    if let Some(password) = &boot.admin_password {
        data.insert("admin_pass".into(), json!(password.reveal()));
    }
    Value::Object(data)
}

fn network_data(server: &DesiredServer) -> Value {
    let Some(mac) = network::mac_address(&server.nic, &server.id) else {
        return json!({"links": [], "networks": [], "services": []});
    };
    json!({
        "links": [{
            "id": "tap0",
            "vif_id": server.id,
            "type": "phy",
            "mtu": 1500,
            "ethernet_mac_address": mac,
        }],
        "networks": [{
            "id": "network0",
            "type": "ipv4_dhcp",
            "link": "tap0",
            "network_id": "user-mode",
        }],
        "services": [{"type": "dns", "address": "10.0.2.3"}],
    })
}

/// YAML, of which quoted JSON strings are a part.
fn no_cloud_meta_data(server: &DesiredServer) -> String {
    let mut text = format!(
        "instance-id: {}\nlocal-hostname: {}\n",
        json!(server.id),
        json!(server.boot.hostname)
    );
    if !server.boot.keys.is_empty() {
        text.push_str("public-keys:\n");
        for key in &server.boot.keys {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "- {}", json!(key.key.trim()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Nic, PublicKey, Secret};
    use crate::testing;

    fn server() -> DesiredServer {
        let mut server = testing::server("8d0c4a5e-0000-8000-8000-000000000001");
        server.boot.hostname = "web-1".into();
        server
            .boot
            .metadata
            .insert("role".into(), "web \"1\"\n".into());
        server.boot.keys = vec![PublicKey {
            name: "mine".into(),
            key: "ssh-ed25519 AAAA me\n".into(),
        }];
        server.boot.admin_password = Some(Secret::new("s3cret"));
        server.nic = Nic::UserMode {
            mac: None,
            forward: vec![22],
        };
        server
    }

    #[test]
    fn meta_data_has_what_nova_puts_there() {
        let data = meta_data(&server(), b"seed");
        assert_eq!(data["uuid"], "8d0c4a5e-0000-8000-8000-000000000001");
        assert_eq!(data["hostname"], "web-1");
        assert_eq!(data["meta"]["role"], "web \"1\"\n");
        assert_eq!(data["public_keys"]["mine"], "ssh-ed25519 AAAA me\n");
        assert_eq!(data["keys"][0]["type"], "ssh");
        assert_eq!(data["admin_pass"], "s3cret");
        assert_eq!(data["random_seed"], "c2VlZA==");
    }

    #[test]
    fn a_server_without_keys_or_metadata_has_no_such_fields() {
        let data = meta_data(&testing::server("s"), b"");
        for absent in ["keys", "public_keys", "meta", "admin_pass"] {
            assert_eq!(data.get(absent), None);
        }
        assert_eq!(network_data(&testing::server("s"))["links"], json!([]));
    }

    #[test]
    fn the_network_names_the_hardware_address_of_the_nic() {
        let data = network_data(&server());
        let mac = network::mac_address(&server().nic, &server().id).unwrap();
        assert_eq!(data["links"][0]["ethernet_mac_address"], mac);
        assert_eq!(data["networks"][0]["link"], data["links"][0]["id"]);
    }

    #[test]
    fn a_name_cannot_break_out_of_its_line() {
        let mut server = server();
        server.boot.hostname = "a\nmalicious: \"yes\"".into();
        let text = no_cloud_meta_data(&server);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(
            text.contains(r#"local-hostname: "a\nmalicious: \"yes\"""#),
            "{text}"
        );
    }

    #[test]
    fn user_data_is_on_the_drive_byte_by_byte() {
        let mut server = server();
        let bytes: Vec<u8> = (0..=255).cycle().take(9000).collect();
        server.boot.user_data = Some(bytes.clone());
        let image = image(&server, b"seed").unwrap();
        let at = |needle: &[u8]| image.windows(needle.len()).any(|window| window == needle);
        assert!(at(&bytes));
        assert!(at(b"user_data"));
        assert!(!at(b"PermissionDenied"), "the search finds anything");
    }
}
