//! Sites and nodes join by ticket, as processes that talk QUIC.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use luc::client::{Client, Target};
use luc::clouds::Access;
use luc_api::value::Secret;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::process::{create, first_line, flavor, image, luc, servers, settled, until};

const LIMIT: Duration = Duration::from_secs(60);

/// Writes the configuration of a node.
fn configure(directory: &Path, site: &str, name: &str, roles: &str) -> PathBuf {
    let data = directory.join(name);
    let config = format!(
        "[site]\nname = \"{site}\"\n[node]\nname = \"{name}\"\nroles = {roles}\ndata_dir = {:?}\n\
         [api]\nlisten = \"127.0.0.1:0\"\n[compute]\ndriver = \"fake\"\n[log]\nfilter = \"warn\"\n",
        data.display().to_string()
    );
    let path = directory.join(format!("{name}.toml"));
    std::fs::write(&path, config).expect("the configuration is written");
    path
}

async fn run(words: &[&str]) -> Result<Value, String> {
    let output = luc().args(words).output().await.expect("luc runs");
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

async fn start(config: &Path) -> (Child, String) {
    let mut command = luc();
    let mut child = command
        .args(["node", "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("luc starts");
    let facts = first_line(&mut child).await;
    let address = facts["address"].as_str().expect("it has an address");
    let url = format!("http://{address}");
    (child, url)
}

async fn login(url: &str) -> Client {
    let access = Access {
        auth_url: format!("{url}/identity/v3"),
        user: "admin".to_owned(),
        password: Secret::new("open sesame"),
        project: "admin".to_owned(),
        region: "RegionOne".to_owned(),
    };
    let started = Instant::now();
    loop {
        match Client::login(&access).await {
            Ok(client) => return client,
            Err(error) => assert!(started.elapsed() < LIMIT, "{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_and_its_node_join_by_ticket_and_a_ticket_is_good_once() {
    let directory = tempfile::tempdir().expect("room for data");
    let password = directory.path().join("password");
    std::fs::write(&password, "open sesame\n").expect("the password is written");
    let password = password.display().to_string();
    let alpha = configure(directory.path(), "alpha", "alpha-c", "[\"controller\"]");
    let alpha = alpha.display().to_string();
    run(&[
        "cloud",
        "create",
        "--config",
        &alpha,
        "--admin-password-file",
        &password,
    ])
    .await
    .expect("it is founded");
    let (mut first, url) = start(Path::new(&alpha)).await;
    let ticket = async |url: &str, purpose: &str| {
        let words = [
            "site",
            "ticket",
            purpose,
            "--json",
            "--url",
            url,
            "--password-file",
            &password,
        ];
        let made = run(&words).await.expect("a ticket");
        made["ticket"].as_str().expect("its text").to_owned()
    };

    // A site.
    let text = ticket(&url, "--site").await;
    let beta = configure(directory.path(), "beta", "beta-c", "[\"controller\"]");
    let beta = beta.display().to_string();
    let joined = run(&["join", &text, "--config", &beta, "--json"]).await;
    assert_eq!(joined.expect("it joins")["sites"], json!(["alpha", "beta"]));
    run(&["join", &text, "--config", &beta])
        .await
        .expect("asked again it is the same");
    let gamma = configure(directory.path(), "gamma", "gamma-c", "[\"controller\"]");
    let replayed = run(&["join", &text, "--config", &gamma.display().to_string()]).await;
    assert!(replayed.unwrap_err().contains("used already"));
    let (mut second, beta_url) = start(Path::new(&beta)).await;
    login(&beta_url).await;

    // A node of that site.
    let text = ticket(&beta_url, "--node").await;
    let node = configure(directory.path(), "beta", "beta-1", "[\"compute\"]");
    let node = node.display().to_string();
    run(&["join", &text, "--config", &node])
        .await
        .expect("the node joins");
    let (mut third, node_url) = start(Path::new(&node)).await;

    // Asked at the node, it is the cloud; asked at the founder, the server runs there.
    let at_node = login(&node_url).await;
    let at_alpha = login(&url).await;
    let image = image(&at_alpha, None).await;
    let flavor = flavor(&at_node, "m1.nano").await;
    let words = [
        "site",
        "show",
        "beta",
        "--json",
        "--url",
        &url,
        "--password-file",
        &password,
    ];
    let started = Instant::now();
    loop {
        let shown = run(&words).await.expect("the site is shown");
        if shown["site"]["room"]["vcpus"].as_u64() > Some(0) {
            break;
        }
        assert!(
            started.elapsed() < LIMIT,
            "beta never said it has room: {shown}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(create(&at_alpha, &image, &flavor, "far", 1).await, 202);
    until(&at_node, LIMIT, |servers| {
        settled(servers, "ACTIVE") && !servers.is_empty()
    })
    .await;
    let server = servers(&at_node).await.remove(0);
    assert_eq!(server["OS-EXT-AZ:availability_zone"], "beta", "{server}");
    let path = format!("/servers/{}/action", server["id"].as_str().expect("an id"));
    let console = at_alpha
        .post(Target::Compute, &path, json!({"os-getConsoleOutput": {}}))
        .await;
    let console = console.expect("the console comes from the node of the other site");
    assert!(
        console["output"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );

    // The operator sees them, and ends the node's membership.
    let words = [
        "node",
        "list",
        "--json",
        "--url",
        &url,
        "--password-file",
        &password,
    ];
    let nodes = run(&words).await.expect("nodes are listed");
    let of_name = |nodes: &Value, name: &str| {
        let all = nodes["nodes"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|node| node["name"] == name)
    };
    let found = of_name(&nodes, "beta-1").expect("it is known at the other site");
    let id = found["id"].as_str().expect("an id").to_owned();
    run(&[
        "node",
        "revoke",
        &id,
        "--url",
        &url,
        "--password-file",
        &password,
    ])
    .await
    .expect("revoked through the other site");
    let started = Instant::now();
    loop {
        let http = reqwest::Client::new();
        let answer = http.get(format!("{node_url}/identity/v3")).send().await;
        let status = answer.expect("the node answers").status().as_u16();
        if status == 503 {
            break;
        }
        assert!(
            started.elapsed() < LIMIT,
            "the node is still let in: {status}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for child in [&mut first, &mut second, &mut third] {
        child.kill().await.expect("it was running");
    }
}
