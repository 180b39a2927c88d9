//! Names of servers that are made together.

use super::*;
use crate::compute::server::fixture::{planned, server_id};

#[test]
fn a_host_name_is_what_is_left_of_the_name() {
    let cases = [
        ("web", Some("web")),
        ("Web 1", Some("web-1")),
        ("a_b.c", Some("a-b-c")),
        ("café", Some("caf")),
        ("-x-", Some("x")),
        ("日本", None),
    ];
    for (name, expected) in cases {
        assert_eq!(sanitized(name).as_deref(), expected, "{name}");
    }
    assert_eq!(sanitized(&"x".repeat(100)).unwrap().len(), LABEL_LENGTH_MAX);
}

#[test]
fn several_servers_are_numbered() {
    let template = Server {
        name: "Web".to_owned(),
        ..planned(0)
    };
    let one = named(&template, &server_id(1), 0, 1);
    assert_eq!(
        (one.name.as_str(), one.personal.hostname.as_str()),
        ("Web", "web")
    );
    let third = named(&template, &server_id(2), 2, 5);
    assert_eq!(
        (third.name.as_str(), third.personal.hostname.as_str()),
        ("Web-3", "web-3")
    );
    assert_eq!(third.launch_index, 2);
    let nameless = Server {
        name: "日本".to_owned(),
        ..planned(0)
    };
    let nameless = named(&nameless, &server_id(3), 0, 1);
    assert_eq!(
        nameless.personal.hostname,
        format!("Server-{}", server_id(3))
    );
}
