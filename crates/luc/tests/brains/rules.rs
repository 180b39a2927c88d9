//! Rules of placement: plans keep them, `luc dvms explain` names them, and hosts hear of them when
//! the records change that they come from.

use std::collections::BTreeSet;

use luc::client::{Client, Target};
use luc::many;
use luc::up::Cloud;
use luc_agent::desired::{GroupPolicy, HostName, PlacementRules};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    LIMIT, PLANNED, Supplies, acquainted, boot, crowd, luc, open, plans, start, stories, supplies,
    until,
};

async fn group(client: &Client, policy: &str) -> Value {
    let body = json!({"server_group": {"name": policy, "policy": policy}});
    let made = client
        .post(Target::Compute, "/os-server-groups", body)
        .await;
    made.expect("a group")["server_group"]["id"].clone()
}

fn in_group(group: &Value) -> (Value, Value) {
    (json!({"os:scheduler_hints": {"group": group}}), Value::Null)
}

/// What stands in the story about hosts that were passed by for the server `name`.
fn passed(story: &Value, name: &str) -> Vec<(String, String)> {
    let all = story["passed"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.filter(|one| one["name"] == name)
        .map(|one| (text(&one["host"]), text(&one["why"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_passes_the_hosts_of_siblings_by_and_says_so() {
    let directory = tempfile::tempdir().expect("room for data");
    let (cloud, client) = start(directory.path(), 4).await;
    let yaml = cloud.clouds_yaml().to_owned();
    acquainted(&client, 4).await;
    let supplies = supplies(&client).await;
    let group = group(&client, "anti-affinity").await;
    // Nothing runs on node-4 and little on node-2, but both have a sibling of web-1; on node-4 it
    // is stopped. With web-1 node-3 will be so full that nobody goes there who need not.
    let mut ids = Vec::new();
    for (name, host) in [
        ("web-1", "node-1"),
        ("web-2", "node-2"),
        ("web-4", "node-4"),
    ] {
        open(&client, Some(host)).await;
        ids.push(boot(&client, &supplies, name, in_group(&group)).await);
    }
    open(&client, Some("node-3")).await;
    let busy = json!({"metadata": {"luc:load": "14"}});
    for name in ["busy-1", "busy-2", "busy-3"] {
        boot(&client, &supplies, name, (Value::Null, busy.clone())).await;
    }
    open(&client, None).await;
    let path = format!("/servers/{}/action", ids[2]);
    let stop = Some(json!({"os-stop": null}));
    let stopped = client.ask(Method::POST, Target::Compute, &path, stop).await;
    assert_eq!(stopped.expect("an answer").status, 202);
    // Those that make it too much for node-1 were put there by name: they stay.
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
    assert_eq!(
        (&moves[0]["name"], &moves[0]["to"]),
        (&json!("web-1"), &json!("node-3"))
    );
    let apart = |name: &str, id: &str| {
        format!("its server group keeps it apart from {name} ({id}), which is there")
    };
    let mut siblings = passed(&story, "web-1");
    siblings.sort();
    assert_eq!(
        siblings,
        [
            ("node-2".to_owned(), apart("web-2", &ids[1])),
            ("node-4".to_owned(), apart("web-4", &ids[2])),
        ]
    );
    let bound = passed(&story, "pinned-1");
    assert_eq!(bound.len(), 3, "{story}");
    assert!(
        bound
            .iter()
            .all(|(_, why)| why.contains("bound to other hosts"))
    );

    let (done, text) = luc(&yaml, "luc", &["dvms", "explain", "web-1"]).await;
    let line = format!("passed by for web-1 ({}): node-2", ids[0]);
    assert!(
        done && text.contains(&line),
        "{line:?} is missing in:\n{text}"
    );
    assert!(text.contains(&apart("web-2", &ids[1])), "{text}");
    cloud.stop().await.expect("everything stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_a_project_that_is_bound_to_a_site_are_not_planned_away_from_it() {
    let directory = tempfile::tempdir().expect("room for data");
    let plan = many::Plan::fake(&["a", "b"], 1, directory.path());
    let cloud = many::Cloud::start(&plan).await;
    let cloud = cloud.expect("the sites start and join");
    let b = cloud.site("b").expect("a site");
    let client = Client::login(&b.access).await.expect("admin logs in");
    let path = format!("/projects/{}/tags/luc:site=b", client.project());
    let set = client.ask(Method::PUT, Target::Identity, &path, None).await;
    assert_eq!(set.expect("an answer").status, 201);
    // There is room at a alone.
    crowd(&client, "b-1", 5).await;

    let yaml = cloud.clouds_yaml();
    let story = until("a host of the other site is passed by", LIMIT, async || {
        let mut told = stories(yaml, "b", &["--all"]).await.into_iter();
        told.find(|story| {
            story["passed"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        })
    })
    .await;
    let expected = (
        "a/a-1".to_owned(),
        "its project is bound to other sites".to_owned(),
    );
    assert_eq!(passed(&story, "busy-1"), [expected]);
    assert_eq!(story["moves"], json!([]));
    let planned = plans(yaml, "b").await;
    assert!(planned.is_empty(), "{planned:?}");
    cloud.stop().await.expect("everything stops");
}

/// What node-1 was told of where the server `id` may run.
fn told(cloud: &Cloud, id: &str) -> Option<PlacementRules> {
    let wishes = cloud.node().agents()["node-1"].wishes();
    let wish = wishes.into_iter().find(|wish| wish.id.as_str() == id)?;
    wish.rules.clone()
}

async fn told_so(cloud: &Cloud, id: &str, what: &str, is_so: impl Fn(&PlacementRules) -> bool) {
    until(what, LIMIT, async || told(cloud, id).filter(&is_so)).await;
}

fn node_1(cloud: &Cloud) -> HostName {
    let parts = cloud.node().parts.as_ref().expect("a controller");
    HostName {
        site: parts.services.site,
        name: "node-1".to_owned(),
    }
}

/// An aggregate with fast disks, a zone of its own, that has node-1; and a flavor that asks for it.
async fn aggregate(client: &Client, supplies: &Supplies) {
    let flavor = supplies.flavor.as_str().expect("an id");
    let specs = json!({"extra_specs": {"disk": "ssd", "trait:CUSTOM_GOLD": "forbidden"}});
    let path = format!("/flavors/{flavor}/os-extra_specs");
    let given = client.post(Target::Compute, &path, specs).await;
    given.expect("extra specs");
    let body = json!({"aggregate": {"name": "fast", "availability_zone": "quick"}});
    let made = client.post(Target::Compute, "/os-aggregates", body).await;
    let aggregate = made.expect("an aggregate")["aggregate"]["id"].clone();
    let path = format!("/os-aggregates/{aggregate}/action");
    for action in [
        json!({"add_host": {"host": "node-1"}}),
        json!({"set_metadata": {"metadata": {"disk": "ssd"}}}),
    ] {
        let done = client.post(Target::Compute, &path, action).await;
        done.expect("it is done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_hear_what_they_have_and_what_servers_ask_for() {
    let directory = tempfile::tempdir().expect("room for data");
    let (cloud, client) = start(directory.path(), 2).await;
    let supplies = supplies(&client).await;
    aggregate(&client, &supplies).await;
    let has: BTreeSet<String> = [
        "aggregate:disk=ssd",
        "trait:CUSTOM_GOLD=forbidden",
        "zone:quick",
    ]
    .map(str::to_owned)
    .into();
    let agents = cloud.node().agents();
    until("node-1 hears what it has", LIMIT, async || {
        has.is_subset(&agents["node-1"].place().labels)
            .then_some(())
    })
    .await;
    let other = agents["node-2"].place().labels;
    assert!(other.contains("zone:nancy"), "{other:?}");
    assert!(!other.contains("zone:quick") && !other.contains("aggregate:disk=ssd"));

    let zone = json!({"availability_zone": "quick"});
    let id = boot(&client, &supplies, "zoned", (Value::Null, zone)).await;
    let asked = told(&cloud, &id).expect("its host knows of rules");
    assert_eq!(asked.labels, has);
    assert!(asked.hosts.is_empty() && asked.sites.is_empty() && asked.group.is_none());
    for (name, pinned) in [
        ("by-host", json!({"host": "node-1"})),
        ("by-hypervisor", json!({"hypervisor_hostname": "node-1"})),
        ("forced", json!({"availability_zone": "quick:node-1"})),
        ("forced-node", json!({"availability_zone": "quick::node-1"})),
    ] {
        let id = boot(&client, &supplies, name, (Value::Null, pinned)).await;
        let rules = told(&cloud, &id).expect("its host knows of rules");
        assert_eq!(rules.hosts, [node_1(&cloud)].into(), "{name}");
    }
    cloud.stop().await.expect("everything stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_hears_of_rules_when_the_records_change_that_they_come_from() {
    let directory = tempfile::tempdir().expect("room for data");
    let (cloud, client) = start(directory.path(), 1).await;
    let (supplies, here) = (supplies(&client).await, node_1(&cloud));
    let group = group(&client, "affinity").await;
    let first = boot(&client, &supplies, "first", in_group(&group)).await;
    let rules = told(&cloud, &first).expect("its host knows of rules");
    let of_group = rules.group.expect("it is in a group");
    assert_eq!(of_group.policy, GroupPolicy::Affinity);
    assert!(of_group.mates.is_empty() && rules.sites.is_empty());

    boot(&client, &supplies, "second", in_group(&group)).await;
    told_so(&cloud, &first, "the mate's host is told", |rules| {
        let group = rules.group.as_ref();
        group.is_some_and(|group| group.mates.contains(&here))
    })
    .await;

    let set = async |name: &str| {
        let path = format!("/projects/{}/tags/luc:site={name}", client.project());
        let set = client.ask(Method::PUT, Target::Identity, &path, None).await;
        set.expect("an answer").status
    };
    // Nobody knows this site.
    assert_eq!(set("atlantis").await, 400);
    assert_eq!(set("nancy").await, 201);
    told_so(&cloud, &first, "residency is told", |rules| {
        rules.sites == [here.site].into()
    })
    .await;

    let path = format!("/os-server-groups/{}", group.as_str().expect("an id"));
    let gone = client.delete(Target::Compute, &path).await;
    gone.expect("it goes");
    told_so(&cloud, &first, "the end of the group is told", |rules| {
        rules.group.is_none()
    })
    .await;
    cloud.stop().await.expect("everything stops");
}
