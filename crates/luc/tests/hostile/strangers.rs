//! Whoever has no key that anybody knows.

use luc_core::SitePrefix;
use luc_runtime::NodeSecret;
use luc_runtime::fabric::{Channel, Refusal, RequestError};
use luc_services::sites::{Label, Purpose, TicketText};
use serde_json::json;

use crate::world::{Attacker, Lines, World};

fn stranger(world: &World, number: u8) -> Attacker {
    let secret = NodeSecret::from_seed(&[number; 32]);
    world.attacker(&secret, SitePrefix::of_key(&[number]))
}

/// A knock at the door with the ticket's `secret` as the node with the attacker's key.
fn knock(attacker: &Attacker, secret: &str) -> Vec<u8> {
    let key = attacker.fabric.me().to_string();
    let node = json!({"key": key, "name": "mallory", "roles": ["compute"]});
    json!({"secret": secret, "who": {"node": node}})
        .to_string()
        .into_bytes()
}

#[tokio::test]
async fn an_unknown_key_gets_nothing_and_is_logged_once() {
    let lines = Lines::default();
    let _log = lines.begin();
    let world = World::new().await;
    let attacker = stranger(&world, 9);
    let before = world.revision();
    for _ in 0..3 {
        for number in (0..9).chain([u16::MAX]).filter(|number| *number != 1) {
            let refused = attacker.ask(Channel(number), "{\"greeting\":null}").await;
            let why = Refusal::NotAdmitted;
            let to = attacker.target;
            assert_eq!(
                refused,
                Err(RequestError::Refused { to, why }),
                "channel {number}"
            );
            assert!(attacker.stream(Channel(number), b"hello").await.is_empty());
        }
        let path = "/luc/v1/sites";
        assert_eq!(
            attacker
                .http(http::Method::GET, path, &[], String::new())
                .await,
            None
        );
    }
    assert_eq!(world.revision(), before);
    assert_eq!(lines.count("refused a peer (logged once)"), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_stranger_at_the_door_is_told_no_changes_nothing_and_is_logged_once() {
    let lines = Lines::default();
    let _log = lines.begin();
    let world = World::new().await;
    let attacker = stranger(&world, 9);
    let for_a_site = world.ticket(Purpose::Site, Label::Trusted).await;
    let for_a_site = TicketText::decode(&for_a_site).expect("a ticket").secret;
    let before = world.revision();
    let garbage = ["", "{}", "[[[[", "{\"secret\":1}"].map(str::to_owned);
    let long = format!("{{\"secret\":\"{}\"}}", "a".repeat(64 << 10));
    for body in garbage.into_iter().chain([long]) {
        let refused = attacker.ask(Channel::JOIN, body).await;
        assert!(
            matches!(
                refused,
                Err(RequestError::Refused {
                    why: Refusal::Malformed(_),
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    for secret in ["", "guessed", &for_a_site] {
        let answer = attacker.ask(Channel::JOIN, knock(&attacker, secret)).await;
        let answer = answer.expect("a refusal in words");
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("refused"), "{text}");
    }
    assert_eq!(world.revision(), before);
    assert_eq!(lines.count("a knock was refused"), 1);
    world.stop().await;
}

#[tokio::test]
async fn many_strangers_do_not_fill_the_log() {
    let lines = Lines::default();
    let _log = lines.begin();
    let world = World::new().await;
    let before = world.revision();
    for number in 10..=110 {
        let attacker = stranger(&world, number);
        let answer = attacker
            .ask(Channel::JOIN, knock(&attacker, "guessed"))
            .await;
        answer.expect("a refusal in words");
    }
    assert_eq!(world.revision(), before);
    assert_eq!(lines.count("a knock was refused"), 64);
    world.stop().await;
}
