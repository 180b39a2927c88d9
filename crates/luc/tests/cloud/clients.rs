//! Clients that we did not write, against a fresh cloud: the stock `openstack` command and, beside
//! a real Keystone, the same requests to both.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use luc::client::{Client, Target};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::joining::{LIMIT, Operator, login};
use crate::process::{Up, flavor, image, settled, skip, until};

/// Both roles: a site of one node that runs machines.
const BOTH: &str = "[\"controller\", \"compute\"]";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a script of `tests/conformance` and panics with what it printed unless it succeeds.
async fn run(script: &str, words: &[&str], environment: &[(&str, &str)]) {
    let script = root().join("tests/conformance").join(script);
    let mut command = Command::new("python3");
    command.arg(&script).args(words).kill_on_drop(true);
    for (name, value) in environment {
        command.env(name, value);
    }
    let output = command.output().await.expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}:\n{said}\n{wrong}",
        script.display()
    );
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.ends_with(" 0 failed") && !last.starts_with("0 "),
        "{last}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stock_client_runs_every_command() {
    if !root().join(".venv/bin/openstack").is_file() {
        return skip(
            "no stock client (scripts/install-openstackclient): its commands were not run",
        );
    }
    let directory = tempfile::tempdir().expect("room for data");
    let up = Up::start(directory.path(), "fake", 3).await;
    let clouds = directory.path().join("clouds.yaml").display().to_string();
    run(
        "osc.py",
        &[],
        &[("OS_CLIENT_CONFIG_FILE", &clouds), ("OS_CLOUD", "luc")],
    )
    .await;
    up.stop().await;
}

/// How the admin logs in at the node with this URL.
fn environment(url: &str) -> Vec<(&'static str, String)> {
    let fixed = [
        ("OS_USERNAME", "admin"),
        ("OS_PASSWORD", "open sesame"),
        ("OS_PROJECT_NAME", "admin"),
        ("OS_USER_DOMAIN_ID", "default"),
        ("OS_PROJECT_DOMAIN_ID", "default"),
        ("OS_IDENTITY_API_VERSION", "3"),
        ("OS_REGION_NAME", "RegionOne"),
    ];
    let fixed = fixed.map(|(name, value)| (name, value.to_owned()));
    let url = ("OS_AUTH_URL", format!("{url}/identity/v3"));
    fixed.into_iter().chain([url]).collect()
}

/// A column of what the stock client lists at the node with this URL.
async fn column(url: &str, words: &[&str], name: &str) -> BTreeSet<String> {
    let mut command = Command::new(root().join(".venv/bin/openstack"));
    command.args(words).args(["-f", "json"]).kill_on_drop(true);
    let output = command.envs(environment(url)).output().await;
    let output = output.expect("the client runs");
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {wrong}");
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let cells = rows.iter().filter_map(|row| row[name].as_str());
    cells.map(str::to_owned).collect()
}

/// Makes a server in each zone, all asked at one site, with an image that was uploaded there.
async fn serve_everywhere(client: &Client) {
    let (image, flavor) = (image(client, None).await, flavor(client, "m1.nano").await);
    for zone in ["alpha", "beta"] {
        let server = json!({"name": format!("in-{zone}"), "imageRef": image, "networks": "none",
            "flavorRef": flavor, "availability_zone": zone});
        let made = client.post(Target::Compute, "/servers", json!({"server": server}));
        made.await.expect("the server is made");
    }
    until(client, LIMIT, |servers| {
        servers.len() == 2 && settled(servers, "ACTIVE")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stock_client_runs_every_command_at_a_site_that_did_not_found_the_cloud() {
    if !root().join(".venv/bin/openstack").is_file() {
        return skip(
            "no stock client (scripts/install-openstackclient): its commands were not run at a \
             second site",
        );
    }
    let operator = Operator::new();
    let (mut first, alpha) = operator.found(BOTH).await;
    let (mut second, beta) = operator.join_site(&alpha, BOTH).await;
    let client = login(&beta).await;
    let variables = environment(&beta);
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    run("osc.py", &[], &variables).await;

    serve_everywhere(&client).await;
    let texts = |texts: [&str; 2]| BTreeSet::from(texts.map(str::to_owned));
    for url in [&alpha, &beta] {
        let servers = column(url, &["server", "list"], "Name").await;
        assert_eq!(servers, texts(["in-alpha", "in-beta"]), "at {url}");
        let zones = column(url, &["availability", "zone", "list"], "Zone Name").await;
        assert_eq!(zones, texts(["alpha", "beta"]), "at {url}");
    }
    for child in [&mut first, &mut second] {
        child.kill().await.expect("it was running");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identity_answers_as_a_real_keystone() {
    if !root().join("tests/conformance/.venv/bin/python").is_file() {
        return skip("no real keystone (scripts/install-keystone): nothing was compared with it");
    }
    let directory = tempfile::tempdir().expect("room for data");
    let up = Up::start(directory.path(), "fake", 1).await;
    let url = up.access.auth_url.trim_end_matches("/v3").to_owned();
    let password = up.access.password.reveal().to_owned();
    run(
        "keystone_diff.py",
        &["--url", &url, "--password", &password],
        &[],
    )
    .await;
    up.stop().await;
}
