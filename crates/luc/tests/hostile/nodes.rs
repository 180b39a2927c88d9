//! A compute-only node in the wrong hands, and what anybody may do at the port of an honest one.

use http::{Method, StatusCode};
use luc_runtime::fabric::{Channel, Refusal, RequestError};
use luc_services::sites::{NodeInfo, revoke};
use luc_state::Snapshot;
use serde_json::json;

use crate::world::World;

const SEED: &str = "0707070707070707070707070707070707070707070707070707070707070707";

#[tokio::test]
async fn nobody_speaks_for_a_host_through_the_port_of_its_node() {
    let world = World::new().await;
    let config = world.joined_node("alpha-1").await;
    let node = world.start(&config).await;
    let http = reqwest::Client::new();
    let hosts = format!("http://{}/luc/v1/hosts/alpha-1", node.address);
    for what in ["wishes", "members", "images/none", ""] {
        let answer = http.get(format!("{hosts}/{what}")).send().await;
        let status = answer.expect("an answer").status().as_u16();
        assert_eq!(status, 404, "{what}");
    }
    for what in ["reports", "heartbeat"] {
        let sent = http.post(format!("{hosts}/{what}")).json(&json!([]));
        let status = sent.send().await.expect("an answer").status().as_u16();
        assert_eq!(status, 404, "{what}");
    }
    // What is the cloud's is handed on as before.
    let cloud = format!("http://{}/identity/v3", node.address);
    let status = http.get(cloud).send().await.expect("an answer").status();
    assert_eq!(status.as_u16(), 200);
    node.stop().await.expect("it stops");
    world.stop().await;
}

#[tokio::test]
async fn a_captured_node_speaks_for_itself_and_neither_for_its_site_nor_for_others() {
    let world = World::new().await;
    let config = world.joined_node("alpha-1").await;
    world.joined_node("alpha-2").await;
    let attacker = world.captured_node(&config);
    let before = world.revision();
    for question in ["\"greeting\"", "\"farewell\"", "{}"] {
        let refused = attacker.ask(Channel::SITES, question).await;
        let (to, why) = (attacker.target, Refusal::NotAdmitted);
        assert_eq!(
            refused,
            Err(RequestError::Refused { to, why }),
            "{question}"
        );
    }
    assert!(attacker.stream(Channel::FEED, b"{}").await.is_empty());

    let operation = [
        ("luc-operation", "o-1"),
        ("luc-seed", SEED),
        ("luc-alone", "1"),
    ];
    for path in [
        "/luc/v1/leases",
        "/luc/v1/between/operations/o-1",
        "/luc/v1/between/images/i-1",
    ] {
        let status = attacker.http(Method::POST, path, &operation, String::new());
        assert_eq!(status.await, Some(StatusCode::NOT_FOUND), "{path}");
    }
    for path in ["/luc/v1/tickets", "/luc/v1/signing-key"] {
        let status = attacker.http(Method::POST, path, &operation, "{}".to_owned());
        assert_eq!(status.await, Some(StatusCode::UNAUTHORIZED), "{path}");
    }
    let of = |host: &str| format!("/luc/v1/hosts/{host}/wishes");
    let (other, own) = (of("alpha-2"), of("alpha-1"));
    let status = attacker.http(Method::GET, &other, &[], String::new());
    assert_eq!(status.await, Some(StatusCode::UNAUTHORIZED));
    let status = attacker.http(Method::GET, &own, &[], String::new());
    assert_eq!(status.await, Some(StatusCode::OK), "its own are its own");
    assert_eq!(world.revision(), before);
    world.stop().await;
}

fn id_of(snapshot: &Snapshot, name: &str) -> luc_core::id::NodeId {
    let mut nodes = snapshot.all::<NodeInfo>();
    let found = nodes.find(|node| node.name == name);
    found.expect("it has joined").id.clone()
}

#[tokio::test]
async fn a_revoked_node_loses_what_it_has_open_and_is_refused_everywhere() {
    let world = World::new().await;
    let config = world.joined_node("alpha-1").await;
    let attacker = world.captured_node(&config);
    let path = "/luc/v1/hosts/alpha-1/wishes";
    let status = attacker.http(Method::GET, path, &[], String::new());
    assert_eq!(status.await, Some(StatusCode::OK));
    // It waits for changes: an open conversation.
    let waits = format!("{path}?after={}", world.revision());
    let open = attacker.http(Method::GET, &waits, &[], String::new());
    let revoked = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let id = id_of(&world.services().store.snapshot(), "alpha-1");
        revoke(world.services(), &id, true)
            .await
            .expect("it is revoked");
    };
    let (open, ()) = tokio::join!(open, revoked);
    assert_eq!(open, None, "the conversation is cut off");
    let before = world.revision();
    for number in 1..8 {
        let refused = attacker.ask(Channel(number), "\"greeting\"").await;
        assert!(refused.is_err(), "channel {number}: {refused:?}");
        assert!(attacker.stream(Channel(number), b"{}").await.is_empty());
    }
    assert_eq!(world.revision(), before);
    world.stop().await;
}
