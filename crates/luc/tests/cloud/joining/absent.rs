//! Nodes that are dead or revoked get no servers, also after their controller was started again.

use std::path::Path;
use std::time::Instant;

use luc::client::{Client, Target};

use super::{LIMIT, Operator, login, start};
use crate::process::{create, flavor, image, lift_quota, servers, settled, until};

/// Whether the compute service of `host` is up, as it is shown.
async fn state(client: &Client, host: &str) -> Option<String> {
    let listed = client.get(Target::Compute, "/os-services").await;
    let listed = listed.expect("services are listed");
    let services = listed["services"].as_array().expect("a list");
    let found = services.iter().find(|service| service["host"] == host)?;
    found["state"].as_str().map(str::to_owned)
}

async fn becomes(client: &Client, host: &str, wanted: &str) {
    let started = Instant::now();
    while state(client, host).await.as_deref() != Some(wanted) {
        assert!(started.elapsed() < LIMIT, "{host} is never {wanted}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_servers_go_to_hosts_that_live() {
    let operator = Operator::new();
    let roles = "[\"controller\", \"compute\"]";
    let (mut controller, url) = operator.found(roles).await;
    let client = login(&url).await;
    let (mut dead, _) = operator.join_node_of(&url, "alpha", "alpha-1").await;
    let (mut revoked, _) = operator.join_node_of(&url, "alpha", "alpha-2").await;
    for host in ["alpha-c", "alpha-1", "alpha-2"] {
        becomes(&client, host, "up").await;
    }
    let image = image(&client, None).await;
    let flavor = flavor(&client, "m1.nano").await;
    lift_quota(&client).await;

    operator.revoke(&url, "alpha-2").await;
    becomes(&client, "alpha-2", "down").await;
    dead.kill().await.expect("it was running");
    controller.kill().await.expect("it was running");
    let config = operator.directory.path().join("alpha-c.toml");
    let (mut controller, url) = start(Path::new(&config)).await;
    let client = login(&url).await;
    for number in 0..9 {
        let name = format!("s{number}");
        assert_eq!(create(&client, &image, &flavor, &name, 1).await, 202);
    }
    let shown = state(&client, "alpha-2").await;
    assert_eq!(shown.as_deref(), Some("down"), "it is revoked");
    until(&client, LIMIT, |servers| settled(servers, "ACTIVE")).await;
    let servers = servers(&client).await;
    let hosts = servers.iter().map(|one| &one["OS-EXT-SRV-ATTR:host"]);
    assert!(hosts.clone().all(|host| host == "alpha-c"), "{servers:?}");
    assert_eq!(hosts.count(), 9);
    for child in [&mut controller, &mut revoked] {
        child.kill().await.expect("it was running");
    }
}
