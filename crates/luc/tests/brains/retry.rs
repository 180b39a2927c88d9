//! Servers whose host is chosen between its death and the moment when it is missed.

use std::collections::BTreeMap;
use std::time::Duration;

use luc::client::{Client, Target};
use luc_agent::agent::Agent;
use luc_core::id::ServerId;
use serde_json::{Value, json};

use crate::failure::{MISSED, Site, state_of};
use crate::{LIMIT, Supplies, supplies, until};

/// How many servers are asked for: more than one host gets where both are the same.
const SERVERS: usize = 6;

/// Asks for so many servers, and does not wait for them.
async fn ask(client: &Client, supplies: &Supplies, name: &str, count: usize) {
    let body = json!({"server": {"name": name, "imageRef": supplies.image,
        "flavorRef": supplies.flavor, "networks": "none", "min_count": count}});
    let made = client.post(Target::Compute, "/servers", body).await;
    made.expect("they are made");
}

/// Status and host of every server, by id.
async fn shown(client: &Client) -> BTreeMap<String, (String, String)> {
    let answer = client.get(Target::Compute, "/servers/detail").await;
    let answer = answer.expect("servers are listed");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let servers = answer["servers"].as_array().expect("a list").iter();
    let shown = servers.map(|server| {
        let host = text(&server["OS-EXT-SRV-ATTR:host"]);
        (text(&server["id"]), (text(&server["status"]), host))
    });
    shown.collect()
}

/// Waits until all servers run, and returns how many each host has.
async fn spread(client: &Client) -> BTreeMap<String, usize> {
    until("all servers run", LIMIT, async || {
        let servers = shown(client).await;
        let lost = servers.values().find(|(status, _)| status == "ERROR");
        assert!(lost.is_none(), "{servers:?}");
        let all = servers.values().all(|(status, _)| status == "ACTIVE");
        let mut spread = BTreeMap::new();
        for (_, host) in servers.into_values() {
            *spread.entry(host).or_default() += 1;
        }
        all.then_some(spread)
    })
    .await
}

/// What is on a host.
async fn on(agent: &Agent) -> Vec<ServerId> {
    agent.driver().list().await.expect("it is known")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_a_host_that_is_not_heard_are_built_elsewhere_and_never_there() {
    let directory = tempfile::tempdir().expect("room for data");
    let site = Site::start(directory.path()).await;
    let (client, agent) = (&site.client, &site.one.agents()["one"]);
    let supplies = supplies(client).await;
    ask(client, &supplies, "before", 2).await;
    let both = BTreeMap::from([("one".to_owned(), 1), ("two".to_owned(), 1)]);
    assert_eq!(spread(client).await, both);
    let before = on(agent).await;
    assert_eq!(before.len(), 1);

    // It hears what is wanted of it, but is heard by nobody: worse than if it had died.
    let key = site.one.outpost().expect("it has joined").secret.key();
    let here = site.controller.parts.as_ref().expect("a controller");
    let here = here.services.site;
    site.network.cut(key, here);
    ask(client, &supplies, "after", SERVERS).await;
    let chosen = shown(client).await;
    let there = |servers: &BTreeMap<String, (String, String)>| {
        let hosts = servers.values().filter(|(_, host)| host == "one");
        hosts.count()
    };
    assert!(there(&chosen) > 1, "nobody has missed it yet: {chosen:?}");
    assert_eq!(state_of(client, "one").await, "up");
    until("the other host has them all", LIMIT, async || {
        (there(&shown(client).await) == 1).then_some(())
    })
    .await;
    let moved = BTreeMap::from([("one".to_owned(), 1), ("two".to_owned(), SERVERS + 1)]);
    assert_eq!(spread(client).await, moved);
    assert_eq!(
        on(agent).await,
        before,
        "nothing was begun where nobody answers"
    );

    // What it would say now, and what it still has read, changes nothing.
    site.network.heal(key, here);
    until("it is up again", MISSED, async || {
        (state_of(client, "one").await == "up").then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(spread(client).await, moved);
    assert_eq!(on(agent).await, before);
    ask(client, &supplies, "again", 2).await;
    let used = spread(client).await;
    assert!(used["one"] > 1, "it gets servers again: {used:?}");
    assert_eq!(on(agent).await.len(), used["one"]);
    site.stop().await;
}
