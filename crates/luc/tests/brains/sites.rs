//! Brains of two sites, each with a controller that has no host, asked together.

use luc::client::Client;
use luc::many::{Cloud, Plan};
use serde_json::Value;

use crate::{LIMIT, brains, crowd, luc, plans, until};

/// The names of the nodes that answer, or of the sites that do not.
fn names(view: &Value) -> Vec<String> {
    let nodes = view["nodes"].as_array().expect("a list").iter();
    let name = |node: &Value| {
        let mark = if node["status"].is_null() { "!" } else { "" };
        let word = |key: &str| node[key].as_str().expect("a name").to_owned();
        format!("{mark}{}/{}", word("site"), word("node"))
    };
    nodes.map(name).collect()
}

async fn start(directory: &std::path::Path) -> Cloud {
    let plan = Plan::fake(&["a", "b"], 2, directory);
    Cloud::start(&plan).await.expect("the sites start and join")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_brains_of_all_sites_are_asked_and_a_silent_site_is_named() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path()).await;
    let access = &cloud.site("b").expect("a site").access;
    let b = Client::login(access).await.expect("admin logs in");

    let expected = ["a/a-1", "a/a-2", "a/a-c", "b/b-1", "b/b-2", "b/b-c"];
    until("all brains answer", LIMIT, async || {
        (names(&brains(&b, true).await) == expected).then_some(())
    })
    .await;
    assert_eq!(names(&brains(&b, false).await), expected[3..]);
    // Somebody at b sees a site 10 ms away where the coordinates say it is.
    until("b places a", LIMIT, async || {
        let view = brains(&b, false).await;
        let nodes = view["nodes"].as_array()?.clone();
        let members = nodes
            .iter()
            .filter_map(|node| node["status"]["members"].as_array());
        let mut distances = members.flatten().filter_map(|one| one["distance"].as_f64());
        distances.find(|far| (0.007..0.014).contains(far))
    })
    .await;

    // So does its controller of each node there, delegate or not.
    until("each node of a is placed", LIMIT, async || {
        let list = b.ask_node(reqwest::Method::GET, "/luc/v1/nodes", None);
        let list = list.await.ok()?.body;
        let nodes = list["nodes"].as_array()?;
        let there: Vec<_> = nodes.iter().filter(|node| node["site"] == "a").collect();
        let near =
            |node: &&&Value| (7.0..14.0).contains(&node["distance_ms"].as_f64().unwrap_or(0.0));
        (there.len() == 3 && there.iter().filter(near).count() == 3).then_some(())
    })
    .await;

    // A controller without a host is asked for no room, and in nobody's way.
    crowd(&b, "b-1", 5).await;
    let yaml = cloud.clouds_yaml().to_owned();
    let story = until("a plan", LIMIT, async || {
        plans(&yaml, "b").await.into_iter().next()
    })
    .await;
    let mut moves = story["moves"].as_array().expect("moves").iter();
    assert!(moves.all(|one| one["to"] == "b-2"), "{story}");

    cloud.split("a").expect("it is cut");
    until("a is silent", LIMIT, async || {
        let names = names(&brains(&b, true).await);
        (names == ["!a/", "b/b-1", "b/b-2", "b/b-c"]).then_some(())
    })
    .await;
    let (done, text) = luc(&yaml, "b", &["dvms", "status", "--all"]).await;
    assert!(
        done && text.contains("Did not answer:\n  site a: "),
        "{text}"
    );
    cloud.stop().await.expect("everything stops");
}
