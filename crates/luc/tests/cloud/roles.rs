//! A controller and a compute-only node as two processes.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use luc::client::{Client, Target};
use luc::clouds::Access;
use luc_api::value::Secret;
use serde_json::json;
use tokio::process::Child;

use crate::process::{create, first_line, flavor, image, luc, servers, settled, until};

const LIMIT: Duration = Duration::from_secs(60);

async fn node(directory: &Path, name: &str, roles: &str, extra: &str) -> (Child, String) {
    let data = directory.join(name);
    let config = format!(
        "[site]\nname = \"lab\"\n[node]\nname = \"{name}\"\nroles = {roles}\ndata_dir = {:?}\n\
         {extra}\n[api]\nlisten = \"127.0.0.1:0\"\n[compute]\ndriver = \"fake\"\n[log]\n\
         filter = \"warn\"\n",
        data.display().to_string()
    );
    let path = directory.join(format!("{name}.toml"));
    std::fs::write(&path, config).expect("the configuration is written");
    if roles.contains("controller") && !data.exists() {
        let password = directory.join("password");
        std::fs::write(&password, "open sesame\n").expect("the password is written");
        let mut command = luc();
        command.args(["cloud", "create", "--config"]).arg(&path);
        command.arg("--admin-password-file").arg(&password);
        let done = command
            .stdout(Stdio::null())
            .status()
            .await
            .expect("luc runs");
        assert!(done.success());
    }
    let mut command = luc();
    let mut child = command
        .args(["node", "--config"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("luc starts");
    let facts = first_line(&mut child).await;
    let address = facts["address"]
        .as_str()
        .expect("it has an address")
        .to_owned();
    (child, format!("http://{address}"))
}

async fn login(url: &str) -> Client {
    let access = Access {
        auth_url: format!("{url}/identity/v3"),
        user: "admin".to_owned(),
        password: Secret::new("open sesame"),
        project: "admin".to_owned(),
        region: "RegionOne".to_owned(),
        domains: luc::clouds::Domains::default(),
    };
    Client::login(&access).await.expect("the admin logs in")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compute_only_node_runs_servers_and_answers_for_the_cloud() {
    let directory = tempfile::tempdir().expect("room for data");
    let (mut controller, url) = node(directory.path(), "alpha", "[\"controller\"]", "").await;
    let secret = directory.path().join("alpha/join.secret");
    let join = format!(
        "controller_url = {url:?}\njoin_secret_file = {:?}",
        secret.display().to_string()
    );
    let (mut compute, compute_url) = node(directory.path(), "beta", "[\"compute\"]", &join).await;

    // Asked at the compute node, answered by the controller, run on the compute node.
    let client = login(&compute_url).await;
    let image = image(&client, None).await;
    let flavor = flavor(&client, "m1.nano").await;
    let started = std::time::Instant::now();
    loop {
        let hosts = client
            .get(Target::Compute, "/os-hypervisors")
            .await
            .expect("it is answered");
        if hosts["hypervisors"]
            .as_array()
            .is_some_and(|hosts| hosts.len() == 1)
        {
            break;
        }
        assert!(started.elapsed() < LIMIT, "the node never joined: {hosts}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(create(&client, &image, &flavor, "far", 3).await, 202);
    until(&client, LIMIT, |servers| {
        servers.len() == 3 && settled(servers, "ACTIVE")
    })
    .await;
    let server = servers(&client).await.remove(0);
    assert_eq!(server["OS-EXT-SRV-ATTR:host"], "beta");
    let path = format!("/servers/{}/action", server["id"].as_str().expect("an id"));
    let console = client
        .post(Target::Compute, &path, json!({"os-getConsoleOutput": {}}))
        .await;
    let console = console.expect("the console is fetched from the other node");
    assert!(
        console["output"]
            .as_str()
            .is_some_and(|output| !output.is_empty()),
        "{console}"
    );

    // The compute node dies; what was asked meanwhile is done when it is back.
    compute.kill().await.expect("it was running");
    let at_controller = login(&url).await;
    at_controller
        .post(Target::Compute, &path, json!({"os-stop": null}))
        .await
        .expect("accepted");
    let (mut compute, _) = node(directory.path(), "beta", "[\"compute\"]", &join).await;
    let id = server["id"].clone();
    until(&at_controller, LIMIT, |servers| {
        servers
            .iter()
            .any(|s| s["id"] == id && s["status"] == "SHUTOFF")
    })
    .await;
    compute.kill().await.expect("it was running");
    controller.kill().await.expect("it was running");
}

#[tokio::test]
async fn a_node_with_a_wrong_secret_gets_nothing() {
    let directory = tempfile::tempdir().expect("room for data");
    let (mut controller, url) = node(directory.path(), "alpha", "[\"controller\"]", "").await;
    let http = reqwest::Client::new();
    for secret in ["", "wrong"] {
        let asked = http.get(format!("{url}/luc/v1/hosts/evil/wishes"));
        let answer = asked
            .header("x-luc-join-secret", secret)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), 401);
    }
    controller.kill().await.expect("it was running");
}
