//! Hints of requests, `different_host` and `same_host`: hosts hear of them, plans keep them, and
//! `luc dvms explain` names them.

use std::collections::BTreeSet;

use luc::client::Target;
use luc::up::Cloud;
use luc_agent::desired::PlacementRules;
use luc_core::id::ServerId;
use serde_json::{Value, json};

use crate::{LIMIT, PLANNED, acquainted, boot, luc, open, plans, start, supplies, until};

fn hint(name: &str, servers: &[&str]) -> (Value, Value) {
    (json!({"os:scheduler_hints": {name: servers}}), Value::Null)
}

fn set(ids: &[&str]) -> BTreeSet<ServerId> {
    let ids = ids.iter().map(|id| ServerId::parse(id).expect("an id"));
    ids.collect()
}

/// What `host` was told of where the server `id` may run.
fn told(cloud: &Cloud, host: &str, id: &str) -> Option<PlacementRules> {
    let wishes = cloud.node().agents()[host].wishes();
    let wish = wishes.into_iter().find(|wish| wish.id.as_str() == id)?;
    wish.rules.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_hear_of_hints_of_their_servers_and_of_those_that_name_them() {
    let directory = tempfile::tempdir().expect("room for data");
    let (cloud, client) = start(directory.path(), 2).await;
    let supplies = supplies(&client).await;
    open(&client, Some("node-1")).await;
    let first = boot(&client, &supplies, "first", (Value::Null, Value::Null)).await;
    open(&client, None).await;
    let apart = hint("different_host", &[&first]);
    let apart = boot(&client, &supplies, "apart", apart).await;
    let beside = boot(&client, &supplies, "beside", hint("same_host", &[&first])).await;

    let known = |host: &str, id: &str| {
        let rules = told(&cloud, host, id)?;
        assert!(rules.hosts.is_empty() && rules.group.is_none(), "{rules:?}");
        Some((rules.apart, rules.with))
    };
    for (host, id, expected) in [
        ("node-2", &apart, (set(&[&first]), set(&[]))),
        ("node-1", &beside, (set(&[]), set(&[&first]))),
        ("node-1", &first, (set(&[&apart]), set(&[&beside]))),
    ] {
        until("hints are told", LIMIT, async || {
            (known(host, id) == Some(expected.clone())).then_some(())
        })
        .await;
    }

    let path = format!("/servers/{apart}");
    let gone = client.delete(Target::Compute, &path).await;
    gone.expect("it goes");
    until("the end of the one is told", LIMIT, async || {
        (known("node-1", &first) == Some((set(&[]), set(&[&beside])))).then_some(())
    })
    .await;
    let path = format!("/servers/{first}");
    let gone = client.delete(Target::Compute, &path).await;
    gone.expect("it goes");
    until("who is left alone stays", LIMIT, async || {
        let rules = told(&cloud, "node-1", &beside)?;
        let hosts: Vec<_> = rules.hosts.iter().map(|host| host.name.as_str()).collect();
        (hosts == ["node-1"] && rules.with.is_empty()).then_some(())
    })
    .await;
    cloud.stop().await.expect("everything stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_passes_the_host_of_a_server_by_that_a_hint_names_and_says_so() {
    let directory = tempfile::tempdir().expect("room for data");
    let (cloud, client) = start(directory.path(), 3).await;
    let yaml = cloud.clouds_yaml().to_owned();
    acquainted(&client, 3).await;
    let supplies = supplies(&client).await;
    // Little runs on node-2, but the one of whom web-1 is to keep away. With web-1 node-3 will be
    // so full that nobody goes there who need not.
    open(&client, Some("node-2")).await;
    let db = boot(&client, &supplies, "db", (Value::Null, Value::Null)).await;
    open(&client, Some("node-1")).await;
    let apart = hint("different_host", &[&db]);
    let web = boot(&client, &supplies, "web-1", apart).await;
    open(&client, Some("node-3")).await;
    let busy = json!({"metadata": {"luc:load": "14"}});
    for name in ["busy-1", "busy-2", "busy-3"] {
        boot(&client, &supplies, name, (Value::Null, busy.clone())).await;
    }
    open(&client, None).await;
    let pinned = json!({"availability_zone": "nancy:node-1"});
    for number in 1..=4 {
        let name = format!("pinned-{number}");
        boot(&client, &supplies, &name, (Value::Null, pinned.clone())).await;
    }

    let story = until("a plan", PLANNED, async || {
        plans(&yaml, "luc").await.into_iter().next()
    })
    .await;
    let moves = story["moves"].as_array().expect("a list");
    assert_eq!(moves.len(), 1, "{story}");
    let of = |member: &str| moves[0][member].as_str().unwrap_or_default();
    assert_eq!((of("name"), of("to")), ("web-1", "node-3"));
    let why = format!("the hint different_host keeps it apart from db ({db}), which is there");
    let mut passed = story["passed"].as_array().expect("a list").iter();
    let by_hint = passed.find(|one| one["name"] == "web-1");
    let by_hint = by_hint.expect("node-2 had room");
    assert_eq!(
        (&by_hint["host"], &by_hint["why"]),
        (&json!("node-2"), &json!(why))
    );

    let (done, text) = luc(&yaml, "luc", &["dvms", "explain", "web-1"]).await;
    let line = format!("passed by for web-1 ({web}): node-2");
    assert!(
        done && text.contains(&line),
        "{line:?} is missing in:\n{text}"
    );
    assert!(text.contains(&why), "{text}");
    cloud.stop().await.expect("everything stops");
}
