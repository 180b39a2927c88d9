//! An overload in a site of three hosts.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{PLANNED, acquainted, crowd, hosts, luc, plans, start, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overload_is_explained_within_seconds_and_nothing_is_moved() {
    let directory = tempfile::tempdir().expect("room for data");
    let (cloud, client) = start(directory.path(), 3).await;
    let yaml = cloud.clouds_yaml().to_owned();
    acquainted(&client, 3).await;
    crowd(&client, "node-1", 5).await;
    let before = hosts(&client).await;

    let since = Instant::now();
    let story = until("a plan", PLANNED, async || {
        plans(&yaml, "luc").await.into_iter().next()
    })
    .await;
    println!("planned after {:.1} s", since.elapsed().as_secs_f64());
    assert_eq!(
        (&story["leader"], &story["cause"]),
        (&json!("node-1"), &json!("overload"))
    );
    assert_eq!(story["dry_run"], json!(true));
    let one = &story["moves"][0];
    assert_eq!(one["from"], "node-1");
    assert_ne!(one["to"], "node-1");
    let name = one["name"].as_str().expect("the store knows the server");
    assert!(name.starts_with("busy-"), "{name}");
    assert!(
        one["why"]
            .as_str()
            .is_some_and(|why| why.contains("80.0 cores and has 64.0")),
        "{one}"
    );

    // The same in words, for one server.
    let (done, text) = luc(&yaml, "luc", &["dvms", "explain", name]).await;
    assert!(done, "{text}");
    for part in [
        "led partition",
        name,
        "node-1 to node-",
        "nothing was moved",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    let (done, text) = luc(&yaml, "luc", &["dvms", "explain", "nobody"]).await;
    assert!(!done && text.contains("'nobody'"), "{text}");
    let (done, text) = luc(&yaml, "luc", &["dvms", "status"]).await;
    assert!(done && text.contains("80.0 of 64.0"), "{text}");

    // Long after the plan, everything is where it was.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(hosts(&client).await, before);
    cloud.stop().await.expect("everything stops");
}
